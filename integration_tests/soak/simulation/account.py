"""A simulated account: its records, how they change, and which changes a sync can find."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

from integration_tests.soak.simulation.declarations import Declaration, declarations
from integration_tests.soak.simulation.scheduler import START, VirtualClock
from source_incident.timestamps import format_timestamp

OPEN = ("triage", "live", "paused", "learning")
CLOSED = ("closed", "declined", "canceled", "merged")
MODES = ("standard", "retrospective", "test", "tutorial")
# Streams whose records name their incident, although they are lists of their own.
OF_INCIDENTS = ("actions", "follow_ups", "incident_updates")
WORKLOADS = "incident_participant_workloads"
# A workflow run can change for so long without being missed (its lookback).
RUN_CHANGES = timedelta(days=6)


@dataclass(eq=False)
class Row:
    """A record of the account.

    Attributes:
        declaration: its stream.
        id: its id, unique in its list.
        data: what the API answers.
        created_at, updated_at: by the server's clock.
        parent: the record that it is a child of.
        incident: the incident that it names, if its list is not a child of incidents.
        children: its children, by stream.
        category, mode: of incidents.
        list_name: the list that it is in, where the body has several.
        old_data: what lists show until `visible_at`; None: nothing.
        unnoticed: it changed in a way that incremental syncs do not find.
        changed_at: when the change that `visible_at` is for happened.
    """

    declaration: Declaration
    id: str
    created_at: datetime
    updated_at: datetime
    data: dict[str, Any]
    parent: Row | None = None
    incident: Row | None = None
    children: dict[str, dict[str, Row]] = field(default_factory=dict)
    category: str = ""
    mode: str = ""
    list_name: str = ""
    old_data: dict[str, Any] | None = None
    visible_at: datetime = START
    unnoticed: bool = False
    changed_at: datetime = START

    @property
    def stream(self) -> str:
        return self.declaration.name

    @property
    def root(self) -> Row:
        return self.parent.root if self.parent else self

    def visible(self, now: datetime) -> dict[str, Any] | None:
        """What lists show of it now; None: they do not have it yet."""
        return self.data if now >= self.visible_at else self.old_data

    def parent_ids(self) -> dict[str, str]:
        """The ids that the connector adds, which are those of its parents."""
        if self.parent is None:
            return {}
        return {**self.parent.parent_ids(), self.declaration.parent_key: self.parent.id}

    def parents(self) -> Iterator[Row]:
        if self.parent:
            yield self.parent
            yield from self.parent.parents()

    def descendants(self) -> Iterator[Row]:
        for rows in self.children.values():
            for row in rows.values():
                yield row
                yield from row.descendants()


@dataclass
class Habits:
    """How an account behaves.

    Attributes:
        is_honest: every change moves a cursor that the connector reads by.
        max_lag: seconds until lists show a change.
        orders: the order of each list: newest, oldest or id.
        page_sizes: records per page by list.
        zone: the time zone of filters by date, in hours.
        reports_total: pages have a total.
        total_knows_filters: the total counts what the filters select.
        deleted_cursor: what becomes of a cursor whose record was deleted: `works`, or a status.
        refuses_span: filters by created_at are refused, with 422.
        workload_delay: seconds until workloads are calculated.
    """

    is_honest: bool
    max_lag: float
    orders: dict[str, str]
    page_sizes: dict[str, int]
    zone: int
    reports_total: bool
    total_knows_filters: bool
    deleted_cursor: str
    refuses_span: bool
    workload_delay: float


class Account:
    """The records, by stream.

    Args:
        random: decides everything.
        clock: the time.
        names: the streams that have records.
        habits: how it behaves.
        sizes: how many records a stream has at the start, by stream.
        nested: the nested columns that the destination has.
    """

    def __init__(
        self,
        random: Random,
        clock: VirtualClock,
        names: list[str],
        habits: Habits,
        sizes: dict[str, int],
        nested: frozenset[str],
    ) -> None:
        self._random = random
        self._clock = clock
        self.habits = habits
        self._nested = nested
        self.names = names
        self.rows: dict[str, dict[str, Row]] = {name: {} for name in names}
        # Of deleted records too: a cursor can name one.
        self.sort_keys: dict[str, dict[str, tuple[float, str]]] = {name: {} for name in names}
        self._numbers = 0
        self._values = 0
        for name in names:
            for _ in range(sizes[name]):
                self._create(declarations()[name], random.uniform(-60, -0.01) * 86400)

    # What there is

    def find(self, name: str, id_: str) -> Row | None:
        return self.rows[name].get(id_)

    # Changes

    def change(self) -> str:
        """Change something.

        Returns:
            What was changed, for the trace.
        """
        name = self._random.choice(self.names)
        declaration = declarations()[name]
        rows = list(self.rows[name].values())
        what = self._random.choices(("create", "update", "delete", "add a field"), (30, 45, 15, 10))[0]
        if not rows or what == "create":
            row = self._create(declaration, 0)
            return f"create {name} {row.id}" if row else "nothing"
        row = self._random.choice(rows)
        if what == "delete" and not declaration.stream.single_record and declaration.stream.records_key is not None:
            self._delete(row)
        else:
            self._update(row, adds_field=what == "add a field")
        return f"{what} {name} {row.id}"

    def hide_changes(self, root: Row, name: str) -> None:
        """Mark the rows of a stream below a record: the connector may skip them until the record changes."""
        for row in root.descendants():
            if row.stream == name or name in (parent.stream for parent in row.parents()):
                row.unnoticed = True

    def _create(self, declaration: Declaration, age: float) -> Row | None:
        """Create a record, some seconds from now; None: the account has no place for it."""
        created_at = self._clock.server_time + timedelta(seconds=age)
        parent, incident = None, None
        if declaration.stream.single_record and self.rows[declaration.name]:
            return None
        if declaration.parent:
            has_body = declaration.stream.records_key is None
            parents = [
                row
                for row in self.rows[declaration.parent.name].values()
                if not (has_body and row.children.get(declaration.name))
            ]
            if not parents:
                return None
            parent = self._random.choice(parents)
        elif declaration.name in OF_INCIDENTS and self.rows.get("incidents"):
            incident = self._random.choice(list(self.rows["incidents"].values()))
        if owner := parent or incident:
            created_at = max(created_at, owner.created_at)
        return self._add(declaration, created_at, parent, incident)

    def _add(self, declaration: Declaration, created_at: datetime, parent: Row | None, incident: Row | None) -> Row:
        self._numbers += 1
        row = Row(
            declaration,
            f"{self._random.getrandbits(24):06x}{self._numbers}",
            created_at,
            created_at,
            {},
            parent=parent,
            incident=incident,
        )
        if row.stream == "incidents":
            row.category, row.mode = self._random.choice(OPEN + CLOSED), self._random.choice(MODES)
        if declaration.stream.record_lists:
            row.list_name = self._random.choice(declaration.stream.record_lists)
        self.rows[row.stream][row.id] = row
        self.sort_keys[row.stream][row.id] = self.sort_key(row)
        if parent:
            parent.children.setdefault(row.stream, {})[row.id] = row
        row.data = self._new_data(row)
        if created_at >= START:
            self._delay(row)
            self._note_change(row, is_new=True)
        for child in declaration.children:
            # Every parent has such a body.
            if child.stream.records_key is None and child.name in self.rows:
                self._add(child, created_at, row, None)
        return row

    def sort_key(self, row: Row) -> tuple[float, str]:
        """Where its list has a record. It never moves."""
        moment = row.created_at.timestamp()
        return ({"newest": -moment, "oldest": moment}.get(self.habits.orders[row.stream], 0.0), row.id)

    def _new_data(self, row: Row) -> dict[str, Any]:
        stream, columns = row.declaration.stream, row.declaration.schema["properties"]
        added = {*row.parent_ids(), *stream.extra_fields, "incident_id", stream.record_list_field}
        data: dict[str, Any] = {}
        if stream.records_key is not None:
            data.update((key, row.id) for key in ("id", *row.declaration.key) if key in columns and key not in added)
        data.update((key, format_timestamp(row.created_at)) for key in ("created_at", "updated_at") if key in columns)
        if "user_id" in stream.extra_fields:
            data["user"] = {"id": row.id}
        if row.stream in OF_INCIDENTS:
            data["incident_id"] = row.incident.id if row.incident else "none"
        if row.stream == "incidents":
            data["mode"] = row.mode
            data["incident_status"] = {"category": row.category}
        if row.stream == "schedule_entries":
            data["start_at"] = format_timestamp(row.created_at + timedelta(days=self._random.randint(-10, 20)))
        data[row.declaration.value_column] = self._value()
        return data

    def _value(self) -> str:
        self._values += 1
        return f"v{self._values}"

    def _update(self, row: Row, adds_field: bool = False) -> None:
        self._delay(row)
        spare = [name for name in row.declaration.spare_columns if name not in row.data]
        column = row.declaration.value_column
        if adds_field:
            use_spare = spare and self._random.random() < 0.7
            column = self._random.choice(spare) if use_spare else f"new_field_{self._random.randint(1, 3)}"
        row.data = {**row.data, column: self._value()}
        changes_category = row.stream == "incidents" and self._random.random() < 0.4
        if changes_category:
            row.category = self._random.choice(OPEN + CLOSED)
            row.data["incident_status"] = {"category": row.category}
        self._note_change(row, always_moves=changes_category)

    def _delete(self, row: Row) -> None:
        for child in list(row.descendants()):
            self._forget(child)
        for name in OF_INCIDENTS if row.stream == "incidents" else ():
            for other in list(self.rows.get(name, {}).values()):
                if other.incident is row:
                    self._forget(other)
        self._forget(row)
        self._note_nested(row, self._moves())

    def _forget(self, row: Row) -> None:
        self.rows[row.stream].pop(row.id, None)
        if row.parent:
            row.parent.children[row.stream].pop(row.id, None)

    def _moves(self) -> bool:
        return self.habits.is_honest or self._random.random() < 0.5

    def _note_change(self, row: Row, is_new: bool = False, always_moves: bool = False) -> None:
        """Move the cursors by which a sync finds a change, or mark the row that it will not find."""
        moves = self._moves() or always_moves or row.stream == WORKLOADS
        stream, cursor = row.declaration.stream, row.declaration.cursor_field
        if cursor == "updated_at" and (moves or is_new):
            self._move_cursor(row)
        elif cursor == "updated_at":
            row.unnoticed = True
        elif cursor and not is_new:
            is_recent = self._clock.server_time - row.created_at < RUN_CHANGES
            row.unnoticed |= not (row.stream == "workflow_runs" and is_recent)
        if stream.uses_root_cursor and not stream.parent_query:
            root = row.root
            is_open = root.stream == "incidents" and root.category in OPEN and row.stream != WORKLOADS
            if is_open and self._random.random() < 0.5:
                pass  # Every sync reads the children of open incidents.
            elif moves:
                self._move_cursor(root)
            else:
                row.unnoticed = True
        self._note_nested(row, moves)

    def _note_nested(self, row: Row, moves: bool) -> None:
        """A nested column of an incident changes with the row."""
        names = {nested.name for column, nested in declarations()["incidents"].nested.items() if column in self._nested}
        incident = row.incident or (row.parent if row.stream == "incident_attachments" else None)
        if row.stream not in names or incident is None:
            return
        if moves:
            self._move_cursor(incident)
        else:
            incident.unnoticed = True

    def _move_cursor(self, row: Row) -> None:
        """Set `updated_at` to now. A sync reads the record and its children again."""
        self._delay(row)
        row.updated_at = self._clock.server_time
        row.data = {**row.data, "updated_at": format_timestamp(row.updated_at)}
        row.unnoticed = False
        for descendant in row.descendants():
            if descendant.declaration.stream.uses_root_cursor:
                descendant.unnoticed = False

    def _delay(self, row: Row) -> None:
        """Let lists show the coming change some time after its own timestamp."""
        now = self._clock.server_time
        if row.stream == WORKLOADS:
            seconds = self._random.uniform(0, self.habits.workload_delay)
            if now >= row.visible_at:
                row.old_data, row.changed_at = (row.data if row.created_at < now else None), now
        else:
            seconds = self._random.uniform(0, self.habits.max_lag)
            if now >= row.visible_at:
                row.old_data = row.data if row.created_at < now else None
        row.visible_at = now + timedelta(milliseconds=int(seconds * 1000))
