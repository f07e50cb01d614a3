"""The API of a simulated account, its faults, and the client that asks it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

import orjson

from integration_tests.soak.simulation.account import WORKLOADS, Account, Row
from integration_tests.soak.simulation.declarations import Declaration, declarations
from integration_tests.soak.simulation.scheduler import VirtualClock
from source_incident.api import JSON, BodyFormat, Cancelled, Client, Response, TransientError, UnexpectedAnswerError
from source_incident.api.body import parse_json
from source_incident.api.responses import error_for
from source_incident.api.transport import PreparedGet
from source_incident.cancellation import CancellationToken
from source_incident.config import DEFAULT_MODES
from source_incident.streams.kinds import ChildStream
from source_incident.timestamps import format_timestamp, parse_timestamp

GATEWAY = b"<html><body>denied by the firewall</body></html>"
# A fault of one request, which the retries outlast or not.
ROOT_SHARE = 0.3
REQUEST_FAULTS = ("503", "gateway 403", "gateway 404", "no list", "no answer", "short page")


@dataclass(frozen=True)
class Answer:
    """An HTTP answer. Status 0: the connection broke."""

    status: int
    body: bytes


def _error(status: int, code: str, **metadata: str) -> Answer:
    error = {"code": code, "message": code, "metadata": metadata}
    body = {"type": code, "status": status, "request_id": "r", "errors": [error]}
    return Answer(status, orjson.dumps(body))


@dataclass
class Faults:
    """The faults of one sync.

    Attributes:
        rate: how probable a fault is, per request for a list with a parent. Others fail less: nothing is read without.
        kinds: the kinds of fault.
        tries: how many tries of a request fail, at most.
        refused: streams that answer 403.
        refused_parents: parents whose children answer 403.
        failing_parents: parents whose children answer 500.
        key_is_refused: every request answers 401.
        is_down: no request is answered.
        change_rate: how probable a change is, per request.
    """

    rate: float = 0.0
    kinds: tuple[str, ...] = REQUEST_FAULTS
    tries: int = 1
    refused: list[str] = field(default_factory=list)
    refused_parents: list[tuple[str, str]] = field(default_factory=list)
    failing_parents: list[tuple[str, str]] = field(default_factory=list)
    key_is_refused: bool = False
    is_down: bool = False
    change_rate: float = 0.0


class Server:
    """Answers requests from an account.

    Args:
        random: decides faults and changes.
        clock: the time.
        account: the account.
        total_tolerance: how many records a list may lack before the connector asks again.
        trace: takes a line per event.
    """

    def __init__(
        self, random: Random, clock: VirtualClock, account: Account, total_tolerance: int, trace: Callable[[str], None]
    ) -> None:
        self._random = random
        self._clock = clock
        self._account = account
        self._total_tolerance = total_tolerance
        self._trace = trace
        self.faults = Faults()
        # The request that fails, how, and how many tries more.
        self._failing: dict[str, tuple[str, int]] = {}
        self._declarations = [declarations()[name] for name in account.names]
        # The next pages of lists that were begun in this sync, without a filter.
        self._whole_lists: set[tuple[str, str]] = set()
        self._cuts_page = False
        self._lists_with_cut: set[str] = set()

    def begin(self, faults: Faults) -> None:
        """Begin a sync."""
        self.faults = faults
        self._failing.clear()
        self._whole_lists.clear()
        self._lists_with_cut.clear()

    def answer(self, path: str, params: Mapping[str, Any]) -> Answer:
        if self.faults.change_rate and self._random.random() < self.faults.change_rate:
            self._trace(f"  {self._account.change()}")
        request = f"{path}?{sorted(params.items())}"
        of_parent = path.count("/") > 2 or any(name.endswith("_id") for name in params)
        answer = self._fault(request, 1.0 if of_parent else ROOT_SHARE) or self._answer(path, params, request)
        self._trace(f"  {self._clock.seconds:.3f} {answer.status} {request} {len(answer.body)}")
        return answer

    def _fault(self, request: str, share: float) -> Answer | None:
        if self.faults.is_down:
            return Answer(0, b"")
        if self.faults.key_is_refused:
            return _error(401, "unauthorized")
        if request not in self._failing and self._random.random() < self.faults.rate * share:
            kind = self._random.choice(self.faults.kinds)
            self._failing[request] = (kind, self._random.randint(1, self.faults.tries))
        kind, tries = self._failing.pop(request, ("", 0))
        self._cuts_page = kind == "short page"
        if tries > 1 and not self._cuts_page:
            self._failing[request] = (kind, tries - 1)
        return {
            "": None,
            "short page": None,
            "503": Answer(503, b"{}"),
            "gateway 403": Answer(403, GATEWAY),
            "gateway 404": Answer(404, GATEWAY),
            "no list": Answer(200, b'{"message": "try later"}'),
            "no answer": Answer(0, b""),
        }[kind]

    # Answers

    def _answer(self, path: str, params: Mapping[str, Any], request: str) -> Answer:
        for declaration in self._declarations:
            if match := declaration.pattern.match(path):
                return self._answer_list(declaration, match.groupdict(), params, request)
        raise AssertionError(f"no stream has the path {path}")

    def _answer_list(
        self, declaration: Declaration, path_ids: Mapping[str, str], params: Mapping[str, Any], request: str
    ) -> Answer:
        if declaration.name in self.faults.refused:
            return _error(403, "missing_required_scope", scope=f"{declaration.name}.view")
        stream = declaration.stream
        parent: Row | None = None
        if issubclass(stream, ChildStream) and declaration.parent:
            id_ = path_ids.get(stream.parent_key) or params[stream.parent_parameter or stream.parent_key]
            parent = self._account.find(declaration.parent.name, id_)
            if parent is None:
                return _error(404, "resource_not_found")
            if (declaration.name, parent.root.id) in self.faults.refused_parents:
                return _error(403, "resource_forbidden")
            if (declaration.name, parent.root.id) in self.faults.failing_parents:
                return Answer(500, b"{}")
        rows = parent.children.get(declaration.name, {}) if parent else self._account.rows[declaration.name]
        if stream.records_key is None or stream.single_record:
            # Such a body is never empty.
            (data,) = [row.visible(self._clock.server_time) or row.data for row in rows.values()]
            return Answer(200, orjson.dumps({stream.records_key: data} if stream.records_key else data))
        try:
            return self._page(declaration, list(rows.values()), params, request)
        except ValueError:
            return _error(422, "validation_error")

    def _page(self, declaration: Declaration, all_rows: list[Row], params: Mapping[str, Any], request: str) -> Answer:
        """One page of a list.

        Raises:
            ValueError: a filter is refused.
        """
        stream, habits = declaration.stream, self._account.habits
        rows = self._filtered(declaration, all_rows, params)
        rows.sort(key=self._account.sort_key)
        after = params.get("after")
        rest = rows
        if after is not None:
            keys = self._account.sort_keys[declaration.name]
            if habits.deleted_cursor != "works" and self._account.find(declaration.name, after) is None:
                status = int(habits.deleted_cursor)
                return _error(status, "resource_not_found" if status == 404 else "validation_error")
            rest = [row for row in rows if self._account.sort_key(row) > keys[after]]
        size = len(rest)
        if stream.page_size:
            size = min(stream.page_size, habits.page_sizes[declaration.name])
        page = rest[:size]
        has_next = len(rest) > size
        total = len(rows) if habits.total_knows_filters else len(all_rows)
        whole_list = self._whole_list(declaration, params, request)
        if self._cuts_page and whole_list and has_next and self._cut(whole_list, len(rest) - size, len(rows)):
            has_next = False
        body: dict[str, Any] = {str(stream.records_key): self._value(declaration, page)}
        if stream.page_size:
            meta: dict[str, Any] = {"page_size": size}
            if has_next:
                meta["after"] = page[-1].id
                if whole_list:
                    self._whole_lists.add((whole_list, page[-1].id))
            if habits.reports_total:
                meta["total_record_count"] = total
            body["pagination_meta"] = meta
        if declaration.name == WORKLOADS:
            body["metadata"] = {"data_synced_at": format_timestamp(self._complete_until(all_rows))}
        return Answer(200, orjson.dumps(body))

    def _whole_list(self, declaration: Declaration, params: Mapping[str, Any], request: str) -> str:
        """What identifies a list that is read from its first page, and without a filter; empty: it is not."""
        if declaration.parent or not self._account.habits.reports_total:
            return ""
        allowed = {
            "page_size",
            "after",
            "from",
            "include_inactive",
            "status_category[one_of]",
            "mode[one_of]",
            "incident_mode",
        }
        if params.keys() - allowed:
            return ""
        key = request_key(request)
        after = params.get("after")
        return key if after is None or (key, after) in self._whole_lists else ""

    def _cut(self, whole_list: str, missing: int, total: int) -> bool:
        """Whether a page may end its list early: far enough below the total that the connector notices."""
        if whole_list in self._lists_with_cut or missing <= max(
            self._total_tolerance, total * self._total_tolerance // 100
        ):
            return False
        self._lists_with_cut.add(whole_list)
        return True

    def _value(self, declaration: Declaration, rows: list[Row]) -> Any:
        stream = declaration.stream
        if stream.record_lists:
            return {name: [self._shown(row) for row in rows if row.list_name == name] for name in stream.record_lists}
        return [self._shown(row) for row in rows]

    def _shown(self, row: Row) -> dict[str, Any] | None:
        return row.visible(self._clock.server_time)

    def _complete_until(self, rows: list[Row]) -> datetime:
        now = self._clock.server_time
        late = [row.changed_at for row in rows if row.visible_at > now]
        return min(late) - timedelta(milliseconds=1) if late else now

    def _filtered(self, declaration: Declaration, rows: list[Row], params: Mapping[str, Any]) -> list[Row]:
        """The rows that the query selects, of those that lists show.

        Raises:
            ValueError: a filter is refused.
        """
        now = self._clock.server_time
        conditions = list(self._conditions(declaration, params))
        return [
            row
            for row in rows
            if (data := row.visible(now)) is not None and all(condition(row, data) for condition in conditions)
        ]

    def _conditions(
        self, declaration: Declaration, params: Mapping[str, Any]
    ) -> Iterator[Callable[[Row, dict[str, Any]], bool]]:
        stream = declaration.stream
        if stream.mode_parameter:
            value = params.get(stream.mode_parameter)
            modes = {value} if isinstance(value, str) else set(value or DEFAULT_MODES)
            yield lambda row, data: (row.incident.mode if row.incident else row.mode or "standard") in modes
        for name, value in params.items():
            if name == "status_category[one_of]":
                yield lambda row, data, value=value: data["incident_status"]["category"] in value  # type: ignore[misc]
            elif name == "has_notes[is]":
                yield lambda row, data: any(row.children.get("alert_notes", {}))
            elif name == "incident_id" and declaration.parent is None:
                yield lambda row, data, value=value: data["incident_id"] == value  # type: ignore[misc]
            elif match := re.fullmatch(r"(\w+)\[(gte|lte|date_range)\]", name):
                if (
                    match[1] == "created_at"
                    and stream.__dict__.get("partition_field")
                    and self._account.habits.refuses_span
                ):
                    raise ValueError(name)
                yield self._time_condition(declaration, match[1], match[2], value)
            elif name == "entry_window_start":
                end = params["entry_window_end"]
                yield lambda row, data, value=value, end=end: value <= data["start_at"] <= end  # type: ignore[misc]

    def _time_condition(
        self, declaration: Declaration, field_name: str, operator: str, value: str
    ) -> Callable[[Row, dict[str, Any]], bool]:
        by_date = getattr(declaration.stream, "filter_by_date", False)
        zone = timedelta(hours=self._account.habits.zone)

        def moment(data: dict[str, Any]) -> Any:
            parsed = parse_timestamp(data[field_name])
            return (parsed + zone).strftime("%Y-%m-%d") if by_date else parsed

        def bound(text: str) -> Any:
            if by_date:
                if not re.fullmatch(r"\d{4}-\d\d-\d\d", text):
                    raise ValueError(text)
                return text
            return parse_timestamp(text)

        if operator == "gte":
            first = bound(value)
            return lambda row, data: bool(moment(data) >= first)
        if operator == "lte":
            last = bound(value)
            return lambda row, data: bool(moment(data) <= last)
        first, last = map(bound, value.split("~"))
        return lambda row, data: bool(
            first <= moment(data) and (moment(data) <= last if by_date else moment(data) < last)
        )


def request_key(request: str) -> str:
    """A request without its cursor, so that the pages of a list have the same."""
    return re.sub(r"\('after', '[^']*'\)(, )?", "", request)


class _NoRateLimit:
    remaining = None

    def reserve(self, _: str) -> float:
        return 0.0

    def block(self, _: str, __: float) -> None:
        pass


@dataclass(frozen=True)
class _HttpResponse:
    status_code: int
    headers: Mapping[str, str] = field(default_factory=dict)


class SimulatedClient(Client):
    """The client, with a function in place of the network. Retries and errors are the real ones.

    Args:
        server: answers.
        clock: the time.
        max_retries: how often a transient error is retried.
        cancellation: ends the requests.
    """

    def __init__(self, server: Server, clock: VirtualClock, max_retries: int, cancellation: CancellationToken) -> None:
        self.endpoint = "https://simulation.invalid"
        self.rate_limiter = _NoRateLimit()  # type: ignore[assignment]
        self.requests = self.answers = self.retries = 0
        self.cancellation = cancellation
        self._key = re.compile("no key")
        self._server = server
        self._clock = clock
        self._max_retries = max_retries

    @property
    def waited(self) -> float:
        return 0.0

    def close(self) -> None:
        pass

    def prepare(
        self, path: str, params: Mapping[str, Any] | None = None, body_format: BodyFormat = JSON
    ) -> PreparedGet:
        return PreparedGet((path, dict(params or {})), path, path)  # type: ignore[arg-type]

    def send(self, get: PreparedGet) -> Response:
        if self.cancellation.is_cancelled:
            raise Cancelled
        self.requests += 1
        path, params = get.request  # type: ignore[misc]
        answer = self._server.answer(path, params)  # type: ignore[has-type]
        if not answer.status:
            raise TransientError("the connection broke")
        self.answers += 1
        if answer.status != 200:
            raise error_for(_HttpResponse(answer.status), answer.body, get.label, self.redact)  # type: ignore[arg-type]
        body = parse_json(answer.body)
        if not isinstance(body, dict):
            raise UnexpectedAnswerError("the answer is not a JSON object")
        # The header Date has whole seconds.
        return Response(body, self._clock.server_time.replace(microsecond=0))

    def sleep(self, seconds: float) -> None:
        if self.cancellation.is_cancelled:
            raise Cancelled

    def count_retry(self) -> None:
        self.retries += 1
