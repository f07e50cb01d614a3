"""Reads lists with the vendor's SDK. Runs in a virtual environment that has only the SDK.

`python sdk_reader.py URL KEY` takes {path template: [arguments, ...]} as JSON on stdin. It calls the
SDK's function for each path with each set of arguments, follows the pages, and prints
{path template: {"read", "pages", "error"?}}: the number of argument sets read without an error, the
number of pages, and the first error. A response that the SDK can't parse, or parses as an error, is
an error.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import re
import sys
import warnings
from types import ModuleType
from typing import Any

import incident_io.api  # type: ignore[import-not-found]
from incident_io.client import AuthenticatedClient  # type: ignore[import-not-found]

_GET = re.compile(r'"method": "get",\s+"url": "([^"]+)"')
_MAX_PAGES = 3


def functions() -> dict[str, ModuleType]:
    """The SDK's modules for GET endpoints, by path template."""
    found = {}
    for module in pkgutil.walk_packages(incident_io.api.__path__, "incident_io.api."):
        if module.ispkg:
            continue
        loaded = importlib.import_module(module.name)
        match = _GET.search(inspect.getsource(loaded))
        if match is not None:
            found[match[1]] = loaded
    return found


def read(module: ModuleType, client: AuthenticatedClient, arguments: dict[str, Any]) -> int:
    """Read a list page by page. Returns the number of pages; raises ValueError for an invalid response."""
    parameters = inspect.signature(module.sync_detailed).parameters
    arguments = {f"{name}_" if name == "from" else name: v for name, v in arguments.items()}
    pages = 0
    while pages < _MAX_PAGES:
        response = module.sync_detailed(client=client, **arguments)
        kind = type(response.parsed).__name__
        if response.status_code != 200 or kind in ("NoneType", "ErrorResponse"):
            raise ValueError(f"{response.status_code}: {response.content[:300]!r}")
        unknown = response.parsed.additional_properties
        if unknown:
            raise ValueError(f"properties unknown to the SDK: {sorted(unknown)}")
        pages += 1
        meta = getattr(response.parsed, "pagination_meta", None)
        after = getattr(meta, "after", None)
        if "after" not in parameters or not isinstance(after, str):
            break
        arguments["after"] = after
    return pages


def main() -> None:
    warnings.simplefilter("ignore", DeprecationWarning)
    url, key = sys.argv[1:]
    client = AuthenticatedClient(
        base_url=url,
        token=key,
        raise_on_unexpected_status=True,
        httpx_args={"trust_env": False},
    )
    modules = functions()
    results: dict[str, dict[str, Any]] = {}
    for path, argument_sets in json.load(sys.stdin).items():
        result = results[path] = {"read": 0, "pages": 0}
        for arguments in argument_sets:
            try:
                result["pages"] += read(modules[path], client, arguments)
                result["read"] += 1
            except Exception as error:  # report any error of the SDK
                result["error"] = f"{arguments}: {type(error).__name__}: {error}"
                break
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
