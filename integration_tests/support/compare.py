"""A destination against an account."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from integration_tests.support.tap import Destination, Key, Record, by_key, key_of

NESTED = ("attachments", "updates", "actions")
_CHANGE = re.compile(r"\(change (\d+)\)")


def normal(record: Record) -> Record:
    """The record with its nested rows in one order: the API promises none."""
    ordered = dict(record)
    for column in NESTED:
        if "reference" in record and isinstance(ordered.get(column), list):
            ordered[column] = sorted(ordered[column], key=lambda row: key_of(row, ["id"]))
    return ordered


def differences(destination: Destination, account: Mapping[str, list[Record]]) -> Iterator[str]:
    """A line for each record that is missing, is not the account's, or has another value."""
    for name, records in account.items():
        held, came = by_key(records, destination.keys[name]), destination.rows[name]
        for key in held.keys() - came.keys():
            yield f"{name} {key}: missing"
        for key in came.keys() - held.keys():
            yield f"{name} {key}: the account does not have it"
        for key in held.keys() & came.keys():
            new, old = normal(came[key]), normal(held[key])
            if new != old:
                columns = [column for column in {*new, *old} if new.get(column) != old.get(column)]
                yield f"{name} {key}: other values in {', '.join(sorted(columns))}"


def outdated(destination: Destination, account: Mapping[str, list[Record]]) -> Iterator[str]:
    """A line for each record that is missing, or is older than the account's of some earlier moment."""
    for name, records in account.items():
        came = destination.rows[name]
        for key, old in by_key(records, destination.keys[name]).items():
            if key not in came:
                yield f"{name} {key}: missing"
            elif older := _older(name, came[key], old):
                yield f"{name} {key}: {older}"


def _older(name: str, new: Record, old: Record) -> str | None:
    """What of a record is older than it was; None: nothing is.

    The sandbox numbers its changes in a text of the record; what only stamps an incident moves its `updated_at`
    forward.
    """
    if version(new) < version(old):
        return f"change {version(new)} instead of {version(old)}"
    if version(new) == version(old) and str(new.get("updated_at", "")) < str(old.get("updated_at", "")):
        return f"of {new.get('updated_at')} instead of {old.get('updated_at')}"
    if name == "incidents":
        for column in NESTED:
            rows: dict[Key, Record] = by_key(new.get(column) or [], ["id"])
            for row in old.get(column) or []:
                key = key_of(row, ["id"])
                if key not in rows:
                    return f"{column} {key} is missing in it"
                if version(rows[key]) < version(row):
                    return f"{column} {key} is of change {version(rows[key])} instead of {version(row)}"
    return None


def version(record: Mapping[str, Any]) -> int:
    """The number of the last change of a record itself; -1: it was never changed."""
    numbers = [
        int(number)
        for text in (record.get(column) for column in ("summary", "description", "title"))
        if isinstance(text, str)
        for number in _CHANGE.findall(text)
    ]
    return max(numbers, default=-1)
