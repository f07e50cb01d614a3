"""Bodies: broken, truncated, compressed, too large, not JSON."""

import gzip
from typing import Any

import pytest

from source_incident.api import TransientError, UnexpectedAnswerError
from source_incident.api import body as body_module
from unit_tests.api.clients import CHUNKED, Make, get_error, reset, reset_after
from unit_tests.api.server import ScriptedServer, answer

WHOLE = answer({"things": ["x" * 100]})
GZIPPED = gzip.compress(b'{"things": [' + b"1," * 50_000 + b"1]}")


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(reset, id="reset before the headers"),
        pytest.param(b"", id="closed before the headers"),
        pytest.param(reset_after(WHOLE[:20]), id="reset in the headers"),
        pytest.param(WHOLE[:20], id="closed in the headers"),
        pytest.param(reset_after(WHOLE[:-20]), id="reset in the body"),
        pytest.param(WHOLE[:-20], id="truncated, with Content-Length"),
        pytest.param(answer(content=b'{"things": [', headers={"Content-Length": ""}), id="truncated, without"),
        pytest.param(CHUNKED + b'5\r\n{"a":', id="truncated chunks"),
        pytest.param(CHUNKED + b"zz\r\n{}", id="broken chunks"),
        pytest.param(answer(content=b"{}", headers={"Content-Encoding": "gzip"}), id="not gzip"),
        pytest.param(answer(content=GZIPPED[:60], headers={"Content-Encoding": "gzip"}), id="half a gzip"),
        pytest.param(
            answer(content=GZIPPED[:30] + b"broken" + GZIPPED[36:], headers={"Content-Encoding": "gzip"}),
            id="broken gzip",
        ),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", id="not HTTP"),
        pytest.param(b"HTTP/1.1 abc\r\n\r\n", id="status is not a number"),
    ],
)
def test_retries_a_broken_answer(make: Make, broken: Any) -> None:
    with ScriptedServer(broken, broken, answer({"ok": 1})) as server:
        client = make(server)
        assert client.get("/v2/things").body == {"ok": 1}
    assert client.requests == 3
    with ScriptedServer(*[broken] * 2) as server, pytest.raises((TransientError, UnexpectedAnswerError)):
        make(server, max_retries=1).get("/v2/things")


NOT_JSON = (b"", b"<html>502</html>", b'{"a": 1', b'{"a": 1} x', b"\xff\xfe{\x00}\x00")


@pytest.mark.parametrize("content", [*NOT_JSON, b"[]", b"null", b"1", b'"text"'])
def test_retries_a_body_that_is_not_a_json_object_then_reports_it(make: Make, content: bytes) -> None:
    with ScriptedServer(answer(content=content), answer({"ok": 1}), *[answer(content=content)] * 4) as server:
        client = make(server)
        assert client.get("/v2/things").body == {"ok": 1}
        error = get_error(client, TransientError if content in NOT_JSON else UnexpectedAnswerError)
    assert "gave up after 4 tries" in error.message


def test_half_a_surrogate_pair_loses_no_record(make: Make) -> None:
    content = rb'{"cut": "x\ud83d", "late": "\ude00y", "whole": "\ud83d\ude00", "n": 9007199254740993, "f": 0.1}'
    with ScriptedServer(answer(content=content)) as server:
        body = make(server).get("/v2/things").body
    assert body == {"cut": "x\ufffd", "late": "\ufffdy", "whole": "\U0001f600", "n": 9007199254740993, "f": 0.1}


def test_reads_a_complete_body_in_any_encoding(make: Make) -> None:
    plain = b'{"a": "\xc3\xa9"}'
    gzipped = answer(content=gzip.compress(plain), headers={"Content-Encoding": "gzip"})
    chunked = CHUNKED + b"%x\r\n%s\r\n0\r\n\r\n" % (len(plain), plain)
    unsized = answer(content=plain, headers={"Content-Length": "", "Content-Type": "text/html"})
    with ScriptedServer(gzipped, chunked, unsized) as server:
        client = make(server)
        assert [client.get("/v2/things").body for _ in range(3)] == [{"a": "é"}] * 3


@pytest.mark.parametrize("encoded", [False, True])
def test_does_not_read_a_body_that_is_too_large_to_its_end(
    make: Make, monkeypatch: pytest.MonkeyPatch, encoded: bool
) -> None:
    monkeypatch.setattr(body_module, "MAX_BODY_BYTES", 100_000)
    monkeypatch.setattr(body_module, "CHUNK_BYTES", 10_000)
    content = b" " * 5_000_000 + b"{}"
    headers = {"Content-Encoding": "gzip"} if encoded else {}
    big = answer(content=gzip.compress(content) if encoded else content, headers=headers)
    with ScriptedServer(*[big] * 2) as server:
        error = get_error(make(server, max_retries=1), UnexpectedAnswerError)
    assert "larger than" in error.message
