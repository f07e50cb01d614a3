"""The Singer project's own checker, singer-check-tap, and its library accept what the tap prints.

Its `--tap` reads its own summary before the thread that makes it is done, so that it fails by chance: it is given
the output instead.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from integration_tests.support.tap import ROOT, SECONDS, SINGER, Catalog, Run

BIN = ROOT / ".venv-singer" / "bin"

pytestmark = pytest.mark.clients

WRITE_SCHEMAS = """
import sys, singer
for entry in singer.Catalog.load(sys.argv[1]).get_selected_streams({}):
    singer.write_schema(entry.stream, entry.schema.to_dict(), entry.key_properties)
"""


def check(output: bytes, directory: Path) -> str:
    """What singer-check-tap says of an output that it accepts."""
    checked = subprocess.run(
        [BIN / "singer-check-tap"], input=output, cwd=directory, capture_output=True, timeout=SECONDS
    )
    assert checked.returncode == 0, checked.stderr.decode()[-2000:]
    return checked.stdout.decode()


@pytest.mark.parametrize("sync", ["first", "second"])
def test_a_syncs_output_is_valid(sync: str, request: pytest.FixtureRequest, catalog: Catalog, tmp_path: Path) -> None:
    run: Run = request.getfixturevalue(sync)
    said = check(run.stdout, tmp_path)
    assert "The output is valid." in said
    assert f"It contained {len(run.messages)} messages for {len(catalog.keys)} streams." in said


def test_the_discovered_schemas_are_those_of_the_records(first: Run, catalog: Catalog, tmp_path: Path) -> None:
    """The Singer library reads the catalog that discovery prints, and the records fit what it made of it."""
    discovered = tmp_path / "catalog.json"
    discovered.write_text(json.dumps(catalog.of(SINGER, catalog.keys)))
    schemas = subprocess.run(
        [BIN / "python", "-c", WRITE_SCHEMAS, discovered], capture_output=True, timeout=SECONDS, check=True
    ).stdout
    assert len(schemas.splitlines()) == len(catalog.keys)
    records = [line for line in first.stdout.splitlines(keepends=True) if line.startswith(b'{"type":"RECORD"')]
    assert f"{len(records):7} record messages" in check(schemas + b"".join(records), tmp_path)


def test_a_record_that_does_not_fit_is_refused(first: Run, tmp_path: Path) -> None:
    """The check can fail."""
    changed = first.stdout.replace(b'"rank":0', b'"rank":"first"')
    with pytest.raises(AssertionError, match="'first' is not of type"):
        check(changed, tmp_path)
