"""The program: exit codes, whole lines on stdout, one line on stderr, the key on neither."""

import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from airbyte_cdk.models import (
    AirbyteMessageSerializer,
    ConfiguredAirbyteCatalog,
    ConfiguredAirbyteCatalogSerializer,
    ConfiguredAirbyteStream,
    DestinationSyncMode,
    SyncMode,
)
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from source_incident import display, run
from source_incident.output import Output
from source_incident.streams import STREAMS
from unit_tests.api.server import ScriptedServer, answer
from unit_tests.singer.strategies import json_values

KEY = 'inc_5ecret"key\\0123456789'
RAW_AND_ESCAPED = (KEY, json.dumps(KEY)[1:-1])


class Result(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


Program = Callable[..., Result]


@pytest.fixture
def program(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Program]:
    """Runs the program in this process; sees that no key came out, and that stdout holds whole JSON messages."""
    for name in [name for name in os.environ if "INCIDENT_" in name]:
        monkeypatch.delenv(name)
    root, airbyte = logging.getLogger(), logging.getLogger("airbyte")
    before = root.handlers, root.level, airbyte.handlers, airbyte.level, airbyte.propagate
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def call(*arguments: Any) -> Result:
        saved = os.dup(1)
        try:
            code = run.main([str(argument) for argument in arguments])
        finally:
            os.dup2(saved, 1)
            os.close(saved)
        out, err = capfd.readouterr()
        for secret in RAW_AND_ESCAPED:
            assert secret not in out
            assert secret not in err
        assert "Traceback" not in err
        return Result(code, out, err)

    yield call
    root.handlers, airbyte.handlers, airbyte.propagate = before[0], before[2], before[4]
    root.setLevel(before[1])
    airbyte.setLevel(before[3])
    for number, handler in handlers.items():
        signal.signal(number, handler)


def write(path: Path, document: Any) -> Path:
    path.write_bytes(document if isinstance(document, bytes) else json.dumps(document).encode())
    return path


def account(path: str) -> bytes:
    """An account of two severities, one of which has a field that no schema knows."""
    if path.startswith("/v1/severities"):
        return answer({"severities": [{"id": "s1", "name": "Minor", "rank": 1}, {"id": "s2", "new": KEY}]})
    if path.startswith("/v2/incidents"):
        return answer({"incidents": [], "pagination_meta": {}})
    if path.startswith("/v1/identity"):
        return answer({"identity": {"name": f"My {KEY}", "roles": []}})
    return answer({"type": "x", "errors": [{"code": "missing", "message": f"no {KEY}"}]}, 404)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(default=account) as started:
        yield started


@pytest.fixture
def config(tmp_path: Path, server: ScriptedServer) -> Path:
    return write(tmp_path / "config.json", {"api_key": KEY, "endpoint": server.url, "max_retries": 0})


def catalog(*names: str, mode: SyncMode = SyncMode.full_refresh) -> dict[str, Any]:
    from airbyte_cdk.models import AirbyteStream

    item = [
        ConfiguredAirbyteStream(
            stream=AirbyteStream(name=name, json_schema={}, supported_sync_modes=[SyncMode.full_refresh]),
            sync_mode=mode,
            destination_sync_mode=DestinationSyncMode.append,
        )
        for name in names
    ]
    dumped: dict[str, Any] = ConfiguredAirbyteCatalogSerializer.dump(ConfiguredAirbyteCatalog(streams=item))
    return dumped


# Both protocols


def test_a_read_in_airbytes_protocol(program: Program, config: Path, tmp_path: Path) -> None:
    kept = write(tmp_path / "catalog.json", catalog("severities"))
    result = program("read", "--config", config, "--catalog", kept)
    assert result.code == 0
    for line in result.lines:
        AirbyteMessageSerializer.load(line)
    records = [line["record"] for line in result.lines if line["type"] == "RECORD"]
    assert [(record["stream"], record["data"]) for record in records] == [
        ("severities", {"id": "s1", "name": "Minor", "rank": 1}),
        ("severities", {"id": "s2", "new": "****"}),
    ]
    statuses = [line["trace"]["stream_status"]["status"] for line in result.lines if line["type"] == "TRACE"]
    assert statuses == ["STARTED", "RUNNING", "COMPLETE"]
    assert [line["state"]["sourceStats"]["recordCount"] for line in result.lines if line["type"] == "STATE"] == [2.0]
    assert result.err == ""


def singer_catalog(program: Program, config: Path, tmp_path: Path, *names: str) -> Path:
    document = json.loads(program("--config", config, "--discover").out)
    for entry in document["streams"]:
        entry["metadata"][0]["metadata"]["selected"] = entry["stream"] in names
    return write(tmp_path / "singer.json", document)


def test_a_read_in_singers_protocol(program: Program, config: Path, tmp_path: Path) -> None:
    kept = singer_catalog(program, config, tmp_path, "severities")
    result = program("--config", config, "--catalog", kept)
    assert result.code == 0
    assert [line["type"] for line in result.lines] == ["SCHEMA", "RECORD", "RECORD", "STATE"]
    assert result.lines[2]["record"] == {"id": "s2"}
    assert "INFO METRIC: " in result.err
    assert result.err.count("severities.new is not in the catalog's schema") == 1


@pytest.mark.parametrize("state", [{"bookmarks": {}}, [], {}])
def test_either_mode_takes_a_catalog_and_a_state_of_either_format(
    program: Program, config: Path, tmp_path: Path, state: Any
) -> None:
    state_file = write(tmp_path / "state.json", state)
    of_singer = singer_catalog(program, config, tmp_path, "severities")
    of_airbyte = write(tmp_path / "airbyte.json", catalog("severities"))
    airbyte = program("read", "--config", config, "--catalog", of_singer, "--state", state_file)
    singer = program("read", "--singer", "--config", config, "--catalog", of_airbyte, "--state", state_file)
    assert (airbyte.code, singer.code) == (0, 0)
    assert sum(line["type"] == "RECORD" for line in airbyte.lines) == 2
    assert sum(line["type"] == "RECORD" for line in singer.lines) == 2


def test_the_states_of_both_modes_are_understood_by_both(program: Program, config: Path, tmp_path: Path) -> None:
    kept = write(tmp_path / "catalog.json", catalog("incidents", mode=SyncMode.incremental))
    singer = [line for line in program("--config", config, "--catalog", kept).lines if line["type"] == "STATE"][-1]
    airbyte = [
        line for line in program("read", "--config", config, "--catalog", kept).lines if line["type"] == "STATE"
    ][-1]
    for document in (singer["value"], singer, airbyte, airbyte["state"], [airbyte["state"]]):
        state = write(tmp_path / "state.json", document)
        for command in (["read"], []):
            result = program(*command, "--config", config, "--catalog", kept, "--state", state)
            assert result.code == 0
            assert "updated_at" in result.out


def test_discover_in_both_protocols_names_every_stream(program: Program, config: Path) -> None:
    (message,) = program("discover", "--config", config).lines
    document = json.loads(program("discover", "--singer", "--config", config).out)
    found = [stream["name"] for stream in message["catalog"]["streams"]]
    assert found == [entry["tap_stream_id"] for entry in document["streams"]]
    assert len(found) == len(STREAMS)


def test_a_check_that_succeeds(program: Program, config: Path) -> None:
    result = program("check", "--config", config)
    assert result.code == 0
    (status,) = [line["connectionStatus"] for line in result.lines if line["type"] == "CONNECTION_STATUS"]
    assert status == {"status": "SUCCEEDED"}
    singer = program("--config", config, "--test")
    assert (singer.code, singer.out) == (0, "")
    assert "The key works" in singer.err


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, {"errors": [{"message": f"bad {KEY}"}]}, "does not accept the API key"),
        (403, {"errors": [{"metadata": {"scope": "incidents.view"}}]}, "incidents.view"),
        (302, {}, "redirects"),
        (500, {"request_id": "req-1"}, "req-1"),
    ],
)
def test_a_check_that_fails_says_why_and_what_to_do(
    program: Program, config: Path, server: ScriptedServer, status: int, body: Any, said: str
) -> None:
    server.add(answer(body, status))
    result = program("check", "--config", config)
    assert result.code == 0, "the platform reads the message"
    (found,) = [line["connectionStatus"] for line in result.lines if line["type"] == "CONNECTION_STATUS"]
    assert found["status"] == "FAILED"
    assert said in found["message"]
    server.add(answer(body, status))
    singer = program("--config", config, "--test")
    assert singer.code == 1
    assert singer.out == ""
    assert said in singer.err
    assert singer.err.count("\n") == 1


