"""singer-check-tap and the Singer library accept the tap's output.

The checker gets the output on stdin. Its option `--tap` fails at random, because it reads its summary before the thread
that writes it has finished.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from integration_tests.support.catalog import Catalog
from integration_tests.support.tap import ROOT, SECONDS, SINGER, Run

BIN = ROOT / ".venv-singer" / "bin"

pytestmark = pytest.mark.clients

WRITE_SCHEMAS = """
import sys, singer
for entry in singer.Catalog.load(sys.argv[1]).get_selected_streams({}):
    singer.write_schema(entry.stream, entry.schema.to_dict(), entry.key_properties)
"""


def check(output: bytes, directory: Path) -> str:
    """Run singer-check-tap, which has to accept an output; return what it prints."""
    process = subprocess.run(
        [BIN / "singer-check-tap"], input=output, cwd=directory, capture_output=True, timeout=SECONDS
    )
    assert process.returncode == 0, process.stderr.decode()[-2000:]
    return process.stdout.decode()


@pytest.mark.parametrize("sync", ["first", "second"])
def test_accepts_the_output_of_a_sync(
    sync: str, request: pytest.FixtureRequest, catalog: Catalog, tmp_path: Path
) -> None:
    run: Run = request.getfixturevalue(sync)
    report = check(run.stdout, tmp_path)
    assert "The output is valid." in report
    # It does not know ACTIVATE_VERSION.
    known = [message for message in run.messages if message["type"] != "ACTIVATE_VERSION"]
    assert f"It contained {len(known)} messages for {len(catalog.keys)} streams." in report


def test_records_match_the_discovered_schemas(first: Run, catalog: Catalog, tmp_path: Path) -> None:
    """The Singer library writes the SCHEMA messages from the discovered catalog."""
    discovered = tmp_path / "catalog.json"
    discovered.write_text(json.dumps(catalog.of(SINGER, catalog.keys)))
    schemas = subprocess.run(
        [BIN / "python", "-c", WRITE_SCHEMAS, discovered], capture_output=True, timeout=SECONDS, check=True
    ).stdout
    assert len(schemas.splitlines()) == len(catalog.keys)
    records = [line for line in first.stdout.splitlines(keepends=True) if line.startswith(b'{"type":"RECORD"')]
    assert f"{len(records):7} record messages" in check(schemas + b"".join(records), tmp_path)


def test_rejects_a_record_that_does_not_match(first: Run, tmp_path: Path) -> None:
    """Proves that the check can fail."""
    changed = first.stdout.replace(b'"rank":0', b'"rank":"first"')
    with pytest.raises(AssertionError, match="'first' is not of type"):
        check(changed, tmp_path)
