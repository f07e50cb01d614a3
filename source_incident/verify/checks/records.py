"""Assumptions about records: types, keys, and details of some areas."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from source_incident.streams.kinds import ChildStream
from source_incident.streams.page import Record, cursor_of, value_at
from source_incident.verify.account import Account, Answer
from source_incident.verify.assumption import Assumption, Evidence, Result, plural
from source_incident.verify.schemas import Differences, differences

NO_RECORDS = "no stream with records could be read"
ENTRY_LISTS = ("final", "overrides", "scheduled")


def _compared(account: Account) -> Iterator[tuple[Answer, Differences]]:
    for name, answer in account.answers():
        if answer.records:
            yield answer, differences(name, answer.records, answer.stream.get_json_schema())


def _schema_check(account: Account, kind: str) -> Result:
    evidence = Evidence()
    for answer, found in _compared(account):
        evidence.seen += 1
        counts: Counter[str] = getattr(found, kind)
        for text, count in sorted(counts.items()):
            evidence.expect(False, f"{text} ({plural(count, 'time')} in {plural(len(answer.records), 'record')})")
    return evidence.result(NO_RECORDS)


def _types(account: Account) -> Result:
    return _schema_check(account, "wrong_types")


def _unknown_fields(account: Account) -> Result:
    return _schema_check(account, "unknown")


def _unique_keys(account: Account) -> Result:
    evidence = Evidence()
    for name, answer in account.answers():
        if answer.records:
            duplicates = len(answer.records) - len(answer.keys)
            text = f"{name}: {plural(duplicates, 'record')} of {len(answer.records)} with the key of another"
            evidence.expect(not duplicates, text)
    return evidence.result(NO_RECORDS)


def _parents(account: Account) -> Result:
    evidence = Evidence()
    for name, answer in account.answers():
        stream = answer.stream
        if not isinstance(stream, ChildStream):
            continue
        values = [record[stream.parent_key] for record in answer.raw_records if record.get(stream.parent_key)]
        others = sum(value != answer.slice.get(stream.parent_key) for value in values)
        if values:
            evidence.expect(not others, f"{name}: {plural(others, 'record')} of {len(values)} with another parent")
    return evidence.result("no child list with records names its parent")


def _entry_window(account: Account) -> Result:
    answer = account.first_page("schedule_entries")
    bounds = _window(answer)
    evidence = Evidence()
    for name, entries in _entries(answer):
        outside = 0
        for entry in entries:
            start, end = cursor_of(entry, "start_at"), cursor_of(entry, "end_at")
            if start and end and bounds[0] and bounds[1]:
                evidence.seen += 1
                outside += end < bounds[0] or start > bounds[1]
        if outside:
            evidence.expect(False, f"{name}: {outside} of {len(entries)} entries are outside of the window")
    return evidence.result("schedule_entries: no entry has a start and an end")


def _true_start(account: Account) -> Result:
    answer = account.first_page("schedule_entries")
    start = _window(answer)[0]
    evidence = Evidence()
    cut = 0
    for entry in dict(_entries(answer))["scheduled"]:
        starts_at = cursor_of(entry, "start_at")
        if start and starts_at and starts_at <= start:
            evidence.seen += 1
            cut += starts_at == start
    if cut:
        evidence.expect(False, f"scheduled: {plural(cut, 'shift')} of {evidence.seen} cut at the start of the window")
    return evidence.result("schedule_entries: no scheduled shift is running")


def _window(answer: Answer) -> list[datetime | None]:
    """The start and the end of the window in the request."""
    params = dict(answer.stream.page_params(answer.slice))
    return [cursor_of(params, parameter) for parameter in answer.stream.window_parameters or ()]


def _entry_fingerprints(account: Account) -> Result:
    answer = account.first_page("schedule_entries")
    lists = dict(_entries(answer))
    planned = {_shift(entry): entry.get("fingerprint") for entry in lists["scheduled"]}
    overrides = [entry.get("fingerprint") for entry in lists["overrides"]]
    evidence = Evidence()
    different = 0
    for entry in lists["final"]:
        if cursor_of(entry, "start_at") == _window(answer)[0]:
            continue  # It is cut, so it has a fingerprint of its own.
        if _shift(entry) in planned and entry.get("fingerprint") not in overrides:
            evidence.seen += 1
            different += entry.get("fingerprint") != planned[_shift(entry)]
    if different:
        evidence.expect(False, f"{different} of {evidence.seen} shifts with another fingerprint in final")
    return evidence.result("schedule_entries: no shift is in both lists")


def _entries(answer: Answer) -> Iterator[tuple[str, list[Record]]]:
    lists: Any = answer.body.get(str(answer.stream.records_key))
    for name in ENTRY_LISTS:
        yield name, lists[name]


def _shift(entry: Record) -> tuple[Any, ...]:
    return (
        entry.get("rotation_id"),
        entry.get("layer_id"),
        value_at(entry, "user.id"),
        cursor_of(entry, "start_at"),
        cursor_of(entry, "end_at"),
    )


def _note_owner(account: Account) -> Result:
    evidence = Evidence()
    for record in account.records("alert_notes").raw_records:
        owners = bool(record.get("alert_id")) + bool(record.get("alert_group_id"))
        evidence.expect(owners == 1, "a note has both an alert and an alert group, or neither")
    return evidence.result("alert_notes: the account has no records")


def _synced_at(account: Account) -> Result:
    answer = account.first_page("incident_participant_workloads")
    evidence = Evidence()
    moment = cursor_of({"": value_at(answer.body, "metadata.data_synced_at")}, "")
    evidence.expect(moment is not None, "metadata.data_synced_at is not a timestamp")
    return evidence.result("")


ASSUMPTIONS = (
    Assumption("records.types", "Records", "Values have the types that the schemas have, at any depth", _types),
    Assumption("records.unique", "Records", "Keys are unique on a page", _unique_keys),
    Assumption("records.parents", "Records", "A child list has only children of the parent in the request", _parents),
    Assumption(
        "compatibility.fields", "Compatibility", "The schemas have every field that the API returns", _unknown_fields
    ),
    Assumption(
        "schedule_entries.window",
        "Schedule entries",
        "Entries overlap the window in the request",
        _entry_window,
        streams=("schedule_entries",),
    ),
    Assumption(
        "schedule_entries.scheduled",
        "Schedule entries",
        "In scheduled, a shift that is running when the window starts has its true start",
        _true_start,
        streams=("schedule_entries",),
    ),
    Assumption(
        "schedule_entries.fingerprints",
        "Schedule entries",
        "A shift with the same start has the same fingerprint in final and in scheduled",
        _entry_fingerprints,
        streams=("schedule_entries",),
    ),
    Assumption(
        "alert_notes.owner",
        "Alert notes",
        "A note belongs to an alert or to an alert group",
        _note_owner,
        streams=("alert_notes",),
    ),
    Assumption(
        "workloads.synced_at",
        "Workloads",
        "metadata.data_synced_at says until when workloads are complete",
        _synced_at,
        streams=("incident_participant_workloads",),
    ),
)
