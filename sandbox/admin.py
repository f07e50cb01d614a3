"""Admin endpoints under /_sandbox: read the request log and the records, change records and options.

| request | what it does |
| --- | --- |
| GET /_sandbox/requests | returns {"total", "counts": {"GET path": n}, "log": [{path, query, status, t}]}; `?log=0` omits the log |
| POST /_sandbox/reset | clears the request log, refills the token buckets, restarts the faults |
| GET /_sandbox/records/LIST | returns {"list", "count", "records", "parents"?}: all records, without the API's default filters |
| POST /_sandbox/put | {"list", "records", "parents"?}: adds records, or replaces those with the same id |
| POST /_sandbox/delete | {"list", "ids", "parents"?}: deletes records; returns {"deleted": n} |
| POST /_sandbox/config | {option: value}: changes options while serving; {"date_offset": seconds} moves the Date header |
| GET /_sandbox/faults | returns [{"fault", "seen", "struck"}]: how many requests each fault matched, and was applied to |
"""  # noqa: E501

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import fields
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from sandbox.api import Api
from sandbox.churn import Churn
from sandbox.lists import ChildList, RecordList
from sandbox.options import Options, check_choices

# The other options take effect when the records are generated.
_CHANGEABLE = {f.name for f in fields(Options)} - {
    "data", "seed", "now", "incidents", "updates", "actions", "follow_ups", "alerts",
    "escalations", "users", "custom_fields", "plain", "preload", "round_times", "attachments",
}  # fmt: skip
_LIMITS = {
    "buckets", "limit", "rate", "incidents_limit", "incidents_rate", "other_client",
    "other_client_incidents", "rate_headers",
}  # fmt: skip
_CHUNK_RECORDS = 500


def make_admin(api: Api, churn: Churn) -> Starlette:
    """The ASGI application that serves the admin endpoints."""
    admin = _Admin(api, churn)
    return Starlette(
        routes=[
            Route("/_sandbox/requests", admin.requests),
            Route("/_sandbox/reset", admin.reset, methods=["POST"]),
            Route("/_sandbox/records/{name}", admin.records),
            Route("/_sandbox/put", admin.put, methods=["POST"]),
            Route("/_sandbox/delete", admin.delete, methods=["POST"]),
            Route("/_sandbox/config", admin.config, methods=["POST"]),
            Route("/_sandbox/faults", admin.faults),
        ]
    )


class _Admin:
    """One method per admin endpoint."""

    def __init__(self, api: Api, churn: Churn) -> None:
        self._api = api
        self._churn = churn
        self._lists = api.account.lists

    async def requests(self, request: Request) -> Response:
        api = self._api
        body: dict[str, Any] = {"total": api.total, "counts": dict(api.counts)}
        if request.query_params.get("log") != "0":
            body["log"] = list(api.log)
        return _json(body)

    async def reset(self, request: Request) -> Response:
        self._api.reset()
        self._api.faults.restart()
        return _json({})

    async def records(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self._lists:
            return _error(f"unknown list: {name}", 404)
        return StreamingResponse(_dump(name, self._lists[name]), media_type="application/json")

    async def put(self, request: Request) -> Response:
        body = orjson.loads(await request.body())
        records = self._lists.get(body.get("list"))
        if records is None:
            return _error(f"unknown list: {body.get('list')}", 404)
        for record in body["records"]:
            if isinstance(records, RecordList):
                records.put(record)
            elif not records.put(_parent_ids(records, body.get("parents") or record), record):
                return _error(f"{records.name}: a record's parent does not exist", 404)
        return _json({"put": len(body["records"])})

    async def delete(self, request: Request) -> Response:
        body = orjson.loads(await request.body())
        records = self._lists.get(body.get("list"))
        if records is None:
            return _error(f"unknown list: {body.get('list')}", 404)
        count = sum(
            records.delete(record_id)
            if isinstance(records, RecordList)
            else records.delete(_parent_ids(records, body.get("parents") or {}), record_id)
            for record_id in body["ids"]
        )
        return _json({"deleted": count})

    async def config(self, request: Request) -> Response:
        api, options = self._api, self._api.options
        body = orjson.loads(await request.body())
        fixed = set(body) - _CHANGEABLE - {"date_offset"}
        if fixed:
            return _error(f"can't be changed while serving: {', '.join(sorted(fixed))}")
        try:
            check_choices(body)
        except ValueError as error:
            return _error(str(error))
        api.date_offset = float(body.pop("date_offset", api.date_offset))
        for name, value in body.items():
            setattr(options, name, value)
        if _LIMITS & set(body):
            api.limits = api.make_limits()
        try:
            if "fault" in body:
                api.faults.set(body["fault"])
        except ValueError as error:
            return _error(str(error))
        if "churn" in body:
            self._churn.restart()
        return _json({name: getattr(options, name) for name in sorted(_CHANGEABLE)})

    async def faults(self, request: Request) -> Response:
        return _json(self._api.faults.counts())


def _json(body: Any) -> Response:
    return Response(orjson.dumps(body), media_type="application/json")


def _error(message: str, status: int = 400) -> Response:
    return JSONResponse({"error": message}, status_code=status)


def _parent_ids(records: ChildList, values: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(values.get(parameter)) for parameter, _ in records.parents)


async def _dump(name: str, records: RecordList | ChildList) -> AsyncIterator[bytes]:
    """All records of a list as one JSON document, in chunks."""
    yield b'{"list":' + orjson.dumps(name) + b',"records":['
    count = 0
    parents: list[dict[str, str]] = []
    lists = [((), records)] if isinstance(records, RecordList) else records.all()
    parameters = [] if isinstance(records, RecordList) else [parameter for parameter, _ in records.parents]
    for parent_ids, one_list in lists:
        rows = []
        for handle in one_list.handles():
            rows.append((b"," if count else b"") + one_list.row(handle))
            count += 1
            if parameters:
                parents.append(dict(zip(parameters, parent_ids, strict=True)))
            if len(rows) == _CHUNK_RECORDS:
                yield b"".join(rows)
                rows.clear()
        yield b"".join(rows)
    yield b'],"count":' + str(count).encode()
    if parameters:
        yield b',"parents":' + orjson.dumps(parents)
    yield b"}"
