"""An account in memory that answers like the API, and syncs of it that can be killed at any event."""

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from source_incident.api import ApiError, ForbiddenError, NotFoundError, Response, TransientError, UnexpectedAnswerError
from source_incident.cancellation import CancellationToken
from source_incident.config import Config
from source_incident.singer.state import SavedState, read_state, singer_state
from source_incident.streams import STREAMS
from source_incident.streams.kinds import ChildStream
from source_incident.sync import Checkpoint, Event, Failed, Finished, LeftOut, Records, Sync
from source_incident.sync.plan import SelectedStream
from source_incident.sync.state import StreamState
from source_incident.timestamps import format_timestamp, parse_timestamp

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = "inc_5ecret_key_0123456789abcdef"
PAGE = 2
# Without a mode, these lists have the two default modes (docs/api.md, incident filters).
ONE_MODE_PER_REQUEST = ("/v3/actions", "/v3/follow_ups")

Params = Mapping[str, Any]
Fault = Callable[[str, Params], ApiError | Mapping[str, Any] | None]


class Account:
    """The lists of an account, by path. A list below a parent has the parent's id in each record.

    Attributes:
        lists: the records of each list.
        now: the time by the server's clock.
        fault: asked at each request; an error or another body to answer with.
        has_notes: whether an alert has notes.
        requests: the path and the query of each request.
        answers, endpoint, cancellation: what the engine asks of a client.
    """

    endpoint = "http://account.example"

    def __init__(self) -> None:
        self.lists: dict[str, list[dict[str, Any]]] = {}
        self.now = START
        self.fault: Fault = lambda path, params: None
        self.has_notes: Callable[[Mapping[str, Any]], bool] = lambda alert: True
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.answers = 0
        self.cancellation = CancellationToken()

    def add(self, path: str, id_: str, **values: Any) -> dict[str, Any]:
        """Add a record to the end of a list."""
        record = {
            "id": id_,
            "mode": "standard",
            "created_at": format_timestamp(self.now),
            "updated_at": format_timestamp(self.now),
            **values,
        }
        self.lists.setdefault(path, []).append(record)
        return record

    def wait(self, **duration: float) -> None:
        self.now += timedelta(**duration)

    # What the streams ask of a client

    def redact(self, text: str) -> str:
        return text

    def request(self, path: str, params: Params | None = None) -> "Request":
        return Request(self, path, dict(params or {}))

    def get(self, path: str, params: Params | None = None) -> Response:
        return self.request(path, params).send()

    def answer(self, path: str, params: Params) -> Response:
        self.requests.append((path, dict(params)))
        self.answers += 1
        fault = self.fault(path, params)
        if isinstance(fault, ApiError):
            raise fault
        return Response(copy.deepcopy(fault or self._page(path, params)), self.now)

    def _page(self, path: str, params: Params) -> Mapping[str, Any]:
        found = [record for record in self.lists.get(path, []) if _passes(record, params)]
        if "has_notes[is]" in params:
            found = list(filter(self.has_notes, found))
        if path in ONE_MODE_PER_REQUEST and "incident_mode" not in params:
            found = [record for record in found if record["mode"] in ("standard", "retrospective")]
        after = params.get("after")
        ids = [record["id"] for record in found]
        first = ids.index(after) + 1 if after else 0
        records = found[first : first + PAGE]
        more = first + PAGE < len(found)
        meta = {"after": records[-1]["id"] if more else None, "total_record_count": len(found)}
        kind = next(stream for stream in STREAMS if stream.endpoint == path)
        if kind.page_size is None:
            records, meta = found, {}
        return {str(kind.records_key): records, "pagination_meta": meta, **self.body_fields(path)}

    def body_fields(self, path: str) -> Mapping[str, Any]:
        return {}


class Request:
    """A request without retries."""

    def __init__(self, account: Account, path: str, params: Params) -> None:
        self._account = account
        self._path = path
        self._params = params

    def send(self) -> Response:
        return self._account.answer(self._path, self._params)

    def retry(self, error: UnexpectedAnswerError) -> None:
        raise error


def _passes(record: Mapping[str, Any], params: Params) -> bool:
    for name, value in params.items():
        field_name, _, operator = name.partition("[")
        if field_name.endswith("_id") and record.get(field_name) != value:
            return False
        if operator == "gte]" and parse_timestamp(record[field_name]) < parse_timestamp(value):
            return False
        if operator == "lte]" and parse_timestamp(record[field_name]) > parse_timestamp(value):
            return False
        if operator == "date_range]":
            first, last = value.split("~")
            if not parse_timestamp(first) <= parse_timestamp(record[field_name]) < parse_timestamp(last):
                return False
        if name == "mode[one_of]" and record["mode"] not in value:
            return False
        if name == "incident_mode" and record["mode"] != value:
            return False
        if name == "status_category[one_of]" and record.get("category", "live") not in value:
            return False
    return True


