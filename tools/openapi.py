"""The vendor's OpenAPI document, the contract that the connector is built against.

The source distribution of the vendor's SDK on PyPI contains it. `fetch` downloads it with pip, so that pip's
settings select the index, and caches it in `.cache/`. The document is the vendor's property and is never
committed; `sandbox/contract.json` holds the facts from it.
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

from tools.generated import ROOT

PACKAGE = "incident-io"

PINNED_VERSION = "2.29.0"
"""The version that the schemas, the mock API and the docs are generated from."""

_CACHE = ROOT / ".cache"


class DocumentError(Exception):
    """The document can't be downloaded, or lacks the requested part."""


@dataclass(frozen=True)
class Document:
    """One version of the vendor's OpenAPI document."""

    version: str
    content: Mapping[str, Any]

    @property
    def schemas(self) -> Mapping[str, Any]:
        """The schemas by name."""
        schemas: Mapping[str, Any] = self.content["components"]["schemas"]
        return schemas

    @cached_property
    def operations(self) -> Mapping[str, Mapping[str, Any]]:
        """The GET operations by path."""
        return {path: item["get"] for path, item in self.content["paths"].items() if "get" in item}

    @cached_property
    def _paths(self) -> Mapping[str, str]:
        return {path_shape(path): path for path in self.operations}

    def path_of(self, endpoint: str) -> str | None:
        """The document's path for `endpoint`; the names of placeholders can differ."""
        return self._paths.get(path_shape(endpoint))

    def operation(self, endpoint: str) -> Mapping[str, Any]:
        """The GET operation of `endpoint`.

        Raises:
            DocumentError: the document has no such endpoint.
        """
        path = self.path_of(endpoint)
        if path is None:
            raise DocumentError(f"{endpoint}: version {self.version} has no such endpoint")
        return self.operations[path]

    def resolve(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """`schema` itself, or the schema that its `$ref` points to."""
        while "$ref" in schema:
            schema = self.schemas[reference_name(schema)]
        return schema

    def body(self, endpoint: str) -> Mapping[str, Any]:
        """The schema of the response body of `endpoint`."""
        response = self.operation(endpoint)["responses"]["200"]
        return self.resolve(response["content"]["application/json"]["schema"])


def reference_name(schema: Mapping[str, Any]) -> str:
    """The name in a schema's `$ref`."""
    return str(schema["$ref"]).rpartition("/")[2]


def references(schema: Any) -> Iterator[str]:
    """The names of the schemas that `schema` refers to directly."""
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
    """The document of `version`, from `.cache/` or downloaded with pip.

    Args:
        version: None: the newest published version.

    Raises:
        DocumentError: pip can't download it.
    """
    if version is not None and (cached := _cache_path(version)).exists():
        return load(cached, version)
    with tempfile.TemporaryDirectory() as folder:
        archive = _download(version, Path(folder))
        version = archive.name.removesuffix(".tar.gz").rpartition("-")[2]
        content = _extract(archive)
    cached = _cache_path(version)
    cached.parent.mkdir(exist_ok=True)
    cached.write_bytes(content)
    return load(cached, version)


def _cache_path(version: str) -> Path:
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
        raise DocumentError("pip was not found; it downloads the vendor's document")
    return [program]


def _extract(archive: Path) -> bytes:
    with tarfile.open(archive) as contents:
        for member in contents:
            if member.name.count("/") == 1 and member.name.endswith("/openapi.json"):
                file = contents.extractfile(member)
                if file is not None:
                    return file.read()
    raise DocumentError(f"{archive.name} contains no openapi.json")


def path_shape(path: str) -> str:
    """`path` without the names of its placeholders: `/v1/users/{id}` becomes `/v1/users/{}`."""
    return re.sub(r"\{\w+\}", "{}", path)
