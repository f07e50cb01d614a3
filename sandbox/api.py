"""The mock API: an ASGI application that authenticates, limits and routes GET requests."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter, deque
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl

import orjson

from sandbox import errors
from sandbox.account import Account, record_list
from sandbox.asgi import Answer, Headers, Receive, Scope, Send, send_answer
from sandbox.computed import availability, pay_report
from sandbox.contract import Endpoint
from sandbox.errors import ApiError
from sandbox.faults import Faults
from sandbox.filters import Query
from sandbox.list_pages import ListPages
from sandbox.lists import ChildList, FixedSource, RecordList
from sandbox.options import Options
from sandbox.rate_limits import Bucket, RateLimits
from sandbox.schedule_entries import schedule_entries
from sandbox.times import Clock
from sandbox.unknown_answers import UnknownAnswers

_LOG_SIZE = 200_000
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
        self._pages = ListPages(account, options, clock)
        self._unknown_answers = UnknownAnswers(account, options)
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
                if endpoint.name == "pay_report_lines":
                    headers[0] = (b"content-type", b"text/csv")
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
        if endpoint.name == "alert_notes":
            endpoint = self._notes_endpoint(endpoint, query)
        parent_ids = self._parent_ids(endpoint, ids, query)
        is_empty = self._unknown_answers.empties(endpoint, parent_ids, query)
        if endpoint.name == "schedule_entries":
            if is_empty:
                raise errors.not_found()
            return self._schedule_entries(parent_ids, query)
        if endpoint.records_key is None:
            body = self.account.bodies[endpoint.name].get(parent_ids)
            if body is None:
                raise errors.not_found()
            if endpoint.name == "status_page_component_availability":
                body = availability(parent_ids, query)
            if endpoint.name == "pay_report_lines":
                users = record_list(self.account, "users")
                handles = () if is_empty else itertools.islice(users.handles(), 20)
                return pay_report([users.record(handle) for handle in handles])
            return orjson.dumps(body)
        found = self.account.lists[endpoint.name]
        records = found.children_of(parent_ids) if isinstance(found, ChildList) else found
        if records is None:
            raise errors.not_found()
        if is_empty:
            records = RecordList(endpoint.name, FixedSource.from_records(0, []))
        return self._pages.page(endpoint, records, parent_ids, query, entry)

    def _notes_endpoint(self, endpoint: Endpoint, query: Query) -> Endpoint:
        """The list of the notes of an alert, or that of an alert group."""
        if "alert_group_id" not in query:
            return endpoint
        if "alert_id" in query:
            raise errors.invalid("alert_id", "give exactly one of alert_id and alert_group_id")
        return self.account.contract.alert_group_notes

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
        return tuple(parent_ids)

    def _schedule_entries(self, parent_ids: tuple[str, ...], query: Query) -> bytes:
        schedules = record_list(self.account, "schedules")
        handle = schedules.find(parent_ids[0])
        if handle is None:
            raise errors.not_found()
        users = record_list(self.account, "users")
        return orjson.dumps(schedule_entries(schedules.record(handle), users, query, self._clock.now_ms()))
