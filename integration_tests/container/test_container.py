"""The image as the Airbyte platform and a Singer user run it."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from airbyte_cdk.models import AirbyteMessageSerializer
from docker.models.images import Image
from jsonschema import Draft7Validator

from integration_tests.container.connector import DEFAULT_STREAMS, SHELL, Connector
from integration_tests.support.account import declarations
from integration_tests.support.sandboxes import KEY
from integration_tests.support.tap import ROOT

pytestmark = pytest.mark.container

MAX_MEGABYTES = 240


def test_the_image_has_labels_an_entrypoint_and_a_user(image: Image) -> None:
    metadata = yaml.safe_load((ROOT / "metadata.yaml").read_text())["data"]
    assert image.labels["io.airbyte.name"] == metadata["dockerRepository"]
    assert image.labels["io.airbyte.version"] == metadata["dockerImageTag"]
    config = image.attrs["Config"]
    assert config["Entrypoint"] == ["tap-incident"]
    assert config["User"] == "1000:1000"


def test_the_image_is_small_and_has_no_build_tools(image: Image, connector: Connector) -> None:
    assert image.attrs["Size"] < MAX_MEGABYTES * 1_000_000
    tools = "for tool in pip pip3 gcc cc g++ make uv; do command -v $tool; done; "
    modules = "python -c 'import pip' || python -c 'import ensurepip' || /usr/bin/env python3 -m pip"
    result = connector.run(tools + modules, entrypoint=SHELL)
    assert result.lines == []
    assert "No module named 'pip'" in result.errors
    assert "No module named 'ensurepip'" in result.errors


def test_the_image_has_no_setuid_programs_no_perl_and_no_package_manager(connector: Connector) -> None:
    script = (
        "find / -xdev -type f -perm /6000; "
        "for tool in perl apt apt-get dpkg passwd mount useradd; do command -v $tool; done; "
        "grep -rlI --max-count 1 '^#!.*perl' /usr/bin /usr/sbin /usr/local/bin"
    )
    result = connector.run(script, entrypoint=SHELL, user="0:0")
    assert result.lines == []


def test_the_image_lists_its_system_packages_for_scanners(connector: Connector) -> None:
    result = connector.run("sed -n 's/^Package: //p' /var/lib/dpkg/status; cat /etc/os-release", entrypoint=SHELL)
    assert {"libc6", "bash", "coreutils", "ca-certificates", 'VERSION_ID="12"'} <= set(result.lines)
    assert {"perl-base", "apt", "dpkg"} & set(result.lines) == set()


def test_the_image_has_the_programs_that_the_platform_uses(connector: Connector) -> None:
    """Its scripts start connectors with these."""
    tools = "sh bash cat tail head mkdir mkfifo touch sleep find grep sed rm kill"
    result = connector.run(f"for tool in {tools}; do command -v $tool >/dev/null || echo $tool; done", entrypoint=SHELL)
    assert (result.lines, result.code) == ([], 0)


def test_spec_needs_no_network(connector: Connector) -> None:
    result = connector.run("spec")
    assert result.code == 0, result.errors
    [message] = result.messages("SPEC")
    schema = message["spec"]["connectionSpecification"]
    Draft7Validator.check_schema(schema)
    assert schema["properties"]["api_key"]["airbyte_secret"] is True


def test_starts_with_the_entrypoint_of_the_platform(connector: Connector) -> None:
    """The platform runs `eval "$AIRBYTE_ENTRYPOINT spec"` in a shell."""
    result = connector.run('eval "$AIRBYTE_ENTRYPOINT spec"', entrypoint=SHELL)
    assert result.code == 0, result.errors
    assert len(result.messages("SPEC")) == 1


def test_discover_needs_no_network(connector: Connector, config: str) -> None:
    result = connector.run("discover", "--config", config)
    assert result.code == 0, result.errors
    [message] = result.messages("CATALOG")
    names = {stream["name"] for stream in message["catalog"]["streams"]}
    assert names == declarations().keys()


def test_check_succeeds_with_the_right_key(connector: Connector, config: str) -> None:
    result = connector.run("check", "--config", config, network="host")
    [message] = result.messages("CONNECTION_STATUS")
    assert message["connectionStatus"]["status"] == "SUCCEEDED", result.lines


def test_check_rejects_a_wrong_key(connector: Connector, sandbox: str, write: Callable[[str, Any], str]) -> None:
    config = write("config.json", {"api_key": KEY + "-wrong", "endpoint": sandbox})
    result = connector.run("check", "--config", config, network="host")
    [message] = result.messages("CONNECTION_STATUS")
    assert message["connectionStatus"]["status"] == "FAILED"
    assert "key" in message["connectionStatus"]["message"]
    assert KEY not in "\n".join(result.lines) + result.errors


def test_read_without_a_catalog_reads_every_default_stream(connector: Connector, config: str) -> None:
    result = connector.run("read", "--config", config, network="host")
    assert result.code == 0, result.lines[-5:]
    for line in result.lines:
        AirbyteMessageSerializer.load(json.loads(line))
    records = Counter(message["record"]["stream"] for message in result.messages("RECORD"))
    assert set(records) <= DEFAULT_STREAMS
    assert records["incidents"] > 0
    statuses = [
        message["trace"]["stream_status"]
        for message in result.messages("TRACE")
        if message["trace"]["type"] == "STREAM_STATUS"
    ]
    complete = {status["stream_descriptor"]["name"] for status in statuses if status["status"] == "COMPLETE"}
    assert complete == DEFAULT_STREAMS


def test_read_with_a_catalog_and_a_state_continues_the_stream(
    connector: Connector, config: str, write: Callable[[str, Any], str]
) -> None:
    discovered = connector.run("discover", "--config", config).messages("CATALOG")[0]["catalog"]
    configured = [
        {"stream": stream, "sync_mode": "incremental", "destination_sync_mode": "append_dedup"}
        for stream in discovered["streams"]
        if stream["name"] == "follow_ups"
    ]
    catalog = write("catalog.json", {"streams": configured})
    first = connector.run("read", "--config", config, "--catalog", catalog, network="host")
    states = first.messages("STATE")
    assert {m["record"]["stream"] for m in first.messages("RECORD")} == {"follow_ups"}
    state = write("state.json", [states[-1]["state"]])
    second = connector.run("read", "--config", config, "--catalog", catalog, "--state", state, network="host")
    assert second.code == 0, second.lines[-5:]
    assert len(second.messages("RECORD")) < len(first.messages("RECORD"))


def test_a_singer_pipe_loads_a_target(
    connector: Connector, config: str, tmp_path: Path, write: Callable[[str, Any], str]
) -> None:
    discovered = connector.run("--config", config, "--discover")
    assert discovered.code == 0, discovered.errors
    catalog = write("catalog.json", json.loads("\n".join(discovered.lines)))
    state = write("state.json", {})
    database = tmp_path / "incident.duckdb"
    states = connector.pipe_into_target(
        database, "--singer", "--config", config, "--catalog", catalog, "--state", state
    )
    assert "incidents" in json.loads(states[-1])["bookmarks"]
    airbyte = connector.run("read", "--config", config, network="host").messages("RECORD")
    expected = Counter(message["record"]["stream"] for message in airbyte)
    with duckdb.connect(str(database), read_only=True) as tables:
        for stream in ("incidents", "severities", "follow_ups", "users"):
            [(rows,)] = tables.sql(f"select count(*) from {stream}").fetchall()  # noqa: S608
            assert rows == expected[stream] > 0
