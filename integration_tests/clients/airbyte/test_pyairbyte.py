"""PyAirbyte reads into its cache what the account holds, from the program and from the image; then, what changed.

What it needs: use_host_network, for the sandbox; AIRBYTE_OFFLINE_MODE, so that it tells nobody and asks no registry.
What is worked around: nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from integration_tests.clients.airbyte.warehouse import Warehouse, change
from integration_tests.conftest import KEY, SMALL
from integration_tests.support.tap import ROOT, Catalog
from sandbox import Sandbox

Read = Callable[..., int]

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Read]:
    """Reads into a cache; how many records came."""
    directory = tmp_path_factory.mktemp("pyairbyte")
    directory.chmod(0o755)  # it is mounted into containers, whose user is another
    environment = {
        "AIRBYTE_OFFLINE_MODE": "1",
        "AIRBYTE_LOGGING_ROOT": str(directory / "logs"),
        "AIRBYTE_PROJECT_DIR": str(directory),
        "AIRBYTE_TEMP_DIR": str(directory),
        "HOME": str(directory),
    }
    with (
        (directory / "said.txt").open("w+") as said,
        subprocess.Popen(
            [ROOT / ".venv-pyairbyte" / "bin" / "python", Path(__file__).with_name("reader.py")],
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
        ) as process,
    ):

        def ask(cache: Path, streams: list[str] | str, **source: Any) -> int:
            assert process.stdin is not None
            assert process.stdout is not None
            print(
                json.dumps({"source": source, "streams": streams, "cache": str(cache)}), file=process.stdin, flush=True
            )
            answer = process.stdout.readline()
            assert answer, Path(said.name).read_text()[-3000:]
            return int(answer)

        yield ask
        process.communicate(timeout=60)


@pytest.mark.parametrize("way", ["local_executable", "docker_image"])
def test_the_cache_holds_the_account_and_then_what_changed(
    way: str, read: Read, catalog: Catalog, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    source: dict[str, Any] = {"local_executable": str(ROOT / ".venv" / "bin" / "source-incident")}
    if way == "docker_image":
        source = {"docker_image": request.getfixturevalue("image").id, "use_host_network": True}
    with Sandbox(process=True, key=KEY, **SMALL) as sandbox:
        source["config"] = {"api_key": sandbox.key, "endpoint": sandbox.url}
        warehouse = Warehouse(tmp_path / "cache.duckdb", "main", "_airbyte_raw_id", catalog.keys)
        first = read(warehouse.database, "*", **source)
        warehouse.assert_holds(sandbox, catalog.keys)
        before = warehouse.marks(catalog.incremental)
        changed = change(sandbox, catalog.keys)
        # PyAirbyte takes a quarter of a second a stream: all of them once is enough.
        second = read(warehouse.database, list(changed), **source)
        warehouse.assert_holds(sandbox, changed)
    after = warehouse.marks(changed)
    for name, keys in changed.items():
        assert {key for key, mark in after[name].items() if before[name].get(key) != mark} == keys
    assert second == sum(map(len, changed.values())) < first
