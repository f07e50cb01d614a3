"""Compare emitted records with the records of an account."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from integration_tests.support.tap import Record, Run, records_of

Key = tuple[str, ...]
NESTED = ("attachments", "updates", "actions")
_CHANGE = re.compile(r"\(change (\d+)\)")


@dataclass
class Destination:
    """A destination that upserts: the last record of each key is kept."""

    keys: Mapping[str, Sequence[str]]
    rows: dict[str, dict[Key, Record]] = field(default_factory=lambda: defaultdict(dict))
    written: Counter[str] = field(default_factory=Counter)

    def load(self, run: Run) -> None:
        for stream, record in records_of(run.messages):
            self.rows[stream][key_of(record, self.keys[stream])] = record
            self.written[stream] += 1

    def duplicates(self, streams: Iterable[str] | None = None) -> int:
        """Return how many records replaced one that was loaded before."""
        return sum(self.written[name] - len(self.rows[name]) for name in (streams or list(self.written)))


def key_of(record: Mapping[str, Any], keys: Sequence[str]) -> Key:
    return tuple(str(record[key]) for key in keys)


def by_key(records: Iterable[Record], keys: Sequence[str]) -> dict[Key, Record]:
    return {key_of(record, keys): record for record in records}


def without_nulls(value: Any) -> Any:
    """Return the value without keys whose value is null, at any depth."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


def sort_nested(record: Record) -> Record:
    """Return the record with sorted nested records, because the API promises no order of them."""
    ordered = dict(record)
    for column in NESTED:
        if "reference" in record and isinstance(ordered.get(column), list):
            ordered[column] = sorted(ordered[column], key=lambda nested: key_of(nested, ["id"]))
    return ordered


def assert_same_records(emitted: list[Record], expected: list[Record], keys: Sequence[str], name: str) -> None:
    """Check that the stream `name` emitted each expected record once, with equal values, and no other record."""
    emitted_by_key, expected_by_key = by_key(emitted, keys), by_key(expected, keys)
    assert len(emitted_by_key) == len(emitted), f"{name}: a record was emitted twice"
    assert emitted_by_key.keys() == expected_by_key.keys(), f"{name}: {len(emitted)} emitted, {len(expected)} expected"
    for key, record in emitted_by_key.items():
        assert sort_nested(record) == sort_nested(expected_by_key[key]), f"{name} {key}"


def differences(destination: Destination, account: Mapping[str, list[Record]]) -> Iterator[str]:
    """Yield a line for each record that is missing, unknown to the account, or has another value."""
    for name, records in account.items():
        expected, loaded = by_key(records, destination.keys[name]), destination.rows[name]
        for key in expected.keys() - loaded.keys():
            yield f"{name} {key}: missing"
        for key in loaded.keys() - expected.keys():
            yield f"{name} {key}: the account does not have it"
        for key in expected.keys() & loaded.keys():
            new, old = sort_nested(loaded[key]), sort_nested(expected[key])
            if new != old:
                columns = [column for column in {*new, *old} if new.get(column) != old.get(column)]
                yield f"{name} {key}: other values in {', '.join(sorted(columns))}"


def outdated(destination: Destination, account: Mapping[str, list[Record]]) -> Iterator[str]:
    """Yield a line for each record that is missing, or older than in an earlier snapshot of the account."""
    for name, records in account.items():
        loaded = destination.rows[name]
        for key, old in by_key(records, destination.keys[name]).items():
            if key not in loaded:
                yield f"{name} {key}: missing"
            elif problem := _compare_versions(name, loaded[key], old):
                yield f"{name} {key}: {problem}"


def _compare_versions(name: str, new: Record, old: Record) -> str | None:
    """Return what is older in `new` than in `old`; None if nothing is.

    The sandbox writes the number of each change into a text of the record. A change of a nested record only moves the
    incident's `updated_at` forward.
    """
    if version(new) < version(old):
        return f"change {version(new)} instead of {version(old)}"
    if version(new) == version(old) and str(new.get("updated_at", "")) < str(old.get("updated_at", "")):
        return f"updated at {new.get('updated_at')} instead of {old.get('updated_at')}"
    if name == "incidents":
        for column in NESTED:
            loaded: dict[Key, Record] = by_key(new.get(column) or [], ["id"])
            for nested in old.get(column) or []:
                key = key_of(nested, ["id"])
                if key not in loaded:
                    return f"{column} {key} is missing in it"
                if version(loaded[key]) < version(nested):
                    return f"{column} {key} has change {version(loaded[key])} instead of {version(nested)}"
    return None


def version(record: Mapping[str, Any]) -> int:
    """Return the number of the record's last change; -1 if it never changed."""
    numbers = [
        int(number)
        for text in (record.get(column) for column in ("summary", "description", "title"))
        if isinstance(text, str)
        for number in _CHANGE.findall(text)
    ]
    return max(numbers, default=-1)
