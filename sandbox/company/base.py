"""What all generators of the company share: options, time span, salts, and the lists generated so far."""

from __future__ import annotations

from sandbox.account import Body, changed_count
from sandbox.contract import Contract
from sandbox.ids import make_salt, mix, number_from_id
from sandbox.lists import NEWEST_FIRST, ChildList, FixedSource, InventedSource, Record, RecordList, incident_mode_column
from sandbox.options import Options
from sandbox.times import DAY, Clock

YEAR = 365 * DAY


class CompanyBase:
    """The lists and bodies generated so far, and what is needed to generate more.

    Attributes:
        start_ms: when the first event happened, in milliseconds.
        anchor_ms: when the last change happened: about a week ago, and constant for a day.
        field_options: the options of each custom field, by its id.
    """

    def __init__(self, contract: Contract, options: Options, clock: Clock) -> None:
        self.contract = contract
        self.options = options
        self.clock = clock
        now = clock.now_ms()
        self.anchor_ms = now - now % DAY - 7 * DAY
        self.start_ms = self.anchor_ms - YEAR
        self.lists: dict[str, RecordList | ChildList] = {}
        self.bodies: dict[str, Body] = {}
        self.field_options: dict[str, list[Record]] = {}
        self._salts: dict[str, int] = {}

    def add(self, name: str, source: FixedSource | InventedSource) -> None:
        """Add a list that has no parents."""
        self.lists[name] = RecordList(
            name,
            source,
            newest_first=name in NEWEST_FIRST,
            derived=incident_mode_column(self.lists),
        )

    def salt(self, name: str) -> int:
        if name not in self._salts:
            self._salts[name] = make_salt(self.options.seed, name)
        return self._salts[name]

    def pick(self, name: str, number: int) -> Record | None:
        """A record of a list, chosen by a number; None if the list is missing, empty or has parents."""
        records = self.lists.get(name)
        if not isinstance(records, RecordList) or records.source.count == 0:
            return None
        return records.record(number % records.source.count)

    def pick_id(self, name: str, number: int) -> str | None:
        """The id of the record that `pick` returns."""
        records = self.lists.get(name)
        if not isinstance(records, RecordList) or records.source.count == 0:
            return None
        return records.source.id_at(number % records.source.count)

    def records(self, name: str) -> list[Record]:
        """All records of a short list."""
        records = self.lists[name]
        assert isinstance(records, RecordList)
        return [records.record(handle) for handle in records.handles()]

    def has_notes(self, alert_id: str) -> bool:
        count = changed_count(self.lists, "alert_notes", alert_id)
        return count > 0 if count is not None else mix(make_salt(self.options.seed, alert_id)) % 32 == 0

    def group_has_notes(self, group_id: str) -> bool:
        count = changed_count(self.lists, "alert_group_notes", group_id)
        if count is not None:
            return count > 0
        number = number_from_id(self.salt("alert_groups"), group_id)
        return number is not None and number % 3 == 0
