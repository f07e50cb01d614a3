"""PyAirbyte reads the account into its cache, then the changes, from the program and from the image.

The tests set use_host_network, so that the container reaches the sandbox, and AIRBYTE_OFFLINE_MODE, so that PyAirbyte
sends no telemetry and no requests to a registry.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from integration_tests.support.catalog import Catalog
from integration_tests.support.sandboxes import KEY, SMALL
from integration_tests.support.tap import ROOT
from integration_tests.support.warehouse import Warehouse, change_account
from sandbox import Sandbox

Read = Callable[..., int]

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Read]:
    """Read streams into a cache; returns the number of records."""
    directory = tmp_path_factory.mktemp("pyairbyte")
    directory.chmod(0o755)  # containers with another user mount it
    environment = {
        "AIRBYTE_OFFLINE_MODE": "1",
        "AIRBYTE_LOGGING_ROOT": str(directory / "logs"),
        "AIRBYTE_PROJECT_DIR": str(directory),
        "AIRBYTE_TEMP_DIR": str(directory),
        "HOME": str(directory),
    }
    with (
        (directory / "log.txt").open("w+") as log,
        subprocess.Popen(
            [ROOT / ".venv-pyairbyte" / "bin" / "python", Path(__file__).with_name("reader.py")],
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):

        def read_into(cache: Path, streams: list[str] | str, overwrite: bool = False, **source: Any) -> int:
            assert process.stdin is not None
            assert process.stdout is not None
            options = {"write_strategy": "replace", "force_full_refresh": True} if overwrite else {}
            request = {"source": source, "streams": streams, "cache": str(cache), "read": options}
            print(json.dumps(request), file=process.stdin, flush=True)
            answer = process.stdout.readline()
            assert answer, Path(log.name).read_text()[-3000:]
            return int(answer)

        yield read_into
        process.communicate(timeout=60)


@pytest.mark.parametrize("installation", ["local_executable", "docker_image"])
def test_reads_the_account_and_then_the_changes(
    installation: str, read: Read, catalog: Catalog, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    source: dict[str, Any] = {"local_executable": str(ROOT / ".venv" / "bin" / "source-incident")}
    if installation == "docker_image":
        source = {"docker_image": request.getfixturevalue("image").id, "use_host_network": True}
    with Sandbox(process=True, key=KEY, **SMALL) as sandbox:
        source["config"] = {"api_key": sandbox.key, "endpoint": sandbox.url}
        warehouse = Warehouse(tmp_path / "cache.duckdb", "main", catalog.keys, "_airbyte_raw_id")
        first = read(warehouse.database, "*", **source)
        warehouse.assert_holds(sandbox, catalog.keys)
        before = warehouse.loads(catalog.incremental)
        changed = change_account(sandbox, catalog.keys)
        # PyAirbyte needs a quarter of a second per stream, so the second read selects the changed streams only.
        second = read(warehouse.database, list(changed), **source)
        warehouse.assert_holds(sandbox, changed)
    after = warehouse.loads(changed)
    for name, keys in changed.items():
        assert {key for key, load_id in after[name].items() if before[name].get(key) != load_id} == keys
    assert second == sum(map(len, changed.values())) < first


def test_a_full_refresh_with_overwrite_removes_deleted_rows(read: Read, catalog: Catalog, tmp_path: Path) -> None:
    names = ["alerts", "custom_field_options", "severities", "users"]
    source: dict[str, Any] = {"local_executable": str(ROOT / ".venv" / "bin" / "source-incident")}
    with Sandbox(process=True, key=KEY, **SMALL) as sandbox:
        source["config"] = {"api_key": sandbox.key, "endpoint": sandbox.url}
        warehouse = Warehouse(tmp_path / "cache.duckdb", "main", catalog.keys)
        read(warehouse.database, names, overwrite=True, **source)
        warehouse.assert_holds(sandbox, names)
        for name in names:
            snapshot = sandbox.snapshot(name)
            parents = snapshot["parents"][0] if "parents" in snapshot else None
            assert sandbox.delete(name, [snapshot["records"][0]["id"]], parents) == 1
        read(warehouse.database, names, overwrite=True, **source)
        warehouse.assert_holds(sandbox, names)
