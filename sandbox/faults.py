"""Faults that the sandbox injects into the API's answers.

A fault is `KIND[:key=value,...]`, or the same as a JSON object with `kind`. A number as KIND is an
HTTP status. These keys select requests:

| key | selects |
| --- | --- |
| `path` | requests whose path matches this pattern (`/v2/alerts`, `/v3/*`) |
| `query` | requests whose decoded query contains this text (`after=`) |
| `nth` | the n-th matching request, or a range (`3`, `2-4`, `3-` without an end), counted from 1 |
| `every` | every n-th matching request |
| `times` | at most this many requests |
| `rate` | this share of the matching requests (`0.05`), chosen by the seed |

`KINDS` has the kinds of fault. Each function's docstring describes its keys; `code` and `seconds`
are numbers. At most one fault is applied to a request: the first that matches.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import os
import socket
import struct
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from email.utils import formatdate
from fnmatch import fnmatchcase
from http import HTTPStatus
from random import Random
from time import time
from typing import Any
from urllib.parse import parse_qs, unquote_plus

import orjson

from sandbox.asgi import Answer, Headers, Receive, Scope, Send
from sandbox.errors import ApiError, forbidden, too_many, unauthenticated

_SELECTORS = frozenset({"kind", "rate", "path", "query", "nth", "every", "times"})
_HTML = b"<html><head><title>%d</title></head><body><h1>%d Bad Gateway</h1></body></html>"
_HANG_SECONDS = 3600.0


@dataclass
class Fault:
    """One configured fault: its kind, its settings, and which requests it selects."""

    kind: str
    settings: dict[str, str]
    rate: float = 1.0
    path: str = "*"
    query: str = ""
    first: int = 1
    last: int | None = None
    every: int = 1
    times: int | None = None
    seen: int = 0
    """Requests that matched `path` and `query`."""
    applied: int = 0
    memory: dict[str, list[Any]] = field(default_factory=dict)
    """What a kind remembers of earlier answers, by path."""

    def selects(self, path: str, query: str, random: Random) -> bool:
        """Whether to apply the fault to a request. Counts the request."""
        if not fnmatchcase(path, self.path) or self.query not in unquote_plus(query):
            return False
        self.seen += 1
        if self.times is not None and self.applied >= self.times:
            return False
        if self.seen < self.first or (self.last is not None and self.seen > self.last):
            return False
        if (self.seen - self.first) % self.every:
            return False
        if self.rate < 1.0 and random.random() >= self.rate:
            return False
        self.applied += 1
        return True

    def number(self, name: str, default: float) -> float:
        return float(self.settings.get(name, default))

    def text(self, name: str, default: str) -> str:
        return str(self.settings.get(name, default))


@dataclass
class Exchange:
    """A request and its answer, while a fault is applied to them."""

    fault: Fault
    scope: Scope
    receive: Receive
    send: Send
    answer: Answer
    refuse_connections: Callable[[float], Awaitable[None]]

    @property
    def page(self) -> Any:
        """The answer's parsed body; None if it is not a JSON object."""
        try:
            body = orjson.loads(self.answer.body)
        except orjson.JSONDecodeError:
            return None
        return body if isinstance(body, dict) else None

    def set_body(self, body: Any) -> None:
        self.answer.body = body if isinstance(body, bytes) else orjson.dumps(body)

    def set_error(self, error: ApiError) -> None:
        self.answer.status = error.status
        self.answer.body = error.body(self.request_id)

    @property
    def request_id(self) -> str:
        return _header(self.answer.headers, b"x-request-id").decode()

    def set_header(self, name: bytes, value: bytes) -> None:
        self.answer.headers = [h for h in self.answer.headers if h[0] != name] + [(name, value)]

    # Below HTTP

    @property
    def transport(self) -> Any:
        """The connection; the server's protocol puts it into the scope."""
        return self.scope["sandbox.transport"]

    def write(self, headers: Headers, body: bytes) -> None:
        """Write status, headers and a body to the connection, without checks."""
        self.transport.write(self.head(headers) + body)

    def head(self, headers: Headers) -> bytes:
        """The status line and the headers, as bytes."""
        status = self.answer.status
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()]
        lines += [name + b": " + value for name, value in headers]
        return b"\r\n".join(lines) + b"\r\n\r\n"

    async def close(self) -> None:
        """Close the connection normally, even if the answer is incomplete."""
        self.transport.close()
        await self.wait_for_disconnect()

    async def reset(self) -> None:
        """Close the connection with a TCP reset."""
        await asyncio.sleep(0.01)  # flush pending data first
        fileno = self.transport.get_extra_info("socket").fileno()
        if fileno >= 0:
            with socket.socket(fileno=os.dup(fileno)) as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()
        await self.wait_for_disconnect()

    async def wait_for_disconnect(self, seconds: float = 5.0) -> bool:
        """Wait until the connection is closed. Returns False after `seconds`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while (await self.receive())["type"] != "http.disconnect":
                    pass
                return True
        return False


def _header(headers: Headers, name: bytes) -> bytes:
    return next((value for key, value in headers if key == name), b"")


def _records_key(page: dict[str, Any], default: str = "") -> str:
    """The key of the list in a body."""
    return next((key for key, value in page.items() if isinstance(value, list)), default)


def _with_inner_list(page: dict[str, Any], name: str, *, is_missing: bool) -> dict[str, Any]:
    """The body with one list of its object of lists missing or null."""
    changed = {}
    for key, value in page.items():
        if isinstance(value, dict) and name in value:
            value = {inner: items for inner, items in value.items() if inner != name}
            if not is_missing:
                value[name] = None
        changed[key] = value
    return changed


# Errors. A kind returns True if it sent the answer itself, False if the changed answer is to be sent.


async def _status(exchange: Exchange) -> bool:
    """An error with the status `code`.

    `body`: json, html, empty, no_errors. `retry_after`: seconds, `date` with seconds (`date9`), or any text.
    403 names the scope `scope`.
    """
    code = int(exchange.fault.number("code", 500))
    phrase = HTTPStatus(code).phrase
    error = {401: unauthenticated(), 403: forbidden("incidents.view"), 429: too_many()}.get(
        code, ApiError(code, "api_error", "api_error", phrase)
    )
    if code == 403:
        error = forbidden(exchange.fault.text("scope", "incidents.view"))
    if code == 404:
        error = ApiError(404, "resource_not_found", "not_found", "No longer there")
    exchange.set_error(error)
    shape = exchange.fault.text("body", "html" if code in (502, 504) else "json")
    if shape == "html":
        exchange.set_body(_HTML % (code, code))
        exchange.set_header(b"content-type", b"text/html; charset=utf-8")
    elif shape == "empty":
        exchange.set_body(b"")
    elif shape == "no_errors":
        exchange.set_body({"type": error.kind, "status": code, "request_id": exchange.request_id})
    retry_after = exchange.fault.settings.get("retry_after")
    if retry_after is not None:
        text = str(retry_after)
        if text.startswith("date"):
            text = formatdate(time() + float(text.removeprefix("date") or 1), usegmt=True)
        exchange.set_header(b"retry-after", text.encode())
    return False


async def _echo(exchange: Exchange) -> bool:
    """An error with the status `code` that repeats the Authorization header in its body and in a header."""
    sent = _header(exchange.scope["headers"], b"authorization").decode("latin-1")
    code = int(exchange.fault.number("code", 400))
    exchange.set_error(ApiError(code, "invalid_request_error", "bad_header", f"Rejected: {sent}"))
    exchange.set_header(b"x-rejected", sent.encode("latin-1"))
    return False


async def _redirect(exchange: Exchange) -> bool:
    """A redirect with the status `code`. `to`: a URL, or `loop` for the same URL."""
    exchange.answer.status = int(exchange.fault.number("code", 302))
    to = exchange.fault.text("to", "http://127.0.0.2:9/elsewhere")
    if to == "loop":
        to = exchange.scope["path"] + "?" + exchange.scope["query_string"].decode("latin-1")
    exchange.set_header(b"location", to.encode())
    exchange.set_body(b"")
    return False


# Broken and silent connections.


async def _reset(exchange: Exchange) -> bool:
    """A connection reset. `at`: before (the headers), headers (in the middle of them), body (in the middle of it)."""
    at = exchange.fault.text("at", "before")
    head = exchange.head(exchange.answer.headers_with_length())
    if at == "headers":
        exchange.transport.write(head[: len(head) // 2])
    elif at == "body":
        exchange.transport.write(head + exchange.answer.body[: len(exchange.answer.body) // 2])
    await exchange.reset()
    return True


async def _refuse(exchange: Exchange) -> bool:
    """Resets every connection, and refuses new ones for `seconds`."""
    await exchange.refuse_connections(exchange.fault.number("seconds", 1.0))
    await exchange.reset()
    return True


async def _stall(exchange: Exchange) -> bool:
    """A pause of `seconds`, then the rest. `at`: before (the headers), body (in the middle of it)."""
    seconds = exchange.fault.number("seconds", _HANG_SECONDS)
    if exchange.fault.text("at", "before") == "before":
        return await exchange.wait_for_disconnect(seconds)
    half = len(exchange.answer.body) // 2
    return await _send_pieces(exchange, [exchange.answer.body[:half], exchange.answer.body[half:]], seconds)


async def _slow(exchange: Exchange) -> bool:
    """The answer in pieces of `bytes`, one every `seconds`. `at`: body, or headers (from the first byte)."""
    size = int(exchange.fault.number("bytes", 1))
    body = exchange.answer.body
    if exchange.fault.text("at", "body") == "headers":
        message = exchange.head(exchange.answer.headers_with_length()) + body
        for start in range(0, len(message), size):
            exchange.transport.write(message[start : start + size])
            if await exchange.wait_for_disconnect(exchange.fault.number("seconds", 1.0)):
                return True
        await exchange.close()
        return True
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return await _send_pieces(exchange, pieces, exchange.fault.number("seconds", 1.0))


async def _send_pieces(exchange: Exchange, pieces: list[bytes], seconds: float) -> bool:
    headers = exchange.answer.headers_with_length()
    await exchange.send({"type": "http.response.start", "status": exchange.answer.status, "headers": headers})
    for number, piece in enumerate(pieces):
        if number and await exchange.wait_for_disconnect(seconds):
            return True
        await exchange.send({"type": "http.response.body", "body": piece, "more_body": True})
    await exchange.send({"type": "http.response.body", "body": b""})
    return True


async def _truncate(exchange: Exchange) -> bool:
    """Half a body, then the connection closes. `framing`: length, chunked, close (undetectable)."""
    half = exchange.answer.body[: len(exchange.answer.body) // 2]
    framing = exchange.fault.text("framing", "length")
    if framing == "length":
        exchange.write(exchange.answer.headers_with_length(), half)
    elif framing == "chunked":
        chunk = f"{len(half):x}\r\n".encode() + half + b"\r\n"
        exchange.write([*exchange.answer.headers, (b"transfer-encoding", b"chunked")], chunk)
    else:
        exchange.write([*exchange.answer.headers, (b"connection", b"close")], half)
    await exchange.close()
    return True


async def _huge(exchange: Exchange) -> bool:
    """A body of `bytes`: the answer, padded with spaces."""
    size = int(exchange.fault.number("bytes", 200_000_000))
    body = exchange.answer.body
    length = max(size, len(body))
    headers = [*exchange.answer.headers, (b"content-length", str(length).encode())]
    await exchange.send({"type": "http.response.start", "status": exchange.answer.status, "headers": headers})
    left = length - len(body)
    await exchange.send({"type": "http.response.body", "body": body, "more_body": True})
    blank = b" " * 1_000_000
    while left > 0 and not exchange.transport.is_closing():
        piece = blank[: min(left, len(blank))]
        left -= len(piece)
        await exchange.send({"type": "http.response.body", "body": piece, "more_body": True})
    if not left:
        await exchange.send({"type": "http.response.body", "body": b""})
    return True


# Complete bodies with wrong content.


async def _cut_json(exchange: Exchange) -> bool:
    """JSON cut short, in a complete HTTP body."""
    exchange.set_body(exchange.answer.body[: len(exchange.answer.body) * 2 // 3])
    return False


async def _shape(exchange: Exchange) -> bool:
    """JSON of another shape.

    `as`: list, null, string, number, empty (object), message (an object with only a message), missing (the records),
    null_records, object_records, string_record, null_record, no_id, no_meta, no_records (an empty last page), half (a
    last page with half of the records), missing_list and null_list (of the list `list` in an object of lists), deep
    (100,000 nested arrays). The last pages keep the total.
    """
    page = exchange.page or {}
    name = _records_key(page, "records")
    records = page.get(name, [])
    last_meta = {key: value for key, value in (page.get("pagination_meta") or {}).items() if key != "after"}
    shapes: dict[str, Any] = {
        "list": records,
        "null": None,
        "string": "ok",
        "number": 42,
        "empty": {},
        "message": {"message": "Something went wrong"},
        "missing": {key: value for key, value in page.items() if key != name},
        "no_records": {**page, name: [], "pagination_meta": last_meta},
        "half": {**page, name: records[: len(records) // 2], "pagination_meta": last_meta},
        "missing_list": _with_inner_list(page, exchange.fault.text("list", ""), is_missing=True),
        "null_list": _with_inner_list(page, exchange.fault.text("list", ""), is_missing=False),
        "null_records": {**page, name: None},
        "object_records": {**page, name: {"0": records}},
        "string_record": {**page, name: [*records[:1], "a record", *records[1:]]},
        "null_record": {**page, name: [*records[:1], None, *records[1:]]},
        "no_id": {**page, name: [{k: v for k, v in r.items() if k != "id"} for r in records]},
        "no_meta": {key: value for key, value in page.items() if key != "pagination_meta"},
        "deep": b"[" * 100_000 + b"]" * 100_000,
    }
    exchange.set_body(shapes[exchange.fault.text("as", "list")])
    return False


async def _content_type(exchange: Exchange) -> bool:
    """Another Content-Type, `value`. `body=html`: an HTML page as the body, with status 200."""
    exchange.set_header(b"content-type", exchange.fault.text("value", "text/html").encode())
    if exchange.fault.text("body", "") == "html":
        exchange.set_body(_HTML % (200, 200))
    return False


async def _encoding(exchange: Exchange) -> bool:
    """A body in another encoding. `as`: utf-16, latin-1, bytes (invalid UTF-8)."""
    encoding = exchange.fault.text("as", "utf-16")
    if encoding == "bytes":
        exchange.set_body(exchange.answer.body.replace(b'"', b'"\xff\xfe', 7))
    else:
        exchange.set_body(exchange.answer.body.decode().encode(encoding, "replace"))
    return False


async def _gzip(exchange: Exchange) -> bool:
    """Content-Encoding gzip. `as`: good, broken (one wrong byte), cut, plain (not compressed)."""
    exchange.set_header(b"content-encoding", b"gzip")
    variant = exchange.fault.text("as", "broken")
    packed = gzip.compress(exchange.answer.body)
    middle = len(packed) // 2
    exchange.set_body(
        {
            "good": packed,
            "broken": packed[:middle] + bytes([packed[middle] ^ 0xFF]) + packed[middle + 1 :],
            "cut": packed[:middle],
            "plain": exchange.answer.body,
        }[variant]
    )
    return False


# Well-formed pages with wrong content.


async def _after(exchange: Exchange) -> bool:
    """A wrong `after`. `as`: repeat, cycle (through `pages` pages), empty, number, object, unknown."""
    page = exchange.page
    meta = (page or {}).get("pagination_meta")
    if page is None or meta is None:
        return False
    requested = parse_qs(exchange.scope["query_string"].decode("latin-1")).get("after", [None])[0]
    name = _records_key(page)
    last = page[name][-1]["id"] if page.get(name) else None
    variant = exchange.fault.text("as", "repeat")
    if variant == "repeat":
        meta["after"] = requested or last
    elif variant == "cycle":
        cycle = exchange.fault.memory.setdefault(exchange.scope["path"], [])
        pages = int(exchange.fault.number("pages", 3))
        if len(cycle) < pages and "after" in meta:
            cycle.append(meta["after"])
        elif cycle:
            position = cycle.index(requested) + 1 if requested in cycle else 0
            meta["after"] = cycle[position % len(cycle)]
    else:
        meta["after"] = {"empty": "", "number": 12345, "object": {}, "unknown": "01GONE"}[variant]
    exchange.set_body(page)
    return False


async def _duplicate(exchange: Exchange) -> bool:
    """Duplicate records. `as`: page (the first record of this page), previous (three of the previous page)."""
    page = exchange.page or {}
    name = _records_key(page)
    records = page.get(name)
    if not records:
        return False
    previous = exchange.fault.memory.get(exchange.scope["path"], [])
    exchange.fault.memory[exchange.scope["path"]] = records[-3:]
    if exchange.fault.text("as", "page") == "page":
        records.append(records[0])
    else:
        page[name] = previous + records
    exchange.set_body(page)
    return False


async def _date(exchange: Exchange) -> bool:
    """A wrong Date header: `offset` seconds from now, or the text `value`."""
    date = formatdate(time() + exchange.fault.number("offset", 86400.0), usegmt=True)
    exchange.set_header(b"date", exchange.fault.text("value", date).encode())
    return False


KINDS: dict[str, Callable[[Exchange], Awaitable[bool]]] = {
    "status": _status,
    "echo": _echo,
    "redirect": _redirect,
    "reset": _reset,
    "refuse": _refuse,
    "stall": _stall,
    "slow": _slow,
    "truncate": _truncate,
    "huge": _huge,
    "cut_json": _cut_json,
    "shape": _shape,
    "content_type": _content_type,
    "encoding": _encoding,
    "gzip": _gzip,
    "after": _after,
    "duplicate": _duplicate,
    "date": _date,
}


def parse_fault(spec: str | MutableMapping[str, Any]) -> Fault:
    """Parse `KIND:key=value,...` or the same as an object. Raises ValueError if it is invalid."""
    if isinstance(spec, str):
        kind, _, rest = spec.partition(":")
        settings = {part.partition("=")[0].strip(): part.partition("=")[2].strip() for part in rest.split(",") if part}
    else:
        settings = {key: str(value) for key, value in spec.items()}
        kind = settings.get("kind", "")
    if kind.isdigit():
        settings["code"], kind = kind, "status"
    if kind not in KINDS:
        raise ValueError(f"fault: unknown kind {kind!r}. Use an HTTP status or one of {', '.join(KINDS)}")
    first, is_range, last = settings.get("nth", "1-").partition("-")
    fault = Fault(
        kind=kind,
        settings={key: value for key, value in settings.items() if key not in _SELECTORS},
        rate=float(settings.get("rate", 1.0)),
        path=settings.get("path", "*"),
        query=settings.get("query", ""),
        first=int(first),
        every=int(settings.get("every", 1)),
        times=int(settings["times"]) if "times" in settings else None,
    )
    if last or not is_range:
        fault.last = int(last or first)
    return fault


async def _no_server(seconds: float) -> None:
    raise RuntimeError("no server to refuse connections")


class Faults:
    """The configured faults. For each answer of the API, the first fault that selects the request is applied.

    Attributes:
        refuse_connections: set by the server; refuses connections for some seconds.
    """

    def __init__(self, specs: list[Any], seed: int) -> None:
        self._seed = seed
        self.refuse_connections: Callable[[float], Awaitable[None]] = _no_server
        self.set(specs)

    def set(self, specs: list[Any]) -> None:
        """Replace all faults. Raises ValueError for an invalid fault."""
        self._faults = [parse_fault(spec) for spec in specs]
        self._specs = specs
        self._random = Random(self._seed)

    def restart(self) -> None:
        """Reset the counts and the random numbers."""
        self.set(self._specs)

    def counts(self) -> list[dict[str, Any]]:
        """Each fault as configured, with the number of requests that matched and to which it was applied."""
        return [
            {"fault": spec, "seen": fault.seen, "struck": fault.applied}
            for spec, fault in zip(self._specs, self._faults, strict=True)
        ]

    async def apply(self, scope: Scope, receive: Receive, send: Send, answer: Answer, entry: dict[str, Any]) -> bool:
        """Apply a fault to an answer, if one selects the request.

        Returns:
            Whether the answer is dealt with. False if the caller has to send it, changed or not.
        """
        query = scope["query_string"].decode("latin-1")
        for fault in self._faults:
            if fault.selects(scope["path"], query, self._random):
                exchange = Exchange(fault, scope, receive, send, answer, self.refuse_connections)
                sent = await KINDS[fault.kind](exchange)
                entry["fault"] = fault.kind
                entry["status"] = answer.status
                return sent
        return False
