"""A fake client for tests of the streams, and short ways to build and call a stream."""

import copy
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import requests

from source_incident.api import Response, UnexpectedAnswerError
from source_incident.config import Config
from source_incident.streams.base import IncidentStream
from source_incident.streams.page import Page, Record

CONFIG = Config.parse({"api_key": "inc_5ecret_key_0123456789abcdef"})


class FakeRequest:
    """A request without retries."""

    def __init__(self, response: Response) -> None:
        self._response = response

    def send(self) -> Response:
        return self._response

    def retry(self, error: UnexpectedAnswerError) -> None:
        raise error


class FakeClient:
    """Answers with the bodies that `answers` makes of a path and a query, and records the requests."""

    endpoint = "https://api.example/proxy"

    def __init__(self, answers: Callable[[str, Mapping[str, Any]], Any]) -> None:
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self._answers = answers

    def redact(self, text: str) -> str:
        return text.replace(CONFIG.api_key, "****")

    def request(self, path: str, params: Mapping[str, Any] | None = None) -> FakeRequest:
        return FakeRequest(self.get(path, params))

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Response:
        query = dict(params or {})
        self.requests.append((path, query))
        return Response(copy.deepcopy(self._answers(path, query)), datetime(2026, 1, 1, tzinfo=UTC))


def make(kind: type[IncidentStream], client: Any = None, config: Config = CONFIG) -> IncidentStream:
    """A stream of a class, for a fake client."""
    return kind(client or FakeClient(lambda *_: {}), config)


def read_page(kind: type[IncidentStream], body: Any, slice_: Mapping[str, Any] | None = None) -> Page:
    """The page that a stream makes of a body."""
    return make(kind, FakeClient(lambda *_: body)).read_page(slice_ or {}, None)


def parse(kind: type[IncidentStream], body: Any, slice_: Mapping[str, Any] | None = None) -> list[Record]:
    """The records that a stream makes of a body."""
    return read_page(kind, body, slice_).records


def params(kind: type[IncidentStream], slice_: Mapping[str, Any] | None = None, **settings: Any) -> dict[str, Any]:
    """The query of a stream's request."""
    config = Config.parse({"api_key": CONFIG.api_key, **settings})
    return dict(make(kind, config=config).page_params(slice_ or {}))


def http_response(body: Any) -> requests.Response:
    """An answer as the CDK passes it."""
    response = requests.Response()
    response.status_code = 200
    response._content = json.dumps(body).encode()
    return response