def test_a_check_of_an_unusable_config_fails_in_a_message(program: Program, tmp_path: Path) -> None:
    result = program("check", "--config", write(tmp_path / "c.json", {"api_key": ""}))
    (found,) = [line["connectionStatus"] for line in result.lines if line["type"] == "CONNECTION_STATUS"]
    assert found["status"] == "FAILED"
    assert "api_key is empty" in found["message"]


# Failures


def test_a_stream_that_fails_is_told_and_the_others_finish(program: Program, config: Path, tmp_path: Path) -> None:
    kept = write(tmp_path / "catalog.json", catalog("incident_types", "severities"))
    result = program("read", "--config", config, "--catalog", kept)
    assert result.code == 1
    assert sum(line["type"] == "RECORD" for line in result.lines) == 2
    errors = [line["trace"]["error"] for line in result.lines if line.get("trace", {}).get("error")]
    assert errors[0]["stream_descriptor"]["name"] == "incident_types"
    assert errors[0]["failure_type"] == "config_error"
    singer = program("--config", config, "--catalog", kept)
    assert singer.code == 1
    assert sum(line["type"] == "RECORD" for line in singer.lines) == 2
    assert "incident_types: " in singer.err


def test_the_state_before_a_stream_failed_is_kept(
    program: Program, config: Path, tmp_path: Path, server: ScriptedServer
) -> None:
    kept = write(tmp_path / "catalog.json", catalog("alerts", mode=SyncMode.incremental))
    page = {"alerts": [{"id": "a1", "updated_at": "2026-01-01T00:00:00Z"}], "pagination_meta": {"after": "a1"}}
    server.add(answer(page), answer({}, 500))
    result = program("--config", config, "--catalog", kept)
    assert result.code == 1
    states = [line["value"]["bookmarks"] for line in result.lines if line["type"] == "STATE"]
    assert states[-1]["alerts"]["resume"]["after"] == "a1"


