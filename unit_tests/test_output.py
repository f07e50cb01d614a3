"""Output: the redaction of the API key."""

import json
import os
from collections.abc import Callable
from typing import Any

import pytest

from source_incident.output import Output
from unit_tests.conftest import KEY


def written(use: Callable[[Output], None], capfd: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """What a Singer output writes to stdout and stderr."""
    saved = os.dup(1)
    output = Output(singer=True, debug=False)
    use(output)
    output.flush()
    os.dup2(saved, 1)
    os.close(saved)
    return capfd.readouterr()


@pytest.mark.usefixtures("program")
def test_redacts_the_key_in_text_and_in_json(capfd: pytest.CaptureFixture[str]) -> None:
    def use(output: Output) -> None:
        output.add_secret(f" {KEY}\n")
        output.write(json.dumps({"a": f"x{KEY}x"}).encode() + b"\n")
        output.logger.warning("the key %s", KEY)
        output.report_failure(f"the key {KEY}\nover two lines")

    out, err = written(use, capfd)
    assert json.loads(out) == {"a": "x****x"}
    assert err == "WARNING the key ****\ntap-incident: the key **** over two lines\n"


@pytest.mark.usefixtures("program")
@pytest.mark.parametrize("secret", ["a", "record", "", " ", None, 5, ["x"]])
def test_does_not_redact_a_text_that_is_too_short_for_a_key(capfd: pytest.CaptureFixture[str], secret: Any) -> None:
    def use(output: Output) -> None:
        output.add_secret(secret)
        output.write(b'{"type": "RECORD", "record": {"a": 1}}\n')

    out, _ = written(use, capfd)
    assert json.loads(out) == {"type": "RECORD", "record": {"a": 1}}
