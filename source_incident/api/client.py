"""The client: GET requests with retries."""

from collections.abc import Mapping
from typing import Any

from source_incident.api.retry import RetriedRequest
from source_incident.api.transport import JSON, BodyFormat, Response, Transport


class Client(Transport):
    """Makes the requests of a run, from any thread.

    Args:
        max_retries: how often a transient error is retried.
        options: the arguments of `Transport`.
    """

    def __init__(self, *, max_retries: int = 8, **options: Any) -> None:
        super().__init__(**options)
        self._max_retries = max_retries

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Response:
        """Get one JSON object. Raises what `RetriedRequest.send` raises.

        Args:
            path: path below the endpoint.
            params: the query; a list's values repeat the parameter.
        """
        return self.request(path, params).send()

    def request(
        self, path: str, params: Mapping[str, Any] | None = None, body_format: BodyFormat = JSON
    ) -> RetriedRequest:
        """Prepare a GET with retries.

        Raises:
            RequestError: the URL is not valid.
        """
        return RetriedRequest(self, self.prepare(path, params, body_format), self._max_retries)
