"""Faults: what can happen to an answer on its way.

A fault is `KIND[:key=value,...]`, or the same as a JSON object with `kind`. Which requests it
strikes:

| key | strikes |
| --- | --- |
| `rate` | that share of the requests it may strike (0.05), by the seed |
| `path` | requests whose path matches this pattern (`/v2/alerts`, `/v3/*`) |
| `query` | requests whose decoded query holds this text (`after=`) |
| `nth` | the n-th request that it may strike, or a span (`3`, `2-4`), counted from 1 |
| `every` | every n-th |
| `times` | no more than so many |

What it does is in `KINDS`: each function's text says which keys it takes. The first fault that
strikes a request is the only one.
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

from .api import Answer, Headers, Receive, Scope, Send
from .errors import ApiError, forbidden, too_many, unauthenticated

_SELECTORS = frozenset({"kind", "rate", "path", "query", "nth", "every", "times"})
_HTML = b"<html><head><title>%d</title></head><body><h1>%d Bad Gateway</h1></body></html>"
_HANG = 3600.0


@dataclass
class Injector:
    """One fault: whom it strikes, and how often it did."""

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
    struck: int = 0
    memory: dict[str, list[Any]] = field(default_factory=dict)
    """What a kind remembers of earlier answers, by path."""

    def chooses(self, path: str, query: str, random: Random) -> bool:
        if not fnmatchcase(path, self.path) or self.query not in unquote_plus(query):
            return False
        self.seen += 1
        if self.times is not None and self.struck >= self.times:
            return False
        if self.seen < self.first or (self.last is not None and self.seen > self.last):
            return False
        if (self.seen - self.first) % self.every:
            return False
        if self.rate < 1.0 and random.random() >= self.rate:
            return False
        self.struck += 1
        return True

    def number(self, name: str, default: float) -> float:
        return float(self.settings.get(name, default))

    def text(self, name: str, default: str) -> str:
        return str(self.settings.get(name, default))


@dataclass
class Strike:
    """A request that is being struck."""

    injector: Injector
    scope: Scope
    receive: Receive
    send: Send
    answer: Answer
    refuse: Callable[[float], Awaitable[None]]

    @property
    def page(self) -> Any:
        """The answer's body; None when it is no JSON object."""
        try:
            found = orjson.loads(self.answer.body)
        except orjson.JSONDecodeError:
            return None
        return found if isinstance(found, dict) else None

    def replace(self, body: Any) -> None:
        self.answer.body = body if isinstance(body, bytes) else orjson.dumps(body)

    def error(self, error: ApiError) -> None:
        self.answer.status = error.status
        self.answer.body = error.body(self.request_id)

    @property
    def request_id(self) -> str:
        return _header(self.answer.headers, b"x-request-id").decode()

    def set_header(self, name: bytes, value: bytes) -> None:
        self.answer.headers = [h for h in self.answer.headers if h[0] != name] + [(name, value)]

    # below HTTP

    @property
    def transport(self) -> Any:
        return self.scope["sandbox.transport"]

    def write(self, headers: Headers, body: bytes) -> None:
        """Write an answer's head, and some bytes of a body, as they are."""
        self.transport.write(self.head(headers) + body)

    def head(self, headers: Headers) -> bytes:
        status = self.answer.status
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()]
        lines += [name + b": " + value for name, value in headers]
        return b"\r\n".join(lines) + b"\r\n\r\n"

    async def close(self) -> None:
        """Close the connection in good order, whatever of the answer is missing."""
        self.transport.close()
        await self.gone()

    async def reset(self) -> None:
        """Close the connection so that the client sees it reset."""
        await asyncio.sleep(0.01)  # what was written leaves first
        fileno = self.transport.get_extra_info("socket").fileno()
        if fileno >= 0:
            with socket.socket(fileno=os.dup(fileno)) as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()
        await self.gone()

    async def gone(self, seconds: float = 5.0) -> bool:
        """Wait until the connection is closed; whether it was in that time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while (await self.receive())["type"] != "http.disconnect":
                    pass
                return True
        return False


def _header(headers: Headers, name: bytes) -> bytes:
    return next((value for key, value in headers if key == name), b"")


def _with_length(answer: Answer) -> Headers:
    return [*answer.headers, (b"content-length", str(len(answer.body)).encode())]


# Errors: the answer is another one.


async def _status(strike: Strike) -> bool:
    """`code`, `body` (json, html, empty, no_errors), `retry_after` (seconds, `date`, any text)."""
    code = int(strike.injector.number("code", 500))
    phrase = HTTPStatus(code).phrase
    error = {401: unauthenticated(), 403: forbidden("incidents.view"), 429: too_many()}.get(
        code, ApiError(code, "api_error", "api_error", phrase)
    )
    if code == 403:
        error = forbidden(strike.injector.text("scope", "incidents.view"))
    if code == 404:
        error = ApiError(404, "resource_not_found", "not_found", "No longer there")
    strike.error(error)
    shape = strike.injector.text("body", "html" if code in (502, 504) else "json")
    if shape == "html":
        strike.replace(_HTML % (code, code))
        strike.set_header(b"content-type", b"text/html; charset=utf-8")
    elif shape == "empty":
        strike.replace(b"")
    elif shape == "no_errors":
        strike.replace({"type": error.kind, "status": code, "request_id": strike.request_id})
    retry_after = strike.injector.settings.get("retry_after")
    if retry_after is not None:
        text = str(retry_after)
        if text.startswith("date"):
            text = formatdate(time() + float(text.removeprefix("date") or 1), usegmt=True)
        strike.set_header(b"retry-after", text.encode())
    return False


async def _echo(strike: Strike) -> bool:
    """An error, `code`, that repeats the Authorization header in its body, and in a header."""
    sent = _header(strike.scope["headers"], b"authorization").decode("latin-1")
    code = int(strike.injector.number("code", 400))
    strike.error(ApiError(code, "invalid_request_error", "bad_header", f"Rejected: {sent}"))
    strike.set_header(b"x-rejected", sent.encode("latin-1"))
    return False


async def _redirect(strike: Strike) -> bool:
    """A redirect: `to` is a URL, or `loop`; `code` is its status."""
    strike.answer.status = int(strike.injector.number("code", 302))
    to = strike.injector.text("to", "http://127.0.0.2:9/elsewhere")
    if to == "loop":
        to = strike.scope["path"] + "?" + strike.scope["query_string"].decode("latin-1")
    strike.set_header(b"location", to.encode())
    strike.replace(b"")
    return False


# Connections: broken, or silent.


async def _reset(strike: Strike) -> bool:
    """The connection is reset; `at`: before (the headers), headers (in them), body (after)."""
    at = strike.injector.text("at", "before")
    head = strike.head(_with_length(strike.answer))
    if at == "headers":
        strike.transport.write(head[: len(head) // 2])
    elif at == "body":
        strike.transport.write(head + strike.answer.body[: len(strike.answer.body) // 2])
    await strike.reset()
    return True


async def _refuse(strike: Strike) -> bool:
    """Every connection is reset, and new ones are refused, for `seconds`."""
    await strike.refuse(strike.injector.number("seconds", 1.0))
    await strike.reset()
    return True


async def _stall(strike: Strike) -> bool:
    """Silence for `seconds`, then the rest; `at`: before (the headers), body (in the middle)."""
    seconds = strike.injector.number("seconds", _HANG)
    if strike.injector.text("at", "before") == "before":
        return await strike.gone(seconds)
    half = len(strike.answer.body) // 2
    return await _pieces(strike, [strike.answer.body[:half], strike.answer.body[half:]], seconds)


async def _slow(strike: Strike) -> bool:
    """The answer in pieces of `bytes`, one every `seconds`; `at`: body, headers (from the first byte on)."""
    size = int(strike.injector.number("bytes", 1))
    body = strike.answer.body
    if strike.injector.text("at", "body") == "headers":
        whole = strike.head(_with_length(strike.answer)) + body
        for start in range(0, len(whole), size):
            strike.transport.write(whole[start : start + size])
            if await strike.gone(strike.injector.number("seconds", 1.0)):
                return True
        await strike.close()
        return True
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return await _pieces(strike, pieces, strike.injector.number("seconds", 1.0))


async def _pieces(strike: Strike, pieces: list[bytes], seconds: float) -> bool:
    headers = _with_length(strike.answer)
    await strike.send({"type": "http.response.start", "status": strike.answer.status, "headers": headers})
    for number, piece in enumerate(pieces):
        if number and await strike.gone(seconds):
            return True
        await strike.send({"type": "http.response.body", "body": piece, "more_body": True})
    await strike.send({"type": "http.response.body", "body": b""})
    return True


async def _truncate(strike: Strike) -> bool:
    """Half a body, then the end; `framing`: length, chunked, close (neither, so nobody can tell)."""
    half = strike.answer.body[: len(strike.answer.body) // 2]
    framing = strike.injector.text("framing", "length")
    if framing == "length":
        strike.write(_with_length(strike.answer), half)
    elif framing == "chunked":
        chunk = f"{len(half):x}\r\n".encode() + half + b"\r\n"
        strike.write([*strike.answer.headers, (b"transfer-encoding", b"chunked")], chunk)
    else:
        strike.write([*strike.answer.headers, (b"connection", b"close")], half)
    await strike.close()
    return True


async def _huge(strike: Strike) -> bool:
    """A body of `bytes`: the answer, and white space behind it."""
    size = int(strike.injector.number("bytes", 200_000_000))
    body = strike.answer.body
    length = max(size, len(body))
    headers = [*strike.answer.headers, (b"content-length", str(length).encode())]
    await strike.send({"type": "http.response.start", "status": strike.answer.status, "headers": headers})
    left = length - len(body)
    await strike.send({"type": "http.response.body", "body": body, "more_body": True})
    blank = b" " * 1_000_000
    while left > 0 and not strike.transport.is_closing():
        piece = blank[: min(left, len(blank))]
        left -= len(piece)
        await strike.send({"type": "http.response.body", "body": piece, "more_body": True})
    if not left:
        await strike.send({"type": "http.response.body", "body": b""})
    return True


# Bodies: whole, and not what they should be.


async def _cut_json(strike: Strike) -> bool:
    """JSON that ends in the middle, in a body that is whole."""
    strike.replace(strike.answer.body[: len(strike.answer.body) * 2 // 3])
    return False


async def _shape(strike: Strike) -> bool:
    """JSON of another shape; `as`: list, null, string, number, missing (the records), empty,
    null_records, object_records, string_record, null_record, no_id, no_meta, deep."""
    page = strike.page or {}
    name = next((key for key, value in page.items() if isinstance(value, list)), "records")
    records = page.get(name, [])
    shapes: dict[str, Any] = {
        "list": records,
        "null": None,
        "string": "ok",
        "number": 42,
        "empty": {},
        "missing": {key: value for key, value in page.items() if key != name},
        "null_records": {**page, name: None},
        "object_records": {**page, name: {"0": records}},
        "string_record": {**page, name: [*records[:1], "a record", *records[1:]]},
        "null_record": {**page, name: [*records[:1], None, *records[1:]]},
        "no_id": {**page, name: [{k: v for k, v in r.items() if k != "id"} for r in records]},
        "no_meta": {key: value for key, value in page.items() if key != "pagination_meta"},
        "deep": b"[" * 100_000 + b"]" * 100_000,
    }
    strike.replace(shapes[strike.injector.text("as", "list")])
    return False


async def _content_type(strike: Strike) -> bool:
    """Another Content-Type: `value`; with `body=html` a page of HTML besides, and status 200."""
    strike.set_header(b"content-type", strike.injector.text("value", "text/html").encode())
    if strike.injector.text("body", "") == "html":
        strike.replace(_HTML % (200, 200))
    return False


async def _encoding(strike: Strike) -> bool:
    """A body in another encoding: `as` (utf-16, latin-1), or with bytes that are none (bytes)."""
    encoding = strike.injector.text("as", "utf-16")
    if encoding == "bytes":
        strike.replace(strike.answer.body.replace(b'"', b'"\xff\xfe', 7))
    else:
        strike.replace(strike.answer.body.decode().encode(encoding, "replace"))
    return False


async def _gzip(strike: Strike) -> bool:
    """Content-Encoding gzip; `as`: good, broken (a byte wrong), cut, plain (not compressed)."""
    strike.set_header(b"content-encoding", b"gzip")
    how = strike.injector.text("as", "broken")
    packed = gzip.compress(strike.answer.body)
    middle = len(packed) // 2
    strike.replace(
        {
            "good": packed,
            "broken": packed[:middle] + bytes([packed[middle] ^ 0xFF]) + packed[middle + 1 :],
            "cut": packed[:middle],
            "plain": strike.answer.body,
        }[how]
    )
    return False


# Pages: well formed, and misleading.


async def _after(strike: Strike) -> bool:
    """Another `after`; `as`: repeat, cycle (through `pages`), empty, number, object, unknown."""
    page = strike.page
    meta = (page or {}).get("pagination_meta")
    if page is None or meta is None:
        return False
    asked = parse_qs(strike.scope["query_string"].decode("latin-1")).get("after", [None])[0]
    name = next((key for key, value in page.items() if isinstance(value, list)), "")
    last = page[name][-1]["id"] if page.get(name) else None
    how = strike.injector.text("as", "repeat")
    if how == "repeat":
        meta["after"] = asked or last
    elif how == "cycle":
        given = strike.injector.memory.setdefault(strike.scope["path"], [])
        pages = int(strike.injector.number("pages", 3))
        if len(given) < pages and "after" in meta:
            given.append(meta["after"])
        elif given:
            position = given.index(asked) + 1 if asked in given else 0
            meta["after"] = given[position % len(given)]
    else:
        meta["after"] = {"empty": "", "number": 12345, "object": {}, "unknown": "01GONE"}[how]
    strike.replace(page)
    return False


async def _duplicate(strike: Strike) -> bool:
    """Records that were seen already; `as`: page (one of this page), previous (some of the last)."""
    page = strike.page or {}
    name = next((key for key, value in page.items() if isinstance(value, list)), "")
    records = page.get(name)
    if not records:
        return False
    seen = strike.injector.memory.get(strike.scope["path"], [])
    strike.injector.memory[strike.scope["path"]] = records[-3:]
    if strike.injector.text("as", "page") == "page":
        records.append(records[0])
    else:
        page[name] = seen + records
    strike.replace(page)
    return False


async def _date(strike: Strike) -> bool:
    """A Date header that is `offset` seconds off, or `value`."""
    moment = formatdate(time() + strike.injector.number("offset", 86400.0), usegmt=True)
    strike.set_header(b"date", strike.injector.text("value", moment).encode())
    return False


KINDS: dict[str, Callable[[Strike], Awaitable[bool]]] = {
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
"""A kind changes the answer (False: it is sent then), or deals with it itself (True)."""


def parse(spec: str | MutableMapping[str, Any]) -> Injector:
    """An injector from `KIND:key=value,...`; a number as KIND is a status. ValueError if wrong."""
    if isinstance(spec, str):
        kind, _, rest = spec.partition(":")
        settings = {part.partition("=")[0].strip(): part.partition("=")[2].strip() for part in rest.split(",") if part}
    else:
        settings = {key: str(value) for key, value in spec.items()}
        kind = settings.get("kind", "")
    if kind.isdigit():
        settings["code"], kind = kind, "status"
    if kind not in KINDS:
        raise ValueError(f"no fault {kind!r}: there are {', '.join(KINDS)}, and statuses")
    first, _, last = settings.get("nth", "1-").partition("-")
    injector = Injector(
        kind=kind,
        settings={key: value for key, value in settings.items() if key not in _SELECTORS},
        rate=float(settings.get("rate", 1.0)),
        path=settings.get("path", "*"),
        query=settings.get("query", ""),
        first=int(first),
        every=int(settings.get("every", 1)),
        times=int(settings["times"]) if "times" in settings else None,
    )
    if "nth" in settings:
        injector.last = int(last or first)
    return injector


async def _cannot_refuse(seconds: float) -> None:
    raise RuntimeError("there is no server to refuse connections")


class Faults:
    """The faults of a sandbox, tried one after the other on every answer of the API."""

    def __init__(self, specs: list[Any], seed: int) -> None:
        self._seed = seed
        self._specs: list[Any] = []
        self._injectors: list[Injector] = []
        self._random = Random(seed)
        self.refuse: Callable[[float], Awaitable[None]] = _cannot_refuse
        self.set(specs)

    def set(self, specs: list[Any]) -> None:
        """Replace them all. ValueError for one that makes no sense."""
        self._injectors = [parse(spec) for spec in specs]
        self._specs = specs
        self._random = Random(self._seed)

    def restart(self) -> None:
        """Count from the start again."""
        self.set(self._specs)

    def struck(self) -> list[dict[str, Any]]:
        """Each fault as it was given, with how many requests it could strike and did."""
        return [
            {"fault": spec, "seen": injector.seen, "struck": injector.struck}
            for spec, injector in zip(self._specs, self._injectors, strict=True)
        ]

    async def strikes(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        answer: Answer,
        entry: dict[str, Any],
    ) -> bool:
        """Whether a fault dealt with the answer itself; it may also have changed it."""
        for injector in self._injectors:
            query = scope["query_string"].decode("latin-1")
            if injector.chooses(scope["path"], query, self._random):
                strike = Strike(injector, scope, receive, send, answer, self.refuse)
                dealt = await KINDS[injector.kind](strike)
                entry["fault"] = injector.kind
                entry["status"] = answer.status
                return dealt
        return False