UNUSABLE: list[tuple[str, Any, str]] = [
    ("config", b"", "is not JSON"),
    ("config", b"[]", "a JSON object is wanted"),
    ("config", b"\xff\xfe{\x00}\x00", "UTF-16"),
    ("config", {}, "api_key is missing"),
    ("config", {"api_key": f"{KEY}\n{KEY}"}, "a line break"),
    ("config", {"api_key": KEY, "start_date": "soon"}, "start_date"),
    ("config", {"api_key": KEY, "start_date": "2999-01-01"}, "future"),
    ("config", {"api_key": KEY, "num_workers": -1}, "num_workers"),
    ("config", {"api_key": KEY, "endpoint": "http://api.incident.io"}, "https"),
    ("catalog", b"{", "is not JSON"),
    ("catalog", [], '"streams" list'),
    ("catalog", {"streams": []}, "no streams"),
    ("catalog", catalog("severity"), "no stream 'severity'"),
    ("catalog", catalog("severities", "severities"), "twice"),
    ("catalog", {"streams": [{"tap_stream_id": "severities", "schema": {"properties": {"x": {}}}}]}, "lacks its key"),
    ("state", b"nothing", "is not JSON"),
    ("state", {"severities": 1}, "neither"),
    ("state", {"bookmarks": {"incidents": 5}}, "'incidents'"),
    ("state", {"bookmarks": {"incidents": {"updated_at": "yesterday"}}}, "'incidents'"),
    ("state", {"bookmarks": {"incidents": {"something": 1}}}, "'incidents'"),
    ("state", [{"type": "GLOBAL", "global": {}}], "neither"),
]


