"""The image without privileges: any user, a read-only root, little memory, no shell."""

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

from integration_tests.container.connector import SHELL, Connector
from integration_tests.support.sandboxes import KEY
from integration_tests.support.tap import ROOT, SECONDS, stream_states
from sandbox import Sandbox

pytestmark = pytest.mark.container

# `make container-memory` reads a million
ALERTS = int(os.environ.get("CONTAINER_ALERTS", "100000"))
PAGE = 50
ALERTS_UNTIL_SIGNAL = 4000
MEMORY_LIMIT = 256 * 1024 * 1024
LOCK = ROOT / "locks" / "image.lock"
PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)

# Removes every program except Python and the connector.
WITHOUT_A_SHELL = """
FROM {image}
USER 0:0
RUN ["python", "-c", "import os, pathlib; [os.remove(p) for d in ('/bin', '/sbin', '/usr/bin', '/usr/sbin', \
'/usr/local/bin') for p in pathlib.Path(d).iterdir() if not p.name.startswith('python') and not p.is_dir()]"]
USER 1000:1000
"""


@pytest.fixture
def alerts_only(connector: Connector, config: str, write: Callable[[str, Any], str]) -> str:
    """The path, in the container, of a catalog with the stream alerts only."""
    [message] = connector.run("discover", "--config", config).messages("CATALOG")
    [stream] = [stream for stream in message["catalog"]["streams"] if stream["name"] == "alerts"]
    configured = {"stream": stream, "sync_mode": "incremental", "destination_sync_mode": "append_dedup"}
    return write("catalog.json", {"streams": [configured]})


@pytest.fixture(scope="module")
def bare_image(engine: docker.DockerClient, image: Image) -> Iterator[Image]:
    """The image without a shell and other system programs."""
    built, _ = engine.images.build(fileobj=io.BytesIO(WITHOUT_A_SHELL.format(image=image.id).encode()), rm=True)
    yield built
    engine.images.remove(built.id, force=True)


@pytest.mark.parametrize("user", ["0:0", "1000680000:0", "65534:65534"])
def test_runs_as_any_user(connector: Connector, config: str, user: str) -> None:
    """It needs no entry in /etc/passwd, no home directory and no writable path."""
    result = connector.run("read", "--config", config, network="host", user=user)
    assert result.code == 0, result.errors
    assert result.messages("RECORD")


def test_the_containers_of_these_tests_have_no_privileges(connector: Connector) -> None:
    """Without this, the other tests would prove nothing."""
    result = connector.run(
        "id -un; touch /airbyte/x /tmp/x /x; grep -E 'CapEff|NoNewPrivs' /proc/self/status; ls /sys/class/net",
        entrypoint=SHELL,
    )
    assert "cannot find name for user ID 12345" in result.errors
    assert result.errors.count("Read-only file system") == 3
    assert [line.split()[-1] for line in result.lines if ":" in line] == ["0" * 16, "1"]
    assert [line for line in result.lines if ":" not in line and not line.isdigit()] == ["lo"]


