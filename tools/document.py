"""The vendor's OpenAPI document, which is the contract that the connector is built against.

It ships inside the source distribution of the vendor's own SDK on PyPI. It is fetched with pip,
so that pip's own settings say where from, and kept under `.cache/`; its text is the vendor's, so
it is never committed: `sandbox/contract.json` has the facts of it.
"""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

PACKAGE = "incident-io"

PINNED_VERSION = "2.29.0"
"""The one place that says which version of the contract everything is built against."""

ROOT = Path(__file__).resolve().parent.parent
_CACHE = ROOT / ".cache"


class DocumentError(Exception):
    """The document could not be had, or does not have what was asked of it."""


@dataclass(frozen=True)
class Document:
    """A version of the vendor's OpenAPI document."""

    version: str
    content: Mapping[str, Any]

    @property
    def schemas(self) -> Mapping[str, Any]:
        """The named schemas."""
        schemas: Mapping[str, Any] = self.content["components"]["schemas"]
        return schemas

    @cached_property
    def operations(self) -> Mapping[str, Mapping[str, Any]]:
        """What can be read: the GET operations by path."""
        return {path: item["get"] for path, item in self.content["paths"].items() if "get" in item}

    @cached_property
    def _paths(self) -> Mapping[str, str]:
        return {_shape(path): path for path in self.operations}

    def path_of(self, endpoint: str) -> str | None:
        """The document's path for `endpoint`, whose placeholders may be named otherwise."""
        return self._paths.get(_shape(endpoint))

    def operation(self, endpoint: str) -> Mapping[str, Any]:
        """The GET operation of `endpoint`; raises `DocumentError` where there is none."""
        path = self.path_of(endpoint)
        if path is None:
            raise DocumentError(f"{endpoint}: version {self.version} has no such list")
        return self.operations[path]

    def resolve(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """`schema` itself, or what its `$ref` stands for."""
        while "$ref" in schema:
            schema = self.schemas[reference_name(schema)]
        return schema

    def body(self, endpoint: str) -> Mapping[str, Any]:
        """The schema of `endpoint`'s answer."""
        answer = self.operation(endpoint)["responses"]["200"]
        return self.resolve(answer["content"]["application/json"]["schema"])


def reference_name(schema: Mapping[str, Any]) -> str:
    """The name in a schema's `$ref`."""
    return str(schema["$ref"]).rpartition("/")[2]


def references(schema: Any) -> Iterator[str]:
    """The names of all schemas that `schema` refers to, directly."""
    if isinstance(schema, Mapping):
        if isinstance(schema.get("$ref"), str):
            yield reference_name(schema)
        for value in schema.values():
            yield from references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from references(value)


def load(path: Path, version: str = "local") -> Document:
    """The document in the file at `path`."""
    return Document(version, json.loads(path.read_text(encoding="utf-8")))


def fetch(version: str | None = PINNED_VERSION) -> Document:
    """The document of `version`, from `.cache/` or with pip; `None` is the newest published.

    Raises `DocumentError` where pip cannot get it.
    """
    if version is not None:
        cached = _cached(version)
        if cached.exists():
            return load(cached, version)
    with tempfile.TemporaryDirectory() as folder:
        archive = _download(version, Path(folder))
        found = archive.name.removesuffix(".tar.gz").rpartition("-")[2]
        content = _document_in(archive)
    cached = _cached(found)
    cached.parent.mkdir(exist_ok=True)
    cached.write_bytes(content)
    return load(cached, found)


def _cached(version: str) -> Path:
    return _CACHE / f"{PACKAGE}-{version}-openapi.json"


def _download(version: str | None, folder: Path) -> Path:
    requirement = PACKAGE if version is None else f"{PACKAGE}=={version}"
    arguments = ["download", "--quiet", "--disable-pip-version-check"]
    arguments += ["--no-deps", "--no-binary", ":all:", "--dest", str(folder), requirement]
    result = subprocess.run([*_pip(), *arguments], capture_output=True, text=True, timeout=300, check=False)
    archives = sorted(folder.glob("*.tar.gz"))
    if result.returncode or not archives:
        raise DocumentError(f"pip could not download {requirement}:\n{result.stderr.strip()}")
    return archives[0]


def _pip() -> list[str]:
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    program = shutil.which("pip")
    if program is None:
        raise DocumentError("pip is needed to download the vendor's document")
    return [program]


def _document_in(archive: Path) -> bytes:
    with tarfile.open(archive) as contents:
        for member in contents:
            if member.name.count("/") == 1 and member.name.endswith("/openapi.json"):
                file = contents.extractfile(member)
                if file is not None:
                    return file.read()
    raise DocumentError(f"{archive.name} has no openapi.json any more")


def _shape(path: str) -> str:
    return re.sub(r"\{\w+\}", "{}", path)
