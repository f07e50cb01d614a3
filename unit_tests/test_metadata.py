"""The package's metadata is the same in every file that has it."""

import os
import re
import subprocess
import sys
from importlib.metadata import packages_distributions, requires, version
from pathlib import Path
from xml.etree import ElementTree

import pytest
from airbyte_cdk.models.connector_metadata import ConnectorLanguage, MetadataFile
from airbyte_cdk.sources.utils.casing import camel_to_snake
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from source_incident.streams import STREAMS

ROOT = Path(__file__).parent.parent
LOCKS = [path.name for path in sorted((ROOT / "locks").glob("*.lock"))]


def locked(lock: str) -> set[str]:
    """The normalized names of the packages in a lock file."""
    names = re.findall(r"^([A-Za-z0-9._-]+)==", (ROOT / "locks" / lock).read_text(), re.MULTILINE)
    return {canonicalize_name(name) for name in names}


def test_cdk_parses_metadata_yaml() -> None:
    metadata = MetadataFile.from_file(ROOT / "metadata.yaml").data
    assert metadata.language is ConnectorLanguage.PYTHON
    assert metadata.suggestedStreams is not None
    assert set(metadata.suggestedStreams.streams) <= {camel_to_snake(stream.__name__) for stream in STREAMS}


def test_version_is_the_same_in_every_file() -> None:
    released = version("tap-incident")
    assert MetadataFile.from_file(ROOT / "metadata.yaml").data.dockerImageTag == released
    labels = dict(re.findall(r'([\w.]+)="([^"]*)"', (ROOT / "Dockerfile").read_text()))
    assert labels["io.airbyte.version"] == released
    assert labels["org.opencontainers.image.version"] == released
    assert f"\n## [{released}]" in (ROOT / "CHANGELOG.md").read_text()


def test_image_name_is_the_repository_in_metadata_yaml() -> None:
    repository = MetadataFile.from_file(ROOT / "metadata.yaml").data.dockerRepository
    assert repository == "tap-incident"
    assert f'io.airbyte.name="{repository}"' in (ROOT / "Dockerfile").read_text()
    assert f"IMAGE ?= {repository}\n" in (ROOT / "Makefile").read_text()
    built = subprocess.run(["make", "-n", "image"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"--tag (\S+)", built) == [f"{repository}:{version('tap-incident')}", f"{repository}:latest"]


def test_documents_start_no_image_that_somebody_else_can_publish() -> None:
    """A name without a slash is in Docker Hub's `library`, where only official images are."""
    started = []
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "Dockerfile", *ROOT.glob("examples/**/*")]:
        if not path.is_file() or path.suffix == ".pyc":
            continue
        text = path.read_text(encoding="utf-8")
        assert "tap-incident/source-incident" not in text, path
        # the first word after the options; -v, -e and --user have a value
        for command in re.findall(r"docker run (.*)", text):
            words = re.sub(r"(-v|-e|--user) (\"[^\"]*\"|\S+)|--\S+", "", command).split()
            started.append(words[0].partition(":")[0])
    assert set(started) == {"tap-incident"}


def test_icon_is_a_square_svg() -> None:
    icon = ElementTree.parse(ROOT / "icon.svg").getroot()  # noqa: S314
    assert icon.tag == "{http://www.w3.org/2000/svg}svg"
    _, _, width, height = icon.attrib["viewBox"].split()
    assert width == height


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_has_a_hash_for_every_package_and_no_url(lock: str) -> None:
    text = (ROOT / "locks" / lock).read_text()
    entries = re.split(r"^(?=[A-Za-z0-9._-]+==)", text, flags=re.MULTILINE)[1:]
    assert entries
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert "://" not in text
    assert "-url" not in text


def test_dev_lock_has_the_versions_of_the_image_lock() -> None:
    pins = [
        set(re.findall(r"^([A-Za-z0-9._-]+==\S+)", (ROOT / "locks" / lock).read_text(), re.MULTILINE))
        for lock in ("image.lock", "dev.lock")
    ]
    assert pins[0] <= pins[1]


def test_image_lock_has_every_package_that_the_program_imports() -> None:
    """locks/image.excludes removes packages from the lock. The program must not import any of them."""
    program = """
import sys
sys.argv = ["tap-incident", "discover", "--config", "ENV"]
from source_incident import run, source
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
    # optional for jsonschema; installed in the development environment only
    optional = {"rfc3339-validator"}
    assert loaded - locked("image.lock") - {"tap-incident"} - optional == set()


@pytest.fixture(scope="module")
def constraints() -> str:
    """What `make constraints` prints."""
    ran = subprocess.run(["make", "-s", "constraints"], cwd=ROOT, capture_output=True, text=True, check=True)
    return ran.stdout


def test_constraints_pin_every_dependency_without_hashes(constraints: str) -> None:
    """With hashes, pip would require a hash of tap-incident too."""
    pins = [Requirement(line) for line in constraints.splitlines()]
    assert all(str(pin.specifier).startswith("==") for pin in pins)
    names = {canonicalize_name(pin.name) for pin in pins}
    needed, missing = ["tap-incident"], set()
    seen = set(needed)
    while needed:
        for requirement in map(Requirement, requires(needed.pop()) or []):
            name = canonicalize_name(requirement.name)
            if name in seen or not (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
                continue
            seen.add(name)
            needed.append(name)
            if name not in names:
                missing.add(name)
    assert len(seen) > 30
    assert missing == set()


def test_pip_accepts_the_constraints(constraints: str, tmp_path: Path) -> None:
    def install(text: str) -> subprocess.CompletedProcess[str]:
        file = tmp_path / "constraints.txt"
        file.write_text(text)
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-index", "--constraint", file]
        environment = {"PATH": os.environ["PATH"], "PIP_CONFIG_FILE": os.devnull}
        return subprocess.run([*command, "tap-incident"], env=environment, capture_output=True, text=True, check=False)

    ran = install(constraints)
    assert ran.returncode == 0, ran.stderr
    assert install(re.sub(r"^orjson==.*", "orjson==0.0.1", constraints, flags=re.MULTILINE)).returncode != 0


def test_image_lock_has_no_excluded_package() -> None:
    lines = (ROOT / "locks" / "image.excludes").read_text().splitlines()
    excluded = {
        canonicalize_name(Requirement(line.partition("#")[0]).name) for line in lines if line.partition("#")[0].strip()
    }
    assert excluded
    assert excluded & locked("image.lock") == set()
    assert excluded <= locked("dev.lock")


def test_readme_links_are_absolute_on_pypi() -> None:
    """PyPI shows only the text, so links and pictures point to the repository."""
    environment = {**os.environ, "GITHUB_REPOSITORY": "owner/name", "GITHUB_REF_NAME": "v1.2.3"}
    ran = subprocess.run(
        [sys.executable, "setup.py", "--long-description"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    repository = "https://github.com/owner/name"
    relative = re.compile(r"\]\(((?!https?://|#)[^)]+)\)")
    links = relative.findall((ROOT / "README.md").read_text())
    assert any(link.endswith(".svg") for link in links)
    for link in links:
        kind = "raw" if link.endswith(".svg") else "blob"
        assert f"]({repository}/{kind}/v1.2.3/{link})" in ran.stdout
    assert relative.findall(ran.stdout) == []