@dataclass
class Run:
    """What a sync emitted, up to its end or to the kill."""

    events: list[Event] = field(default_factory=list)

    def of(self, stream: str) -> list[Event]:
        return [event for event in self.events if event.stream == stream]

    def ids(self, stream: str) -> list[str]:
        return [record["id"] for event in self.of(stream) if isinstance(event, Records) for record in event.records]

    def record(self, stream: str, id_: str) -> dict[str, Any]:
        (found,) = (
            record
            for event in self.of(stream)
            if isinstance(event, Records)
            for record in event.records
            if record["id"] == id_
        )
        return found

    def record_versions(self, stream: str) -> set[int | None]:
        return {event.version for event in self.of(stream) if isinstance(event, Records)}

    def version(self, stream: str) -> int | None:
        """The version that replaces older rows."""
        (finished,) = (event for event in self.of(stream) if isinstance(event, Finished))
        return finished.version

    def is_finished(self, stream: str) -> bool:
        return any(isinstance(event, Finished) for event in self.of(stream))

    def error(self, stream: str) -> Exception:
        (failed,) = (event for event in self.of(stream) if isinstance(event, Failed))
        return failed.error

    @property
    def failed(self) -> set[str]:
        return {event.stream for event in self.events if isinstance(event, Failed | LeftOut)}


@dataclass
class Destination:
    """The syncs of an account into a destination that activates versions, with the states between them.

    Attributes:
        account: the account.
        streams: the selected streams, with their nested columns.
        cursor: the streams are read incrementally, where they can be.
        settings: of the config.
        states: the last state of each stream.
        rows: by stream and id, each row with its version.
        optional: the user did not select the streams.
        singer: the states pass through Singer's format.
    """

    account: Account
    streams: Mapping[str, frozenset[str]]
    cursor: bool = True
    settings: dict[str, Any] = field(default_factory=dict)
    states: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    rows: dict[str, dict[str, tuple[dict[str, Any], int | None]]] = field(default_factory=dict)
    singer: bool = False
    optional: bool = False
    has_foreign_catalog: bool = False

    def sync(self, kill_after: int | None = None) -> Run:
        """Sync, and stop after so many events."""
        run = Run()
        self.account.cancellation = CancellationToken()
        config = Config.parse({"api_key": KEY, "num_workers": 1, **self.settings})
        streams = {stream.name: stream for stream in (kind(self.account, config) for kind in STREAMS)}  # type: ignore[arg-type]
        selected = []
        for name, nested in self.streams.items():
            stream = streams[name]
            root = stream.root() if isinstance(stream, ChildStream) else type(stream)
            modes = config.incident_modes if root.mode_parameter else ("",)
            cursor = stream.bookmark_key if self.cursor else None
            state = self._saved_state(name, cursor)
            stream_state = StreamState(name, cursor, modes, state)
            selected.append(SelectedStream(stream, stream_state, nested, self.optional, self.has_foreign_catalog))
        events = Sync(self.account, config, streams, selected, CancellationToken()).run()  # type: ignore[arg-type]
        for event in events:
            if kill_after is not None and len(run.events) >= kill_after:
                events.close()  # type: ignore[attr-defined]
                break
            run.events.append(copy.deepcopy(event) if not isinstance(event, Failed) else event)
            self._take(event)
        return run

    def _saved_state(self, name: str, cursor: str | None) -> Any:
        """The state of a stream as the next run finds it in a file."""
        state = self.states.get(name)
        if self.singer and state is not None:
            kept = {key: value for key, value in state.items() if key != "__ab_full_refresh_sync_complete"}
            keys = {name: cursor} if cursor else {}
            document = json.loads(json.dumps(singer_state(SavedState({name: kept}), keys)))
            return read_state(document, keys).streams[name]
        return json.loads(json.dumps(state))

    def _take(self, event: Event) -> None:
        rows = self.rows.setdefault(event.stream, {})
        match event:
            case Records():
                for record in event.records:
                    rows[str(record.get("id", record.get("user_id")))] = (copy.deepcopy(record), event.version)
            case Checkpoint():
                self.states[event.stream] = event.state
            case Finished():
                if event.version is not None:
                    self.rows[event.stream] = {key: row for key, row in rows.items() if row[1] == event.version}
                if event.state is not None:
                    self.states[event.stream] = event.state

    def ids(self, stream: str) -> set[str]:
        return set(self.rows.get(stream, {}))


def destination(account: Account, *names: str, cursor: bool = True, **settings: Any) -> Destination:
    return Destination(account, {name: frozenset() for name in names}, cursor, settings)


def forbidden(path: str = "", scope: str | None = None) -> ForbiddenError:
    return ForbiddenError(f"the API key lacks a scope to read {path}", scope=scope, status=403)


def not_found(path: str = "") -> NotFoundError:
    return NotFoundError(f"GET {path}: not found", status=404)


def unavailable(path: str = "") -> TransientError:
    return TransientError(f"GET {path}: 503", status=503)
