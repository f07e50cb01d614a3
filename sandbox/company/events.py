"""The base of the sources whose records are spread over a year."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.company.base import CompanyBase
from sandbox.ids import mix
from sandbox.lists import InventedSource
from sandbox.times import DAY, SECOND, cut_fraction

_SPAN = 362 * DAY


class EventSource(InventedSource):
    """A list whose records are spread over a year, in order of creation."""

    def __init__(self, company: CompanyBase, name: str, count: int) -> None:
        super().__init__(company.salt(name), count)
        self._start = company.start_ms
        self._anchor = company.anchor_ms
        self._round = company.options.round_times * SECOND

    def bits(self, index: int) -> int:
        """Pseudo-random bits of a record."""
        return mix(self.salt + index)

    def exact(self, index: int) -> int:
        """When a record was created, before rounding; increases with the index."""
        fraction = (index << 16) | (self.bits(index) & 0xFFFF)
        return self._start + _SPAN * fraction // (self.count << 16)

    def created(self, index: int) -> int:
        exact = self.exact(index)
        return exact - exact % self._round if self._round else exact

    def id_at(self, index: int) -> str:
        return self.new_id(index, self.exact(index))

    def updated(self, index: int) -> int:
        """When a record was last updated, in milliseconds."""
        raise NotImplementedError

    def column(self, column: str) -> Callable[[int], Any] | None:
        read = {"created_at": self.created, "updated_at": self.updated}.get(column)
        return None if read is None else lambda index: cut_fraction(read(index))
