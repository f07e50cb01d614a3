"""The sandbox's own face, under /_sandbox: what was asked of it, what it holds, what it does.

| request | what it does |
| --- | --- |
| GET /_sandbox/requests | {"total", "counts": {"GET path": n}, "log": [{path, query, status, t}]}; `?log=0` without the log |
| POST /_sandbox/reset | forgets the requests, fills the buckets, starts the faults anew |
| GET /_sandbox/records/LIST | {"list", "count", "records", "parents"?}: all records, whatever filters the API has |
| POST /_sandbox/put | {"list", "records", "parents"?}: adds records, or replaces those with the same id |
| POST /_sandbox/delete | {"list", "ids", "parents"?} |
| POST /_sandbox/config | {option: value}: changes options while serving; {"date_offset": seconds} moves the Date header |
| GET /_sandbox/faults | how often each fault struck |
"""  # noqa: E501

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from .lists import ChildList, RecordList
from .options import Options

if TYPE_CHECKING:
    from .application import Application

_CHANGEABLE = {f.name for f in fields(Options)} - {
    "data", "seed", "now", "incidents", "updates", "actions", "follow_ups", "alerts",
    "escalations", "users", "custom_fields", "plain", "preload", "round_times", "attachments",
}  # fmt: skip
_LIMITS = {
    "buckets", "limit", "rate", "incidents_limit", "incidents_rate", "other_client",
    "other_client_incidents", "rate_headers",
}  # fmt: skip


def make_admin(application: Application) -> Starlette:
    api = application.api
    lists = application.account.lists

    def respond(body: Any) -> Response:
        return Response(orjson.dumps(body), media_type="application/json")

    def refuse(message: str, status: int = 400) -> JSONResponse:
        return JSONResponse({"error": message}, status_code=status)

    async def requests(request: Request) -> Response:
        body: dict[str, Any] = {"total": api.total, "counts": dict(api.counts)}
        if request.query_params.get("log") != "0":
            body["log"] = list(api.log)
        return respond(body)

    async def reset(request: Request) -> Response:
        api.reset()
        application.faults.restart()
        return respond({})

    async def records(request: Request) -> Response:
        name = request.path_params["name"]
        found = lists.get(name)
        if found is None:
            return refuse(f"no list {name}", 404)
        return StreamingResponse(_all(name, found), media_type="application/json")

    async def put(request: Request) -> Response:
        body = orjson.loads(await request.body())
        found = lists.get(body.get("list"))
        if found is None:
            return refuse(f"no list {body.get('list')}", 404)
        for record in body["records"]:
            if isinstance(found, RecordList):
                found.put(record)
            elif not found.put(_parents(found, body, record), record):
                return refuse("no such parent", 404)
        return respond({"put": len(body["records"])})

    async def delete(request: Request) -> Response:
        body = orjson.loads(await request.body())
        found = lists.get(body.get("list"))
        if found is None:
            return refuse(f"no list {body.get('list')}", 404)
        count = sum(
            found.delete(record_id)
            if isinstance(found, RecordList)
            else found.delete(_parents(found, body, {}), record_id)
            for record_id in body["ids"]
        )
        return respond({"deleted": count})

    async def config(request: Request) -> Response:
        body = orjson.loads(await request.body())
        unknown = set(body) - _CHANGEABLE - {"date_offset"}
        if unknown:
            return refuse(f"not to be changed while serving: {', '.join(sorted(unknown))}")
        api.date_offset = float(body.pop("date_offset", api.date_offset))
        for name, value in body.items():
            setattr(application.options, name, value)
        if _LIMITS & set(body):
            api.limits = api.make_limits()
        try:
            if "fault" in body:
                application.faults.set(body["fault"])
        except ValueError as error:
            return refuse(str(error))
        if "churn" in body:
            application.churn.restart()
        return respond({name: getattr(application.options, name) for name in sorted(_CHANGEABLE)})

    async def faults(request: Request) -> Response:
        return respond(application.faults.struck())

    return Starlette(
        routes=[
            Route("/_sandbox/requests", requests),
            Route("/_sandbox/reset", reset, methods=["POST"]),
            Route("/_sandbox/records/{name}", records),
            Route("/_sandbox/put", put, methods=["POST"]),
            Route("/_sandbox/delete", delete, methods=["POST"]),
            Route("/_sandbox/config", config, methods=["POST"]),
            Route("/_sandbox/faults", faults),
        ]
    )


def _parents(found: ChildList, body: dict[str, Any], record: dict[str, Any]) -> tuple[str, ...]:
    given = body.get("parents") or record
    return tuple(str(given.get(parameter)) for parameter, _ in found.parents)


async def _all(name: str, found: RecordList | ChildList) -> AsyncIterator[bytes]:
    """Every record of a list as one JSON document, in pieces."""
    yield b'{"list":' + orjson.dumps(name) + b',"records":['
    count = 0
    parents: list[dict[str, str]] = []
    small = [((), found)] if isinstance(found, RecordList) else found.all()
    names = [] if isinstance(found, RecordList) else [parameter for parameter, _ in found.parents]
    for parent_ids, records in small:
        rows = []
        for handle in records.handles():
            rows.append((b"," if count else b"") + records.row(handle))
            count += 1
            if names:
                parents.append(dict(zip(names, parent_ids, strict=True)))
            if len(rows) == 500:
                yield b"".join(rows)
                rows.clear()
        yield b"".join(rows)
    yield b'],"count":' + str(count).encode()
    if names:
        yield b',"parents":' + orjson.dumps(parents)
    yield b"}"
