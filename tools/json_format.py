"""The format of committed JSON files: the same bytes for the same value, with useful diffs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_WIDTH = 100


def dumps(value: Any) -> str:
    """`value` as JSON with sorted keys and a final newline.

    A list or object that fits on one line stays on it. A longer one has one entry per line.
    """
    return _lines(value, depth=0, indent=0) + "\n"


def _lines(value: Any, depth: int, indent: int) -> str:
    flat = json.dumps(value, sort_keys=True, ensure_ascii=False)
    if indent + len(flat) < _WIDTH or not value or not isinstance(value, (Mapping, list)):
        return flat
    inner, outer = " " * (depth + 1), " " * depth
    if isinstance(value, list):
        entries = [inner + _lines(entry, depth + 1, depth + 1) for entry in value]
        return "[\n" + ",\n".join(entries) + f"\n{outer}]"
    entries = []
    for key in sorted(value):
        label = f"{inner}{json.dumps(key, ensure_ascii=False)}: "
        entries.append(label + _lines(value[key], depth + 1, len(label)))
    return "{\n" + ",\n".join(entries) + f"\n{outer}}}"
