"""What stands in more than one place about the package says the same everywhere."""

import os
import re
import subprocess
import sys
from importlib.metadata import packages_distributions, version
from pathlib import Path
from xml.etree import ElementTree

import pytest
from airbyte_cdk.models.connector_metadata import ConnectorLanguage, MetadataFile
from airbyte_cdk.sources.utils.casing import camel_to_snake
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from source_incident.config import SETTINGS
from source_incident.streams import STREAMS
from tools import settings

ROOT = Path(__file__).parent.parent
LOCKS = [path.name for path in sorted(ROOT.glob("requirements*.lock"))]


def locked(lock: str) -> set[str]:
    """The names of a lock file's packages."""
    names = re.findall(r"^([A-Za-z0-9._-]+)==", (ROOT / lock).read_text(), re.MULTILINE)
    return {canonicalize_name(name) for name in names}


def test_the_cdk_reads_metadata_yaml() -> None:
    metadata = MetadataFile.from_file(ROOT / "metadata.yaml").data
    assert metadata.language is ConnectorLanguage.PYTHON
    assert metadata.suggestedStreams is not None
    assert set(metadata.suggestedStreams.streams) <= {camel_to_snake(stream.__name__) for stream in STREAMS}


def test_the_version_is_the_same_everywhere() -> None:
    released = version("tap-incident")
    assert MetadataFile.from_file(ROOT / "metadata.yaml").data.dockerImageTag == released
    labels = dict(re.findall(r'([\w.]+)="([^"]*)"', (ROOT / "Dockerfile").read_text()))
    assert labels["io.airbyte.version"] == released
    assert labels["org.opencontainers.image.version"] == released
    assert f"\n## [{released}]" in (ROOT / "CHANGELOG.md").read_text()


def test_the_image_has_the_name_that_metadata_yaml_gives() -> None:
    repository = MetadataFile.from_file(ROOT / "metadata.yaml").data.dockerRepository
    assert f'io.airbyte.name="{repository}"' in (ROOT / "Dockerfile").read_text()
    assert f"IMAGE ?= {repository}\n" in (ROOT / "Makefile").read_text()


def test_the_icon_is_a_square_drawing() -> None:
    icon = ElementTree.parse(ROOT / "icon.svg").getroot()  # noqa: S314
    assert icon.tag == "{http://www.w3.org/2000/svg}svg"
    _, _, width, height = icon.attrib["viewBox"].split()
    assert width == height


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_has_a_hash_for_every_package_and_names_no_host(lock: str) -> None:
    text = (ROOT / lock).read_text()
    entries = re.split(r"^(?=[A-Za-z0-9._-]+==)", text, flags=re.MULTILINE)[1:]
    assert entries
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert "://" not in text
    assert "-url" not in text


def test_both_locks_have_one_version_of_a_package() -> None:
    pins = [
        set(re.findall(r"^([A-Za-z0-9._-]+==\S+)", (ROOT / lock).read_text(), re.MULTILINE))
        for lock in ("requirements.lock", "requirements-dev.lock")
    ]
    assert pins[0] <= pins[1]


def test_the_image_has_every_package_that_the_program_loads() -> None:
    """The lock leaves out what requirements.excludes names: none of it may be needed."""
    program = """
import sys
sys.argv = ["tap-incident", "discover", "--config", "ENV"]
from source_incident import run, source, sync, singer, streams, api
import contextlib, io
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    run.run()
print("\\n".join(sorted({name.partition(".")[0] for name in sys.modules})))
"""
    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={"INCIDENT_API_KEY": "key"},
        capture_output=True,
        text=True,
        check=True,
    )
    modules = set(ran.stderr.split())
    assert {"airbyte_cdk", "source_incident"} <= modules
    distributions = packages_distributions()
    loaded = {canonicalize_name(name) for module in modules for name in distributions.get(module, [])}
    # jsonschema checks formats with it where it is there, as in the tests' environment, and does without elsewhere
    optional = {"rfc3339-validator"}
    assert loaded - locked("requirements.lock") - {"tap-incident"} - optional == set()


def test_the_image_goes_without_what_the_excludes_name() -> None:
    lines = (ROOT / "requirements.excludes").read_text().splitlines()
    excluded = {
        canonicalize_name(Requirement(line.partition("#")[0]).name) for line in lines if line.partition("#")[0].strip()
    }
    assert excluded
    assert excluded & locked("requirements.lock") == set()
    assert excluded <= locked("requirements-dev.lock")


def test_the_readmes_settings_are_the_programs() -> None:
    assert (ROOT / "README.md").read_text() == settings.readme(), "run: make docs"
    assert all(f"| `{setting.name}` |" in settings.table() for setting in SETTINGS)


def test_on_pypi_the_readmes_links_and_pictures_lead_to_the_repository() -> None:
    """PyPI has the text alone; the release's workflow knows where the rest is."""
    environment = {**os.environ, "GITHUB_REPOSITORY": "owner/name", "GITHUB_REF_NAME": "v1.2.3"}
    ran = subprocess.run(
        [sys.executable, "setup.py", "--long-description"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    there = "https://github.com/owner/name"
    assert f"]({there}/raw/v1.2.3/docs/demo.svg)" in ran.stdout
    assert f"]({there}/blob/v1.2.3/docs/streams.md#incidents)" in ran.stdout
    assert re.findall(r"\]\((?!https?://|#)[^)]+", ran.stdout) == []