@pytest.mark.parametrize("singer", [True, False])
@pytest.mark.parametrize(("what", "document", "said"), UNUSABLE)
def test_what_cannot_be_used_is_one_line_and_exit_2(
    program: Program, config: Path, tmp_path: Path, singer: bool, what: str, document: Any, said: str
) -> None:
    bad = write(tmp_path / "bad.json", document)
    files = {"config": config, "catalog": write(tmp_path / "k.json", catalog("incidents", mode=SyncMode.incremental))}
    files[what] = bad
    arguments = [part for name, path in files.items() for part in (f"--{name}", path)]
    result = program(*([] if singer else ["read"]), *arguments)
    assert result.code == 2
    assert result.err.startswith("tap-incident: ")
    assert result.err.count("\n") == 1
    assert said in result.err
    if singer:
        assert result.out == ""
    else:
        errors = [line["trace"]["error"] for line in result.lines if line["type"] == "TRACE"]
        assert [error["failure_type"] for error in errors] == ["config_error"]
        assert said in errors[0]["message"]
        assert not [line for line in result.lines if line["type"] not in ("TRACE", "LOG")]


@pytest.mark.parametrize("name", ["none.json", "folder", "bad\udcffname.json", "new\nline.json"])
@pytest.mark.parametrize("what", ["config", "catalog", "state"])
@pytest.mark.parametrize("command", [["read"], []])
def test_a_file_that_is_not_there_is_one_line(
    program: Program, config: Path, tmp_path: Path, name: str, what: str, command: list[str]
) -> None:
    (tmp_path / "folder").mkdir()
    arguments = {"config": config, what: tmp_path / name}
    result = program(*command, *(part for flag, path in arguments.items() for part in (f"--{flag}", path)))
    assert result.code == 2
    assert result.err.startswith(f"tap-incident: {what} ")
    assert result.err.count("\n") == 1


@pytest.mark.parametrize("what", ["config", "catalog", "state"])
@pytest.mark.parametrize("kind", ["100 MB", "endless", "not for us", "a circle of links", "UTF-16 without a mark"])
def test_a_file_that_cannot_be_read_whole_is_one_line(
    program: Program, config: Path, tmp_path: Path, what: str, kind: str
) -> None:
    path = tmp_path / "given.json"
    if kind == "100 MB":
        with path.open("wb") as file:
            file.truncate(100_000_000)
    elif kind == "endless":
        path.symlink_to("/dev/zero")
    elif kind == "a circle of links":
        path.symlink_to(path)
    elif kind == "not for us" and os.geteuid() == 0:
        path.symlink_to("/proc/self/mem")  # of which root can't read the beginning either
    elif kind == "not for us":
        write(path, {})
        path.chmod(0)
    else:
        write(path, '{"api_key": "x"}'.encode("utf-16-le"))
    arguments = {"config": config, what: path}
    result = program("read", *(part for flag, path in arguments.items() for part in (f"--{flag}", path)))
    assert result.code == 2
    assert result.err.startswith(f"tap-incident: {what} {path}: ")
    assert result.err.count("\n") == 1
    assert {line["type"] for line in result.lines} <= {"LOG", "TRACE"}


