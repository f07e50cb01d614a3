"""Read lists with the vendor's own SDK, in an environment that has it and nothing else.

`python sdk_reader.py URL KEY` takes {path template: [arguments, ...]} as JSON on stdin, asks for
each with the SDK's function for that path, page by page, and prints {path template: {"answers",
"pages", "error"?}}. An answer that the SDK cannot parse, or parses as an error, is an error.
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
_MOST_PAGES = 3


def functions() -> dict[str, ModuleType]:
    """The SDK's modules for what can be read, by path template."""
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
    """Ask, and follow `after`; how many pages there were. ValueError for an answer that is bad."""
    takes = inspect.signature(module.sync_detailed).parameters
    arguments = {f"{name}_" if name == "from" else name: v for name, v in arguments.items()}
    pages = 0
    while pages < _MOST_PAGES:
        answer = module.sync_detailed(client=client, **arguments)
        kind = type(answer.parsed).__name__
        if answer.status_code != 200 or kind in ("NoneType", "ErrorResponse"):
            raise ValueError(f"{answer.status_code}: {answer.content[:300]!r}")
        unknown = answer.parsed.additional_properties
        if unknown:
            raise ValueError(f"properties that the SDK does not know: {sorted(unknown)}")
        pages += 1
        meta = getattr(answer.parsed, "pagination_meta", None)
        after = getattr(meta, "after", None)
        if "after" not in takes or not isinstance(after, str):
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
    for path, asked in json.load(sys.stdin).items():
        result = results[path] = {"answers": 0, "pages": 0}
        for arguments in asked:
            try:
                result["pages"] += read(modules[path], client, arguments)
                result["answers"] += 1
            except Exception as error:  # whatever the SDK raises is what is wrong
                result["error"] = f"{arguments}: {type(error).__name__}: {error}"
                break
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
