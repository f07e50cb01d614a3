"""What the image needs from whoever starts it, and what it goes without."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import BuildError
from docker.models.images import Image
from packaging.utils import canonicalize_name

from integration_tests.container.conftest import KEY, ROOT, SECONDS, SHELL, Connector
from integration_tests.support.tap import stream_states
from sandbox import Sandbox

pytestmark = pytest.mark.container

# make container-memory reads a million of them
ALERTS = int(os.environ.get("CONTAINER_ALERTS", "100000"))
PAGE = 50
SLOW = 4000
LIMIT = 256 * 1024 * 1024
PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)

# All that can be started goes, save Python and the program.
WITHOUT_A_SHELL = """
FROM {image}
USER 0:0
RUN ["python", "-c", "import os, pathlib; [os.remove(p) for d in ('/bin', '/sbin', '/usr/bin', '/usr/sbin', \
'/usr/local/bin') for p in pathlib.Path(d).iterdir() if not p.name.startswith('python') and not p.is_dir()]"]
USER 1000:1000
"""


@pytest.fixture
def alerts_only(connector: Connector, config: str, write: Callable[[str, Any], str]) -> str:
    """The path, in the container, of a catalog that has the stream alerts alone."""
    [message] = connector.run("discover", "--config", config).messages("CATALOG")
    [stream] = [stream for stream in message["catalog"]["streams"] if stream["name"] == "alerts"]
    configured = {"stream": stream, "sync_mode": "incremental", "destination_sync_mode": "append_dedup"}
    return write("catalog.json", {"streams": [configured]})


@pytest.fixture(scope="module")
def bare_image(engine: docker.DockerClient, image: Image) -> Iterator[Image]:
    """The image without its shell and every other program of the system."""
    built, _ = engine.images.build(fileobj=io.BytesIO(WITHOUT_A_SHELL.format(image=image.id).encode()), rm=True)
    yield built
    engine.images.remove(built.id, force=True)


@pytest.mark.parametrize("user", ["0:0", "1000680000:0", "65534:65534"])
def test_it_runs_as_any_user(connector: Connector, config: str, user: str) -> None:
    """No entry in /etc/passwd is needed, no home directory, nothing that may be written to."""
    ended = connector.run("read", "--config", config, network="host", user=user)
    assert ended.code == 0, ended.errors
    assert ended.messages("RECORD")


def test_the_tests_drop_what_they_say(connector: Connector) -> None:
    """The other tests prove nothing if the engine grants what they take away."""
    tried = connector.run(
        "id -un; touch /airbyte/x /tmp/x /x; grep -E 'CapEff|NoNewPrivs' /proc/self/status; ls /sys/class/net",
        entrypoint=SHELL,
    )
    assert "cannot find name for user ID 12345" in tried.errors
    assert tried.errors.count("Read-only file system") == 3
    assert [line.split()[-1] for line in tried.lines if ":" in line] == ["0" * 16, "1"]
    assert [line for line in tried.lines if ":" not in line and not line.isdigit()] == ["lo"]


def test_it_needs_no_shell_and_no_other_program(
    connector: Connector, bare_image: Image, sandbox: str, config: str
) -> None:
    bare = replace(connector, image=bare_image)
    with pytest.raises(docker.errors.APIError, match="no such file"):
        bare.run("true", entrypoint=SHELL)
    assert bare.run("spec").messages("SPEC")
    assert bare.run("discover", "--config", config).messages("CATALOG")
    ended = bare.run("read", "--config", config, network="host")
    assert ended.code == 0, ended.errors
    assert ended.messages("RECORD")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_to_process_1_ends_it_with_a_true_state(
    connector: Connector, write: Callable[[str, Any], str], alerts_only: str, number: signal.Signals, code: int
) -> None:
    """Process 1 gets no default handling of signals: what does not ask for one never hears of it."""
    with Sandbox(key=KEY, alerts=SLOW, plain=True, latency=50.0) as slow:
        config = write("config.json", {"api_key": KEY, "endpoint": slow.url})
        container = connector.create(
            "read", "--config", config, "--catalog", alerts_only, network="host", keep_output=False
        )
        try:
            output = container.attach(stdout=True, stderr=False, stream=True)
            container.start()
            taken, asked = b"", False
            for chunk in output:
                taken += chunk
                if not asked and b'"STATE"' in taken:
                    container.kill(number)
                    asked = True
            assert container.wait(timeout=SECONDS)["StatusCode"] == code
        finally:
            container.remove(force=True)
        first = [json.loads(line) for line in taken.splitlines()]
        slow.config(latency=0)
        [last] = [message["state"] for message in first if message["type"] == "STATE"][-1:]
        assert "resume" in stream_states([last])["alerts"]
        state = write("state.json", [last])
        rest = connector.run(
            "read", "--config", config, "--catalog", alerts_only, "--state", state, network="host"
        ).messages("RECORD")
    before = [message["record"]["data"]["id"] for message in first if message["type"] == "RECORD"]
    after = [message["record"]["data"]["id"] for message in rest]
    assert 0 < len(before) < SLOW
    assert len(set(before) | set(after)) == SLOW
    assert len(before) + len(after) - SLOW <= 3 * PAGE


def test_a_long_list_stays_below_the_limit_of_memory(
    connector: Connector, write: Callable[[str, Any], str], alerts_only: str
) -> None:
    """256 MB and no swap: the kernel ends what takes more."""
    with Sandbox(process=True, key=KEY, alerts=ALERTS, plain=True) as sandbox:
        config = write("config.json", {"api_key": KEY, "endpoint": sandbox.url})
        container = connector.create(
            "read", "--config", config, "--catalog", alerts_only, network="host", keep_output=False
        )
        try:
            output = container.attach(stdout=True, stderr=False, stream=True)
            container.start()
            records = sum(line.startswith(b'{"type":"RECORD"') for line in _lines(output))
            assert container.wait(timeout=SECONDS)["StatusCode"] == 0
            container.reload()
            state, limits = container.attrs["State"], container.attrs["HostConfig"]
        finally:
            container.remove(force=True)
    assert records == ALERTS
    assert not state["OOMKilled"]
    assert (limits["Memory"], limits["MemorySwap"]) == (LIMIT, LIMIT)


def test_what_takes_more_memory_is_ended(connector: Connector) -> None:
    """The other half of the proof: the engine holds the limit."""
    ended = connector.run("-c", f"bytearray({2 * LIMIT})[::4096]", entrypoint=["python"])
    assert ended.code == 128 + signal.SIGKILL


def test_the_image_has_the_locked_packages_and_no_others(connector: Connector) -> None:
    program = "import importlib.metadata as m; [print(d.name, d.version) for d in m.distributions()]"
    installed = dict(line.split() for line in connector.run("-c", program, entrypoint=["python"]).lines)
    locked = {
        canonicalize_name(name): version for name, version in PIN.findall((ROOT / "requirements.lock").read_text())
    }
    found = {canonicalize_name(name): version for name, version in installed.items()}
    del found["tap-incident"]
    assert set(found) <= set(locked)
    assert found == {name: locked[name] for name in found}
    # what builds the package is not needed to run it; the rest is for another system
    assert "setuptools" not in found
    assert {"airbyte-cdk", "orjson", "requests"} <= set(found)


def test_a_package_that_is_not_the_locked_one_ends_the_build(engine: docker.DockerClient) -> None:
    entry = re.search(r"^six==.*?(?=^[A-Za-z])", (ROOT / "requirements.lock").read_text(), re.MULTILINE | re.DOTALL)
    assert entry is not None
    other = re.sub(r"sha256:\w+", "sha256:" + "0" * 64, entry[0])
    with tempfile.TemporaryDirectory() as directory:
        context = Path(directory)
        (context / "Dockerfile").write_text((ROOT / "Dockerfile").read_text())
        (context / "requirements.lock").write_text(other)
        with pytest.raises(BuildError) as failed:
            engine.images.build(path=directory, target="build", network_mode="host", rm=True, forcerm=True)
    said = "".join(line.get("stream", "") for line in failed.value.build_log)
    assert "DO NOT MATCH THE HASHES" in said


def _lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
    assert rest == b"", "the last line has no end"