@pytest.mark.parametrize("what", ["config", "catalog", "state"])
def test_a_mark_at_the_beginning_and_a_pipe_are_no_fault(
    program: Program, config: Path, tmp_path: Path, what: str
) -> None:
    files = {
        "config": config,
        "catalog": write(tmp_path / "catalog.json", catalog("severities")),
        "state": write(tmp_path / "state.json", {"bookmarks": {}}),
    }
    marked = b"\xef\xbb\xbf" + files[what].read_bytes()
    pipe, fill = os.pipe()
    os.write(fill, marked)
    os.close(fill)
    arguments = [part for name, path in {**files, what: f"/dev/fd/{pipe}"}.items() for part in (f"--{name}", path)]
    result = program("read", *arguments)
    os.close(pipe)
    assert result.code == 0
    assert sum(line["type"] == "RECORD" for line in result.lines) == 2


@pytest.mark.parametrize(
    "line", ["write", "read --what", "--discover --test", "--format json", "--config", "spec --catalog"]
)
def test_a_line_that_cannot_be_used_is_one_line_and_exit_2(program: Program, line: str) -> None:
    result = program(*line.split())
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("tap-incident: ")
    assert result.err.endswith("See tap-incident --help\n")
    assert result.err.count("\n") == 1


def test_an_unknown_setting_is_a_warning_with_the_near_name(
    program: Program, tmp_path: Path, server: ScriptedServer
) -> None:
    given_config = write(tmp_path / "c.json", {"api_key": KEY, "endpont": server.url, "endpoint": server.url})
    result = program("--config", given_config, "--discover")
    assert "WARNING config: there is no setting 'endpont', did you mean 'endpoint'? It is ignored." in result.err


def test_state_of_a_stream_that_has_none_is_a_warning_and_kept(program: Program, config: Path, tmp_path: Path) -> None:
    kept = write(tmp_path / "catalog.json", catalog("severities"))
    state = write(tmp_path / "state.json", {"bookmarks": {"gone": {"at": 10**30, "b": 1}, "users": {"at": 1}}})
    result = program("--config", config, "--catalog", kept, "--state", state)
    assert result.code == 0
    assert "WARNING state: there is no stream 'gone', its state is not used." in result.err
    assert "WARNING state: 'users' is read in full, its state is not used." in result.err
    assert result.lines[-1]["value"]["bookmarks"]["gone"]["b"] == 1


def test_state_that_airbyte_gives_back_is_warned_of_only_where_it_is_of_no_use(
    program: Program, config: Path, tmp_path: Path
) -> None:
    kept = write(tmp_path / "catalog.json", catalog("severities"))
    first = [line["state"] for line in program("read", "--config", config, "--catalog", kept).lines if "state" in line]
    gone = {"type": "STREAM", "stream": {"stream_descriptor": {"name": "gone"}, "stream_state": {}}}
    given = write(tmp_path / "state.json", [*first, gone])
    result = program("read", "--config", config, "--catalog", kept, "--state", given)
    warned = [line["log"]["message"] for line in result.lines if line.get("log", {}).get("level") == "WARN"]
    assert warned == ["state: there is no stream 'gone', its state is not used. Take it out"]


@pytest.mark.parametrize(
    ("name", "mode", "field", "said"),
    [
        (
            "incidents",
            SyncMode.incremental,
            ["created_at"],
            ["created_at is not used for reading. Set it to updated_at"],
        ),
        ("alert_notes", SyncMode.incremental, ["at"], ["at is not used for reading. Leave it out"]),
        ("incidents", SyncMode.incremental, ["updated_at"], []),
        ("incidents", SyncMode.incremental, [], []),
        ("incidents", SyncMode.full_refresh, ["created_at"], []),
    ],
)
def test_a_cursor_field_that_is_not_the_streams_own_is_a_warning(
    program: Program, config: Path, tmp_path: Path, name: str, mode: SyncMode, field: list[str], said: list[str]
) -> None:
    document = catalog(name, mode=mode)
    document["streams"][0]["cursor_field"] = field
    result = program("read", "--config", config, "--catalog", write(tmp_path / "catalog.json", document))
    warned = [line["log"]["message"] for line in result.lines if line.get("log", {}).get("level") == "WARN"]
    assert [f"catalog: {name}: the cursor_field {text}" in warned[0] for text in said] == [True] * len(warned)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"stream": {"name": "users"}, "sync_mode": "full_refresh"}, "not a configured stream of the Airbyte protocol"),
        ({"name": "users", "json_schema": {}, "supported_sync_modes": 5}, "not a stream of the Airbyte protocol"),
        ({"tap_stream_id": "users", "schema": {}, "metadata": [{}]}, "has no breadcrumb list"),
    ],
)
@pytest.mark.parametrize("command", [["read"], []])
def test_a_damaged_entry_of_any_catalog_says_how_to_get_a_whole_one(
    program: Program, config: Path, tmp_path: Path, command: list[str], document: Any, said: str
) -> None:
    result = program(*command, "--config", config, "--catalog", write(tmp_path / "k.json", {"streams": [document]}))
    assert result.code == 2
    assert said in result.err
    assert result.err.endswith(". Make one with --discover\n")