def test_needs_no_shell_and_no_other_program(
    connector: Connector, bare_image: Image, sandbox: str, config: str
) -> None:
    bare = replace(connector, image=bare_image)
    with pytest.raises(docker.errors.APIError, match="no such file"):
        bare.run("true", entrypoint=SHELL)
    assert bare.run("spec").messages("SPEC")
    assert bare.run("discover", "--config", config).messages("CATALOG")
    result = bare.run("read", "--config", config, network="host")
    assert result.code == 0, result.errors
    assert result.messages("RECORD")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_to_process_1_ends_it_with_a_valid_state(
    connector: Connector, write: Callable[[str, Any], str], alerts_only: str, number: signal.Signals, code: int
) -> None:
    """The kernel drops signals to process 1 for which it has no handler."""
    with Sandbox(key=KEY, alerts=ALERTS_UNTIL_SIGNAL, plain=True, latency=50.0) as slow:
        config = write("config.json", {"api_key": KEY, "endpoint": slow.url})
        container = connector.create(
            "read", "--config", config, "--catalog", alerts_only, network="host", keep_output=False
        )
        try:
            output = container.attach(stdout=True, stderr=False, stream=True)
            container.start()
            stdout, is_signalled = b"", False
            for chunk in output:
                stdout += chunk
                if not is_signalled and b'"STATE"' in stdout:
                    container.kill(number)
                    is_signalled = True
            assert container.wait(timeout=SECONDS)["StatusCode"] == code
        finally:
            container.remove(force=True)
        first = [json.loads(line) for line in stdout.splitlines()]
        slow.config(latency=0)
        [last] = [message["state"] for message in first if message["type"] == "STATE"][-1:]
        assert "resume" in stream_states([last])["alerts"]
        state = write("state.json", [last])
        rest = connector.run(
            "read", "--config", config, "--catalog", alerts_only, "--state", state, network="host"
        ).messages("RECORD")
    before = [message["record"]["data"]["id"] for message in first if message["type"] == "RECORD"]
    after = [message["record"]["data"]["id"] for message in rest]
    assert 0 < len(before) < ALERTS_UNTIL_SIGNAL
    assert len(set(before) | set(after)) == ALERTS_UNTIL_SIGNAL
    assert len(before) + len(after) - ALERTS_UNTIL_SIGNAL <= 3 * PAGE


def test_reads_a_long_list_within_the_memory_limit(
    connector: Connector, write: Callable[[str, Any], str], alerts_only: str
) -> None:
    """The container has 256 MB and no swap. The kernel kills it if it needs more."""
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
    assert (limits["Memory"], limits["MemorySwap"]) == (MEMORY_LIMIT, MEMORY_LIMIT)


def test_a_container_above_the_memory_limit_is_killed(connector: Connector) -> None:
    """Proves that the engine enforces the limit."""
    result = connector.run("-c", f"bytearray({2 * MEMORY_LIMIT})[::4096]", entrypoint=["python"])
    assert result.code == 128 + signal.SIGKILL


def test_the_image_has_only_the_locked_packages(connector: Connector) -> None:
    program = "import importlib.metadata as m; [print(d.name, d.version) for d in m.distributions()]"
    installed = dict(line.split() for line in connector.run("-c", program, entrypoint=["python"]).lines)
    locked = {canonicalize_name(name): version for name, version in PIN.findall(LOCK.read_text())}
    packages = {canonicalize_name(name): version for name, version in installed.items()}
    del packages["tap-incident"]
    # The lock also has packages for other systems.
    assert set(packages) <= set(locked)
    assert packages == {name: locked[name] for name in packages}
    # Packages that build the connector are not needed to run it.
    assert "setuptools" not in packages
    assert {"airbyte-cdk", "orjson", "requests"} <= set(packages)


def test_the_build_fails_if_a_package_has_another_hash(engine: docker.DockerClient) -> None:
    entry = re.search(r"^six==.*?(?=^[A-Za-z])", LOCK.read_text(), re.MULTILINE | re.DOTALL)
    assert entry is not None
    lock_with_wrong_hash = re.sub(r"sha256:\w+", "sha256:" + "0" * 64, entry[0])
    with tempfile.TemporaryDirectory() as directory:
        context = Path(directory)
        (context / "Dockerfile").write_text((ROOT / "Dockerfile").read_text())
        (context / "locks").mkdir()
        (context / "locks" / LOCK.name).write_text(lock_with_wrong_hash)
        with pytest.raises(BuildError) as failed:
            engine.images.build(path=directory, target="build", network_mode="host", rm=True, forcerm=True)
    log = "".join(line.get("stream", "") for line in failed.value.build_log)
    assert "DO NOT MATCH THE HASHES" in log


def _lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
    assert rest == b"", "the last line is incomplete"
