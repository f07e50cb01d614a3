"""The API itself: an ASGI application that answers GET requests from the lists.

Kept cheap, for it is what a benchmark runs against: rows are serialised once, a page is rows joined
between prepared bytes, and nothing is validated on the way out.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any, Protocol
from urllib.parse import parse_qsl

import orjson

from . import errors, filters, shifts
from .contract import Contract, Endpoint
from .errors import ApiError
from .filters import Query
from .limits import Bucket, Limits
from .lists import ChildList, Match, Record, RecordList
from .options import Options
from .times import Clock

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

_LOGGED = 200_000
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


class Body(Protocol):
    """An endpoint that answers with one object."""

    def of(self, parent_ids: tuple[str, ...]) -> Record | None: ...


class Account(Protocol):
    """What is served: an invented company or a recorded account."""

    contract: Contract
    lists: dict[str, RecordList | ChildList]

    @property
    def bodies(self) -> MutableMapping[str, Any]: ...

    def extras(self, endpoint: Endpoint, parent_ids: tuple[str, ...]) -> Record: ...

    def has_notes(self, alert_id: str) -> bool: ...


@dataclass
class Answer:
    """What a request gets: made before any of it is sent, so that a fault can change it."""

    status: int
    headers: Headers
    body: bytes


class Api:
    """Answers requests; `log` and `counts` tell which came."""

    def __init__(self, account: Account, options: Options, clock: Clock) -> None:
        self.account = account
        self.options = options
        self.clock = clock
        self.endpoints = account.contract.endpoints
        self.log: deque[dict[str, Any]] = deque(maxlen=_LOGGED)
        self.counts: Counter[str] = Counter()
        self.total = 0
        self.date_offset = 0.0
        self.limits = self.make_limits()
        self.fault: Fault | None = None
        self._ids = itertools.count(1)
        self._totals: OrderedDict[Any, int] = OrderedDict()
        self._exact = {e.path: e for e in self.endpoints.values() if "{" not in e.path}
        self._templates = [(e.path.split("/"), e) for e in self.endpoints.values() if "{" in e.path]

    def make_limits(self) -> Limits:
        """The buckets that the options ask for, full."""
        options = self.options
        limits = Limits(
            enforced=options.buckets,
            key=Bucket(options.limit, options.rate, options.other_client),
            paths={
                "/v2/incidents": Bucket(
                    options.incidents_limit,
                    options.incidents_rate,
                    options.other_client_incidents,
                )
            },
        )
        limits.headers_sent = options.rate_headers
        return limits

    def reset(self) -> None:
        """Forget the requests, and fill the buckets."""
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
        if self.options.latency > 0:
            arrived = time.monotonic()
            answer, template = self.answer(scope, path, query_text, entry)
            await asyncio.sleep(self.options.latency / 1000 - (time.monotonic() - arrived))
        else:
            answer, template = self.answer(scope, path, query_text, entry)
        self.counts[f"{scope['method']} {template}"] += 1
        entry["status"] = answer.status
        if self.fault is not None and await self.fault.strikes(scope, receive, send, answer, entry):
            return
        await send_answer(send, answer)

    def answer(self, scope: Scope, path: str, query_text: str, entry: dict[str, Any]) -> tuple[Answer, str]:
        """The answer to a request, and the path template that it was for."""
        request_id = f"req-{next(self._ids):010x}"
        headers = self._headers(request_id)
        template = path
        try:
            self._authenticate(scope)
            endpoint, ids = self._route(path)
            if endpoint is not None:
                template = endpoint.path
            wait, told = self.limits.take(template)
            headers += told
            if wait > 0:
                headers.append((b"retry-after", str(int(wait) + (wait > int(wait))).encode()))
                raise errors.too_many()
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
                body = self._answer(endpoint, ids, query, entry)
            return Answer(200, headers, body), template
        except ApiError as error:
            return Answer(error.status, headers, error.body(request_id)), template

    def _headers(self, request_id: str) -> Headers:
        now = self.clock.now_ms() / 1000 + self.date_offset
        return [
            (b"content-type", b"application/json"),
            (b"date", formatdate(now, usegmt=True).encode()),
            (b"x-request-id", request_id.encode()),
        ]

    def _authenticate(self, scope: Scope) -> None:
        wanted = b"Bearer " + self.options.key.encode()
        for name, value in scope["headers"]:
            if name == b"authorization":
                if value == wanted:
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

    def _answer(self, endpoint: Endpoint, ids: tuple[str, ...], query: Query, entry: dict[str, Any]) -> bytes:
        parent_ids = self._parent_ids(endpoint, ids, query)
        if endpoint.name == "schedule_entries":
            return self._schedule_entries(parent_ids, query)
        if endpoint.records_key is None:
            body = self.account.bodies[endpoint.name].of(parent_ids)
            if body is None:
                raise errors.not_found()
            return orjson.dumps(body)
        found = self.account.lists[endpoint.name]
        records = found.of(parent_ids) if isinstance(found, ChildList) else found
        if records is None:
            raise errors.not_found()
        return self._list(endpoint, records, parent_ids, query, entry)

    @staticmethod
    def _parent_ids(endpoint: Endpoint, ids: tuple[str, ...], query: Query) -> tuple[str, ...]:
        if ids or not endpoint.parents:
            return ids
        found = []
        for parameter, _ in endpoint.parents:
            values = query.get(parameter)
            if not values or not values[-1]:
                raise errors.missing(parameter)
            found.append(values[-1])
        if endpoint.name == "alert_notes" and "alert_group_id" in query:
            raise errors.invalid("alert_id", "give exactly one of alert_id and alert_group_id")
        return tuple(found)

    def _list(
        self,
        endpoint: Endpoint,
        records: RecordList,
        parent_ids: tuple[str, ...],
        query: Query,
        entry: dict[str, Any],
    ) -> bytes:
        size = self._page_size(endpoint, query)
        chosen = filters.build(
            endpoint,
            records,
            query,
            now_ms=self.clock.now_ms(),
            is_note=self._is_note(records) if endpoint.name == "alerts" else None,
        )
        if chosen.unknown:
            entry["unknown"] = chosen.unknown
            if self.options.strict:
                raise errors.invalid(chosen.unknown[0], "is not a parameter of this endpoint")
        newest_first = records.newest_first
        if "sort_by" in query and "sort_by" in endpoint.parameters:
            if query["sort_by"][-1] not in _SORTS:
                raise errors.invalid("sort_by", "must be one of " + ", ".join(_SORTS))
            newest_first = _SORTS[query["sort_by"][-1]]
        after = self._after(records, query) if endpoint.paged else None
        if chosen.handles is None:
            handles = records.handles(chosen.match, reverse=newest_first, after=after)
        else:
            named = chosen.handles[::-1] if newest_first else chosen.handles
            if after is not None:
                named = named[named.index(after) + 1 :] if after in named else []
            handles = iter(named) if chosen.match is None else filter(chosen.match, named)
        page = list(itertools.islice(handles, size + 1 if endpoint.paged else None))
        more = endpoint.paged and len(page) > size
        if more:
            page.pop()
        row = records.row
        parts = [b'{"', str(endpoint.records_key).encode(), b'":[']
        parts.append(b",".join([row(handle) for handle in page]))
        parts.append(b"]")
        if endpoint.name == "schedules" and size > 25:
            parts[-2] = b",".join([_without_next_shifts(row(handle)) for handle in page])
        for key, value in self.account.extras(endpoint, parent_ids).items():
            parts += [b',"', key.encode(), b'":', orjson.dumps(value)]
        if endpoint.paged:
            meta: Record = {"page_size": size}
            if page and (more or self.options.trailing_empty_page):
                meta["after"] = records.id_of(page[-1])
            if endpoint.has_total:
                meta["total_record_count"] = self._total(records, chosen)
            parts += [b',"pagination_meta":', orjson.dumps(meta)]
        parts.append(b"}")
        return b"".join(parts)

    def _is_note(self, records: RecordList) -> Match:
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

    def _total(self, records: RecordList, chosen: filters.Filter) -> int:
        if chosen.match is None and chosen.handles is None:
            return len(records)
        key = (id(records), records.version, chosen.key)
        total = self._totals.get(key)
        if total is None:
            total = sum(1 for _ in records.handles(chosen.match))
            self._totals[key] = total
            if len(self._totals) > 256:
                self._totals.popitem(last=False)
        return total

    def _schedule_entries(self, parent_ids: tuple[str, ...], query: Query) -> bytes:
        schedules = self.account.lists["schedules"]
        assert isinstance(schedules, RecordList)
        handle = schedules.find(parent_ids[0])
        if handle is None:
            raise errors.not_found()
        users = self.account.lists["users"]
        assert isinstance(users, RecordList)
        return orjson.dumps(shifts.entries(schedules.record(handle), users, query, self.clock.now_ms()))


class Fault(Protocol):
    """What may happen to an answer instead of being sent."""

    async def strikes(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        answer: Answer,
        entry: dict[str, Any],
    ) -> bool:
        """Whether it dealt with the answer itself; it may also have changed it."""


def _without_next_shifts(row: bytes) -> bytes:
    """A schedule as it comes in pages of more than 25."""
    schedule = orjson.loads(row)
    schedule.pop("next_shifts", None)
    return orjson.dumps(schedule)


async def send_answer(send: Send, answer: Answer) -> None:
    """Send a whole answer."""
    headers = [*answer.headers, (b"content-length", str(len(answer.body)).encode())]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