@pytest.mark.parametrize(
    ("what", "advice"),
    [
        ("config", "Make one with tap-incident --init"),
        ("catalog", "Make one with tap-incident --discover"),
        ("state", "Start without it, or with an older one"),
    ],
)
@pytest.mark.parametrize("content", [None, b"{", b""])
def test_a_file_that_cannot_be_used_says_what_to_do(
    program: Program, config: Path, tmp_path: Path, what: str, advice: str, content: bytes | None
) -> None:
    path = tmp_path / "file.json"
    if content is not None:
        path.write_bytes(content)
    files = {"config": config, what: path}
    result = program(*(word for flag, file in files.items() for word in (f"--{flag}", file)))
    assert result.code == 2
    assert result.err.startswith(f"tap-incident: {what} {path}: ")
    assert result.err.endswith(f". {advice}\n")


@pytest.mark.parametrize(
    "document", [b'{"bookmarks": {"gone": {"a": "\\ud800"}}}', b'{"bookmarks": {"gone": {"a": NaN}}}']
)
def test_what_no_line_can_hold_is_refused_when_it_is_read(
    program: Program, config: Path, tmp_path: Path, document: bytes
) -> None:
    kept = write(tmp_path / "catalog.json", catalog("severities"))
    result = program("--config", config, "--catalog", kept, "--state", write(tmp_path / "state.json", document))
    assert result.code == 2
    assert "is not JSON" in result.err


def test_a_targets_output_for_a_state_says_to_take_its_last_line(
    program: Program, config: Path, tmp_path: Path
) -> None:
    path = write(tmp_path / "state.jsonl", b'{"bookmarks": {}}\n{"bookmarks": {"alerts": {}}}\n')
    result = program("--config", config, "--state", path)
    assert result.code == 2
    said = f"state {path}: holds several lines, and the last one is the state. Take that: tail -n 1 {path} > state.json"
    assert result.err == f"tap-incident: {said}\n"


