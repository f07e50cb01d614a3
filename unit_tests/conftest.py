"""Settings and fixtures of all unit tests."""

import json
import logging
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, settings

from source_incident import run

# It has characters that JSON escapes, so that a test sees the key in text and in JSON.
KEY = 'inc_5ecret"key\\0123456789'
RAW_AND_ESCAPED = (KEY, json.dumps(KEY)[1:-1])

# No deadline: the first example of a test pays for imports. CI runs the same examples every time.
settings.register_profile(
    "project",
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("project")


def pytest_configure(config: pytest.Config) -> None:
    # The lint of the spec is one of the CDK's standard tests, which use this marker.
    config.addinivalue_line("markers", "image_tests: the CDK's, not used here")
    # A shell starts its background jobs with SIGINT ignored, and so would the programs that the tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)


class Result(NamedTuple):
    """What a run of the program printed."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]

    def logged(self, level: str) -> list[str]:
        """The messages of the Airbyte LOG lines with a level."""
        return [line["log"]["message"] for line in self.lines if line.get("log", {}).get("level") == level]


Program = Callable[..., Result]


@pytest.fixture
def program(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Program]:
    """Runs the program in this process, and checks that it prints neither the API key nor a traceback."""
    for name in [name for name in os.environ if "INCIDENT_" in name]:
        monkeypatch.delenv(name)
    root, airbyte = logging.getLogger(), logging.getLogger("airbyte")
    before = root.handlers, root.level, airbyte.handlers, airbyte.level, airbyte.propagate
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}

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
