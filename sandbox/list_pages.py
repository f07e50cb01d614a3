"""Pages of a list: the body of a response, with its records and `pagination_meta`.

Benchmarks run against it, so it is optimized: records are serialized once, a page is serialized
records joined with constant bytes, and responses are not validated.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import orjson

from sandbox import errors
from sandbox.account import Account
from sandbox.contract import Endpoint
from sandbox.filters import Filter, Query, build_filter
from sandbox.lists import Match, Record, RecordList
from sandbox.options import Options
from sandbox.times import Clock

_MAX_CACHED_TOTALS = 256
_SORTS = {"created_at_newest_first": True, "created_at_oldest_first": False}


class ListPages:
    """Serves the pages of all lists."""

    def __init__(self, account: Account, options: Options, clock: Clock) -> None:
        self._account = account
        self._options = options
        self._clock = clock
        self._totals: OrderedDict[Any, int] = OrderedDict()

    def page(
        self,
        endpoint: Endpoint,
        records: RecordList,
        parent_ids: tuple[str, ...],
        query: Query,
        entry: dict[str, Any],
    ) -> bytes:
        """The body of a response. Adds unknown parameters to the log entry."""
        size = self._page_size(endpoint, query)
        selected = build_filter(
            endpoint,
            records,
            query,
            now_ms=self._clock.now_ms(),
            has_notes=self._has_notes(records) if endpoint.name == "alerts" else None,
            precision_ms=self._options.filter_precision,
        )
        if selected.unknown:
            entry["unknown"] = selected.unknown
            if self._options.strict:
                raise errors.invalid(selected.unknown[0], "is not a parameter of this endpoint")
        handles = self._handles(endpoint, records, query, selected)
        page = list(itertools.islice(handles, size + 1 if endpoint.paged else None))
        more = endpoint.paged and len(page) > size
        if more:
            page.pop()
        rows = [records.row(handle) for handle in page]
        if endpoint.name == "schedules" and size > 25:
            rows = [_without_next_shifts(row) for row in rows]
        parts = [b'{"', str(endpoint.records_key).encode(), b'":[', b",".join(rows), b"]"]
        extra = self._account.extra_keys(endpoint, parent_ids)
        if endpoint.paged:
            meta: Record = {"page_size": size}
            if page and (more or self._options.trailing_empty_page):
                meta["after"] = records.id_of(page[-1])
            if endpoint.has_total:
                meta["total_record_count"] = self._total(records, selected)
            extra["pagination_meta"] = meta
        for key, value in extra.items():
            parts += [b',"', key.encode(), b'":', orjson.dumps(value)]
        parts.append(b"}")
        return b"".join(parts)

    def _handles(self, endpoint: Endpoint, records: RecordList, query: Query, selected: Filter) -> Iterator[int]:
        """The selected records in order, from the one after the cursor on."""
        newest_first = records.newest_first
        if "sort_by" in query and "sort_by" in endpoint.parameters:
            if query["sort_by"][-1] not in _SORTS:
                raise errors.invalid("sort_by", "must be one of " + ", ".join(_SORTS))
            newest_first = _SORTS[query["sort_by"][-1]]
        after = self._after(records, query) if endpoint.paged else None
        if selected.handles is None:
            return records.handles(selected.match, reverse=newest_first, after=after)
        candidates = selected.handles[::-1] if newest_first else selected.handles
        if after is not None:
            candidates = candidates[candidates.index(after) + 1 :] if after in candidates else []
        return iter(candidates) if selected.match is None else filter(selected.match, candidates)

    def _has_notes(self, records: RecordList) -> Match:
        account = self._account
        if not self._options.has_notes_counts_groups:
            return lambda handle: account.has_notes(records.id_of(handle))
        return lambda handle: (
            account.has_notes(records.id_of(handle))
            or any(map(account.group_has_notes, records.value(handle, "alert_group_ids[]")))
        )

    @staticmethod
    def _page_size(endpoint: Endpoint, query: Query) -> int:
        if not endpoint.paged:
            return 0
        if "page_size" not in query:
            if endpoint.page_size_required:
                raise errors.missing("page_size")
            return endpoint.page_size_default
        try:
            size = int(query["page_size"][-1])
        except ValueError:
            raise errors.invalid("page_size", "must be an integer") from None
        if not 1 <= size <= endpoint.page_size_max:
            raise errors.invalid("page_size", f"must be between 1 and {endpoint.page_size_max}")
        return size

    @staticmethod
    def _after(records: RecordList, query: Query) -> int | None:
        if "after" not in query:
            return None
        handle = records.find(query["after"][-1])
        if handle is None:
            raise errors.not_found("There is no record with the id given as after")
        return handle

    def _total(self, records: RecordList, selected: Filter) -> int:
        if selected.match is None and selected.handles is None:
            return len(records)
        key = (id(records), records.version, selected.key)
        total = self._totals.get(key)
        if total is None:
            total = sum(1 for _ in records.handles(selected.match))
            self._totals[key] = total
            if len(self._totals) > _MAX_CACHED_TOTALS:
                self._totals.popitem(last=False)
        return total


def _without_next_shifts(row: bytes) -> bytes:
    """A schedule without `next_shifts`, which the API omits on pages of more than 25."""
    schedule = orjson.loads(row)
    schedule.pop("next_shifts", None)
    return orjson.dumps(schedule)