def test_the_key_is_taken_from_the_environment(
    program: Program, tmp_path: Path, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INCIDENT_API_KEY", KEY)
    monkeypatch.setenv("INCIDENT_ENDPOINT", server.url)
    kept = write(tmp_path / "catalog.json", catalog("severities"))
    for arguments in (["--config", "ENV"], []):
        result = program("--catalog", kept, *arguments)
        assert result.code == 0
        assert sum(line["type"] == "RECORD" for line in result.lines) == 2


def test_debug_shows_no_key(program: Program, config: Path, tmp_path: Path) -> None:
    kept = write(tmp_path / "catalog.json", catalog("severities", "incidents"))
    for command in (["read"], ["--singer", "read"]):
        assert program(*command, "--debug", "--config", config, "--catalog", kept).code == 0


@given(st.sampled_from(["catalog", "state"]), json_values, st.booleans())
@hypothesis_settings(max_examples=40)
def test_any_json_is_read_or_refused_in_one_line(
    program: Program, config: Path, tmp_path: Path, what: str, document: Any, singer: bool
) -> None:
    if what == "state":
        document = {"bookmarks": {"severities": document, "gone": document}}
    files = {"catalog": write(tmp_path / "k.json", catalog("severities"))}
    files[what] = write(tmp_path / "fuzz.json", document)
    arguments = [part for name, path in files.items() for part in (f"--{name}", path)]
    result = program(*(["--singer"] if singer else []), "read", "--config", config, *arguments)
    assert result.code in (0, 2)
    assert "please report" not in result.err
    for line in result.lines:
        assert line["type"] in ("RECORD", "STATE", "SCHEMA", "LOG", "TRACE")


def mutated(draw: st.DrawFn, value: Any, depth: int) -> Any:
    """The value with something in it replaced, taken out or doubled."""
    if depth and isinstance(value, dict) and value:
        key = draw(st.sampled_from(sorted(value)))
        change = draw(st.sampled_from(["inner", "gone", "other"]))
        rest = {name: inner for name, inner in value.items() if name != key}
        if change == "gone":
            return rest
        return {**rest, key: mutated(draw, value[key], depth - 1) if change == "inner" else draw(json_values)}
    if depth and isinstance(value, list) and value:
        place = draw(st.integers(0, len(value) - 1))
        change = draw(st.sampled_from(["inner", "gone", "doubled"]))
        new = {"inner": [mutated(draw, value[place], depth - 1)], "gone": [], "doubled": [value[place]] * 2}[change]
        return [*value[:place], *new, *value[place + 1 :]]
    return draw(json_values)


@st.composite
def mutated_pages(draw: st.DrawFn) -> Any:
    """A page of incidents, with nested rows, as it should be but for one place."""
    incident = {
        "id": "01I",
        "mode": "standard",
        "updated_at": "2026-01-01T00:00:00Z",
        "incident_status": {"category": "live"},
        "custom_field_entries": [{"custom_field": {"id": "01F"}, "values": []}],
    }
    page = {"incidents": [incident, {**incident, "id": "01J"}], "pagination_meta": {"after": None, "page_size": 250}}
    return mutated(draw, page, draw(st.integers(0, 5)))


@given(mutated_pages(), st.booleans())
@hypothesis_settings(max_examples=60, deadline=None)
def test_any_answer_is_read_or_told_in_one_line(
    program: Program, config: Path, tmp_path: Path, server: ScriptedServer, page: Any, singer: bool
) -> None:
    kept = write(tmp_path / "catalog.json", catalog("incidents", mode=SyncMode.incremental))
    server.add(answer(page))
    result = program(*(["--singer"] if singer else []), "read", "--config", config, "--catalog", kept)
    assert result.code in (0, 1)
    for text in ("please report it (", "the connector failed"):
        assert text not in result.out + result.err
    for line in result.lines:
        assert line["type"] in ("RECORD", "STATE", "SCHEMA", "LOG", "TRACE")


# What needs no source


def test_version_and_spec_and_about(program: Program) -> None:
    assert program("--version").out.startswith("tap-incident 0.")
    (spec,) = program("spec").lines
    assert spec["type"] == "SPEC"
    assert AirbyteMessageSerializer.load(spec).spec is not None
    about = json.loads(program("--about").out)
    assert about["name"] == "tap-incident"
    assert {"catalog", "discover", "state", "about", "properties"} <= set(about["capabilities"])
    assert about["settings"]["required"] == ["api_key"]
    assert about["settings"]["properties"]["api_key"]["secret"] is True
    assert "order" not in about["settings"]["properties"]["api_key"]
    shown = program("--about", "--format", "markdown").out
    assert all(f"| `{name}` |" in shown for name in about["settings"]["properties"])


CALLED = """
import runpy, sys
sys.argv[0] = "source_incident"
try:
    runpy.run_module("source_incident", run_name="__main__")
finally:
    heavy = {"airbyte_cdk", "requests", "pydantic", "rich", "shtab", "source_incident.source"} & set(sys.modules)
    print("heavy:", *sorted(heavy), file=sys.stderr)
"""


@pytest.mark.parametrize("line", ["--help", "--version", "spec", "--about", "--format x"])
def test_what_needs_no_source_does_not_import_it(line: str) -> None:
    result = subprocess.run(
        [sys.executable, "-c", CALLED, *line.split()], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.stderr.splitlines()[-1] == "heavy:"
    assert result.returncode == (2 if line == "--format x" else 0)


def test_from_outside_stdout_has_nothing_but_messages_and_stderr_one_line(tmp_path: Path) -> None:
    bad = write(tmp_path / "c.json", {"api_key": KEY, "endpoint": "http://127.0.0.1:1", "max_retries": 0})
    kept = write(tmp_path / "k.json", catalog("severities"))
    result = subprocess.run(
        [sys.executable, "-m", "source_incident", "read", "--config", bad, "--catalog", kept],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 1
    assert {json.loads(line)["type"] for line in result.stdout.splitlines()} <= {"LOG", "TRACE"}
    assert "connection refused" in result.stdout
    assert result.stderr.count("\n") <= 1
    assert "Traceback" not in result.stderr
    for secret in RAW_AND_ESCAPED:
        assert secret not in result.stdout + result.stderr


# Output


def test_a_key_is_hidden_in_text_and_in_json(program: Program, capfd: pytest.CaptureFixture[str]) -> None:
    saved = os.dup(1)
    output = Output(singer=True, debug=False)
    output.hide(f" {KEY}\n")
    output.write(json.dumps({"a": f"x{KEY}x"}).encode() + b"\n")
    output.logger.warning("the key %s", KEY)
    output.failed(f"the key {KEY}\nover two lines")
    output.flush()
    os.dup2(saved, 1)
    os.close(saved)
    out, err = capfd.readouterr()
    assert json.loads(out) == {"a": "x****x"}
    assert err == "WARNING the key ****\ntap-incident: the key **** over two lines\n"


@pytest.mark.parametrize("secret", ["a", "record", "", " ", None, 5, ["x"]])
def test_what_is_too_short_to_be_a_key_does_not_break_the_lines(
    program: Program, capfd: pytest.CaptureFixture[str], secret: Any
) -> None:
    saved = os.dup(1)
    output = Output(singer=True, debug=False)
    output.hide(secret)
    output.write(b'{"type": "RECORD", "record": {"a": 1}}\n')
    output.flush()
    os.dup2(saved, 1)
    os.close(saved)
    assert json.loads(capfd.readouterr().out) == {"type": "RECORD", "record": {"a": 1}}


# How far a read is


@pytest.mark.parametrize("flags", [[], ["--no-progress"]])
@pytest.mark.parametrize("command", [["read"], []])
def test_a_log_gets_a_line_a_stream_under_way_unless_it_is_not_wanted(
    program: Program,
    config: Path,
    tmp_path: Path,
    server: ScriptedServer,
    monkeypatch: pytest.MonkeyPatch,
    command: list[str],
    flags: list[str],
) -> None:
    monkeypatch.setattr(display, "LOG_SECONDS", 0.1)
    first, second = (
        answer({"escalations": [{"id": id_}], "pagination_meta": {"after": after}})
        for id_, after in (("first", "p2"), ("second", None))
    )

    def slow(connection: socket.socket) -> None:
        server.wait(0.5)
        connection.sendall(second)

    server.add(first, slow)
    kept = write(tmp_path / "catalog.json", catalog("escalations"))
    result = program(*command, "--config", config, "--catalog", kept, *flags)
    assert result.code == 0
    said = (
        result.err
        if not command
        else "\n".join(line["log"]["message"] for line in result.lines if line["type"] == "LOG")
    )
    assert ("escalations: 1 records, " in said) != bool(flags)
    assert "Summary: 1 of 1 stream finished; 2 records; 2 requests, 0 retries" in said
