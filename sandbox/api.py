"""The mock API: an ASGI application that answers GET requests from the lists.

Benchmarks run against it, so it is optimized: records are serialized once, a page is serialized
records joined with constant bytes, and responses are not validated.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl

import orjson

from sandbox import errors
from sandbox.account import Account, record_list
from sandbox.asgi import Answer, Headers, Receive, Scope, Send, send_answer
from sandbox.contract import Endpoint
from sandbox.errors import ApiError
from sandbox.faults import Faults
from sandbox.filters import Filter, Query, build_filter
from sandbox.lists import ChildList, Match, Record, RecordList
from sandbox.options import Options
from sandbox.rate_limits import Bucket, RateLimits
from sandbox.schedule_entries import schedule_entries
from sandbox.times import Clock

_LOG_SIZE = 200_000
_MAX_CACHED_TOTALS = 256
_SORTS = {"created_at_newest_first": True, "created_at_oldest_first": False}
_IDENTITY = {
    "identity": {
        "name": "Sandbox",
        "roles": ["viewer", "catalog_viewer", "schedules_reader", "global_access"],
        "team_roles": [],
        "teams": [],
        "dashboard_url": "https://app.incident.io/example",
    }
}


class Api:
    """Answers requests.

    Attributes:
        log: the requests received: path, query, status, and "unknown" parameters or the "fault", if any.
        counts: number of requests by method and path template.
        total: number of requests.
        date_offset: seconds by which the Date header is wrong.
    """

    def __init__(self, account: Account, options: Options, clock: Clock, faults: Faults) -> None:
        self.account = account
        self.options = options
        self.faults = faults
        self._clock = clock
        self.log: deque[dict[str, Any]] = deque(maxlen=_LOG_SIZE)
        self.counts: Counter[str] = Counter()
        self.total = 0
        self.date_offset = 0.0
        self.limits = self.make_limits()
        self._ids = itertools.count(1)
        self._totals: OrderedDict[Any, int] = OrderedDict()
        endpoints = account.contract.endpoints.values()
        self._exact = {e.path: e for e in endpoints if "{" not in e.path}
        self._templates = [(e.path.split("/"), e) for e in endpoints if "{" in e.path]

    def make_limits(self) -> RateLimits:
        """Full buckets, as configured in the options."""
        options = self.options
        incidents = Bucket(options.incidents_limit, options.incidents_rate, options.other_client_incidents)
        return RateLimits(
            enforced=options.buckets,
            send_headers=options.rate_headers,
            key=Bucket(options.limit, options.rate, options.other_client),
            paths={"/v2/incidents": incidents},
        )

    def reset(self) -> None:
        """Clear the log and the counts, and refill the buckets."""
        self.log.clear()
        self.counts.clear()
        self.total = 0
        self.limits = self.make_limits()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path: str = scope["path"]
        query_text: str = scope["query_string"].decode("latin-1")
        entry = {"path": path, "query": query_text, "status": 0, "t": time.time()}
        self.total += 1
        self.log.append(entry)
        arrived = time.monotonic()
        answer, template = self._respond(scope, path, query_text, entry)
        if self.options.latency > 0:
            await asyncio.sleep(self.options.latency / 1000 - (time.monotonic() - arrived))
        self.counts[f"{scope['method']} {template}"] += 1
        entry["status"] = answer.status
        if not await self.faults.apply(scope, receive, send, answer, entry):
            await send_answer(send, answer)

    def _respond(self, scope: Scope, path: str, query_text: str, entry: dict[str, Any]) -> tuple[Answer, str]:
        """The answer to a request, and the path template that matched."""
        request_id = f"req-{next(self._ids):010x}"
        headers = self._headers(request_id)
        template = path
        try:
            self._authenticate(scope)
            endpoint, ids = self._route(path)
            if endpoint is not None:
                template = endpoint.path
            self._take_tokens(template, headers)
            if scope["method"] not in ("GET", "HEAD"):
                raise ApiError(405, "method_not_allowed", "method_not_allowed", "Use GET")
            if path == "/v1/identity":
                body = orjson.dumps(_IDENTITY)
            elif endpoint is None:
                raise errors.not_found("There is nothing at this path")
            else:
                for scope_name in endpoint.scopes:
                    if scope_name in self.options.forbid:
                        raise errors.forbidden(scope_name)
                query: Query = {}
                for name, value in parse_qsl(query_text, keep_blank_values=True):
                    query.setdefault(name, []).append(value)
                body = self._body(endpoint, ids, query, entry)
            return Answer(200, headers, body), template
        except ApiError as error:
            return Answer(error.status, headers, error.body(request_id)), template

    def _headers(self, request_id: str) -> Headers:
        now = self._clock.now_ms() / 1000 + self.date_offset
        return [
            (b"content-type", b"application/json"),
            (b"date", formatdate(now, usegmt=True).encode()),
            (b"x-request-id", request_id.encode()),
        ]

    def _take_tokens(self, template: str, headers: Headers) -> None:
        """Apply the rate limit. Adds its headers."""
        wait, limit_headers = self.limits.take(template)
        headers += limit_headers
        if wait > 0:
            headers.append((b"retry-after", str(int(wait) + (wait > int(wait))).encode()))
            raise errors.too_many()

    def _authenticate(self, scope: Scope) -> None:
        expected = b"Bearer " + self.options.key.encode()
        for name, value in scope["headers"]:
            if name == b"authorization":
                if value == expected:
                    return
                break
        raise errors.unauthenticated()

    def _route(self, path: str) -> tuple[Endpoint | None, tuple[str, ...]]:
        endpoint = self._exact.get(path)
        if endpoint is not None:
            return endpoint, ()
        parts = path.split("/")
        for template, candidate in self._templates:
            if len(template) != len(parts):
                continue
            ids = []
            for expected, given in zip(template, parts, strict=True):
                if expected.startswith("{"):
                    ids.append(given)
                elif expected != given:
                    break
            else:
                return candidate, tuple(ids)
        return None, ()

    def _body(self, endpoint: Endpoint, ids: tuple[str, ...], query: Query, entry: dict[str, Any]) -> bytes:
        parent_ids = self._parent_ids(endpoint, ids, query)
        if endpoint.name == "schedule_entries":
            return self._schedule_entries(parent_ids, query)
        if endpoint.records_key is None:
            body = self.account.bodies[endpoint.name].get(parent_ids)
            if body is None:
                raise errors.not_found()
            return orjson.dumps(body)
        found = self.account.lists[endpoint.name]
        records = found.children_of(parent_ids) if isinstance(found, ChildList) else found
        if records is None:
            raise errors.not_found()
        return self._list(endpoint, records, parent_ids, query, entry)

    @staticmethod
    def _parent_ids(endpoint: Endpoint, ids: tuple[str, ...], query: Query) -> tuple[str, ...]:
        if ids or not endpoint.parents:
            return ids
        parent_ids = []
        for parameter, _ in endpoint.parents:
            values = query.get(parameter)
            if not values or not values[-1]:
                raise errors.missing(parameter)
            parent_ids.append(values[-1])
        if endpoint.name == "alert_notes" and "alert_group_id" in query:
            raise errors.invalid("alert_id", "give exactly one of alert_id and alert_group_id")
        return tuple(parent_ids)

    def _list(
        self,
        endpoint: Endpoint,
        records: RecordList,
        parent_ids: tuple[str, ...],
        query: Query,
        entry: dict[str, Any],
    ) -> bytes:
        size = self._page_size(endpoint, query)
        selected = build_filter(
            endpoint,
            records,
            query,
            now_ms=self._clock.now_ms(),
            has_notes=self._has_notes(records) if endpoint.name == "alerts" else None,
        )
        if selected.unknown:
            entry["unknown"] = selected.unknown
            if self.options.strict:
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
        extra = self.account.extra_keys(endpoint, parent_ids)
        if endpoint.paged:
            meta: Record = {"page_size": size}
            if page and (more or self.options.trailing_empty_page):
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
        return lambda handle: self.account.has_notes(records.id_of(handle))

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

    def _schedule_entries(self, parent_ids: tuple[str, ...], query: Query) -> bytes:
        schedules = record_list(self.account, "schedules")
        handle = schedules.find(parent_ids[0])
        if handle is None:
            raise errors.not_found()
        users = record_list(self.account, "users")
        return orjson.dumps(schedule_entries(schedules.record(handle), users, query, self._clock.now_ms()))


def _without_next_shifts(row: bytes) -> bytes:
    """A schedule without `next_shifts`, which the API omits on pages of more than 25."""
    schedule = orjson.loads(row)
    schedule.pop("next_shifts", None)
    return orjson.dumps(schedule)
