"""`python -m sandbox` and sandboxes in a process of their own."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
import requests

from sandbox import Options, Sandbox
from sandbox.__main__ import make_parser

from .conftest import Client


def test_serves_from_a_separate_process() -> None:
    started = time.monotonic()
    with Sandbox(process=True, incidents=4, key="another", forbid=["users.view"]) as sandbox:
        assert time.monotonic() - started < 10
        client = Client(sandbox)
        assert client.ok("/v2/incidents", **{"mode[one_of]": "standard"})["incidents"]
        assert client.get("/v2/users").status_code == 403
        assert sandbox.pid
        url = sandbox.url
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=1)


def test_the_command_line_has_every_option() -> None:
    options = Options(incidents=3, buckets=True, rate_headers=False, fault=["500", "429:nth=2"], now="2026-01-01")
    parsed = vars(make_parser().parse_args(options.to_arguments()))
    assert {k: v for k, v in parsed.items() if k not in ("host", "port", "with_parent")} == vars(options)


@pytest.mark.parametrize(
    "options",
    [
        ["--data", "does-not-exist"],
        ["--now", "soon"],
        ["--fault", "nonsense"],
        ["--incidents", "x"],
        ["--on-call", "no"],
    ],
)
def test_an_invalid_option_exits_with_2_and_a_message(options: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sandbox", *options],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.strip()


def test_exits_with_the_process_that_started_it() -> None:
    program = (
        "import os; from sandbox import Sandbox; s = Sandbox(process=True, incidents=1);"
        "s.start(); print(s.url, flush=True); os._exit(0)"
    )
    # The sandbox inherits stderr and not stdout, so stdout closes when the parent exits.
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, timeout=30, check=True)
    deadline = time.monotonic() + 10
    while answers(done.stdout.strip()):
        assert time.monotonic() < deadline
        time.sleep(0.2)


def answers(url: str) -> bool:
    try:
        return requests.get(url + "/_sandbox/requests", timeout=1).ok
    except requests.ConnectionError:
        return False
