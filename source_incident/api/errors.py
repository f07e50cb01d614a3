"""What can go wrong between here and the API, a class each.

An error's text is one line that a user can act on. It never holds the key: it is built from the method, the path,
the status and what the API says, and the API's words are scrubbed by the client before they get here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


class Stopped(Exception):
    """The run is being stopped; the request was not made, or its answer is not wanted any more."""


class ApiError(Exception):
    """A request that did not give what was asked for.

    Attributes:
        message: one line: what, where, what to do.
        status: the HTTP status, if there was an answer.
        request_id: what the vendor's support asks for, if the answer had one.
    """

    def __init__(self, message: str, *, status: int | None = None, request_id: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.request_id = request_id


class AuthenticationError(ApiError):
    """401: the key is wrong or was revoked."""


class ForbiddenError(ApiError):
    """403: the key lacks a scope.

    Attributes:
        scope: the scope that the API says is missing, such as `workflows.view`, if it says so.
    """

    def __init__(
        self,
        message: str,
        *,
        scope: str | None = None,
        status: int | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, status=status, request_id=request_id)
        self.scope = scope


class NotFoundError(ApiError):
    """404: the record is gone, or the account does not have what the list is of."""


class RequestError(ApiError):
    """The API refused the request as wrong (400, 422 and the like), or redirected it: retrying would not help."""


class UnexpectedAnswerError(ApiError):
    """The answer is not what the API's contract says: of another shape, a page that comes again."""


class TransientError(ApiError):
    """A passing fault that did not pass within the retries: 429, 5xx, a broken connection, a timeout, half a body."""


class UnreachableError(TransientError):
    """Not one request of the run was answered."""

    def __init__(self, endpoint: str, last: TransientError) -> None:
        super().__init__(f"{endpoint} does not answer: {last.message}. Check the network and the setting endpoint")


@dataclass(frozen=True)
class ErrorBody:
    """What is worth showing of the API's error body.

    The shape is `{"type", "status", "request_id", "errors": [{"code", "message", "metadata"?}]}`; `errors` can be
    empty or missing, and a proxy in between can answer HTML (reference: the vendor's OpenAPI document, and live).
    """

    code: str | None = None
    message: str | None = None
    scope: str | None = None
    request_id: str | None = None

    @classmethod
    def of(cls, body: Any, scrub: Callable[[str], str]) -> "ErrorBody":
        """Reads a parsed body of any shape; what it lacks is None.

        Args:
            scrub: takes the key out of a text, before the text is cut: a piece of the key would not be known.
        """

        def text(value: Any) -> str | None:
            """A short single line of `value` where it is a string that says something."""
            if not isinstance(value, str) or not value.strip():
                return None
            return scrub(" ".join(value.split()))[:300]

        if not isinstance(body, dict):
            return cls()
        errors = body.get("errors")
        first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
        metadata = first.get("metadata")
        return cls(
            code=text(first.get("code")) or text(body.get("type")),
            message=text(first.get("message")),
            scope=text(metadata.get("scope")) if isinstance(metadata, dict) else None,
            request_id=text(body.get("request_id")),
        )
