"""Reads the JSON files that the user names: config, catalog and state."""

import shlex
from typing import Any, Literal

import orjson

from source_incident.errors import InputError
from source_incident.json_limits import MAX_DEPTH, JsonSize, is_too_deep

Kind = Literal["config", "catalog", "state"]

# The largest catalogs and states that were seen take 20 MB.
MAX_MEMORY = 256 * 2**20
MAX_BYTES: dict[Kind, int] = {"config": 1_000_000, "catalog": 50_000_000, "state": 50_000_000}
# What to do about a file that can't be used.
ADVICE: dict[Kind, str] = {
    "config": "Make one with tap-incident --init",
    "catalog": "Make one with tap-incident --discover",
    "state": "Start without it, or with an older one",
}


def read_json_object(path: str, kind: Kind) -> dict[str, Any]:
    """Read a file that must hold a JSON object. Arguments and errors are those of `read_json`."""
    document = read_json(path, kind)
    if not isinstance(document, dict):
        raise InputError(f"{kind} {path}", f"must hold a JSON object, but it holds {json_type(document)}", ADVICE[kind])
    return document


def read_json(path: str, kind: Kind) -> Any:
    """Read a JSON file.

    Args:
        path: the file. At most `MAX_BYTES` of it are read, so a device or a pipe without an end is no problem.
        kind: what the file is for; error messages start with it.

    Raises:
        InputError: the file can't be read, is too large or too deep, or is not JSON in UTF-8.
    """
    place, limit, advice = f"{kind} {path}", MAX_BYTES[kind], ADVICE[kind]
    try:
        with open(path, "rb") as file:
            content = file.read(limit + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(place, f"can't be read: {reason}", advice) from None
    if len(content) > limit:
        raise InputError(place, f"is larger than {limit:,} bytes", "Check that it is the right file")
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise InputError(place, "is in UTF-16", "Save it as UTF-8")
    size = JsonSize()
    size.add(content)
    if size.memory > MAX_MEMORY:
        raise InputError(
            place, f"would take more than {MAX_MEMORY // 2**20} MB of memory", "Check that it is the right file"
        )
    try:
        # orjson is strict: it rejects NaN and unpaired surrogates, which could not be written again.
        document = orjson.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise InputError(place, "is not UTF-8 text", "Save it as UTF-8") from None
    except orjson.JSONDecodeError as error:
        if kind == "state" and _ends_with_singer_state(content):
            raise InputError(
                place,
                "has several lines, and only the last one is the state",
                f"Keep that one: tail -n 1 {shlex.quote(path)} > state.json",
            ) from None
        position = f"{error.msg} at line {error.lineno} column {error.colno}"
        raise InputError(place, f"is not JSON: {position}", advice) from None
    if not size.is_shallow and is_too_deep(document):
        raise InputError(place, f"is nested more than {MAX_DEPTH} levels deep", advice)
    return document


def json_type(value: Any) -> str:
    """Return the JSON type of a value with its article, such as `a list`."""
    names = {
        dict: "an object",
        list: "a list",
        str: "a string",
        bool: "a boolean",
        type(None): "null",
    }
    return names.get(type(value), "a number")


def _ends_with_singer_state(content: bytes) -> bool:
    """Whether there are several lines and the last is a Singer state. That is what a target prints."""
    _, line_break, last = content.rstrip().rpartition(b"\n")
    try:
        document = orjson.loads(last)
    except orjson.JSONDecodeError:
        return False
    return bool(line_break) and isinstance(document, dict) and not document.keys().isdisjoint(("bookmarks", "value"))
