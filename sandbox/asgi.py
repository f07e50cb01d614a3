"""ASGI types, and an answer that is complete before it is sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]


@dataclass
class Answer:
    """A complete answer. A fault can change it before it is sent."""

    status: int
    headers: Headers
    body: bytes

    def headers_with_length(self) -> Headers:
        return [*self.headers, (b"content-length", str(len(self.body)).encode())]


async def send_answer(send: Send, answer: Answer) -> None:
    headers = answer.headers_with_length()
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
