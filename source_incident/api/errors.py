"""Errors of requests to the API, one class per kind.

The text of an error is one line that a user can act on. It never holds the API key: the client redacts texts of
the API before they become part of an error.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# The longest text of the API that an error repeats, in characters.
MAX_TEXT = 300
# The type or the code of the API's own 404.
NOT_FOUND = "resource_not_found"


class Cancelled(Exception):
    """The run is being stopped. The request was not made, or its answer was dropped."""


class ApiError(Exception):
    """A request failed.

    Attributes:
        message: one line: what is wrong, where, what to do.
        status: the HTTP status; None: there was no answer.
        request_id: the id that the vendor's support asks for, if the answer had one.
    """

    def __init__(self, message: str, *, status: int | None = None, request_id: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.request_id = request_id

    def release_memory(self) -> None:
        """Drop the traceback and the errors before this one: their frames hold the answer that failed."""
        self.__traceback__ = self.__cause__ = self.__context__ = None


class AuthenticationError(ApiError):
    """401: the key is wrong or was revoked."""


class ForbiddenError(ApiError):
    """403: the key lacks a scope.

    Attributes:
        scope: the missing scope, such as `workflows.view`, if the API names it.
    """

    def __init__(
        self, message: str, *, scope: str | None = None, status: int | None = None, request_id: str | None = None
    ) -> None:
        super().__init__(message, status=status, request_id=request_id)
        self.scope = scope


class NotFoundError(ApiError):
    """404: the record was deleted, or the account lacks the feature."""


class RequestError(ApiError):
    """The API refused the request (400, 422 and the like) or redirected it. A retry would not help.

    Attributes:
        reason: the message without advice, such as `GET /v2/alerts: 422: invalid`.
    """

    def __init__(
        self, message: str, *, advice: str = "", status: int | None = None, request_id: str | None = None
    ) -> None:
        super().__init__(message + advice, status=status, request_id=request_id)
        self.reason = message


class RedirectError(RequestError):
    """The endpoint redirects, so it is not the API's URL."""


class UnexpectedAnswerError(ApiError):
    """The answer does not fit the API's contract: another shape, or a page that repeats."""


class TransientError(ApiError):
    """A 429, a 5xx, a broken connection, a timeout or a truncated body that outlasted the retries."""


class UnreachableError(TransientError):
    """No request of the run was answered."""

    def __init__(self, endpoint: str, last: TransientError) -> None:
        super().__init__(f"{endpoint} does not answer: {last.message}. Check the network and the setting endpoint")


class TooManyRequestsError(TransientError):
    """429.

    Attributes:
        retry_after: seconds that the API asks to wait.
    """

    def __init__(self, message: str, *, retry_after: float | None, request_id: str | None) -> None:
        super().__init__(message, status=429, request_id=request_id)
        self.retry_after = 1.0 if retry_after is None else retry_after


@dataclass(frozen=True)
class ErrorBody:
    """The useful parts of an error body.

    The shape is `{"type", "status", "request_id", "errors": [{"code", "message", "metadata"?}]}`. `errors` can be
    empty or missing, and a proxy can answer HTML (docs/api.md, errors).

    Attributes:
        code: the code of the first error, or the type.
        message: the message of the first error.
        scope: the missing scope.
        request_id: the id that the vendor's support asks for.
        is_from_api: the body has the API's shape; a gateway's has not.
        is_not_found: the API says that a record does not exist.
    """

    code: str | None = None
    message: str | None = None
    scope: str | None = None
    request_id: str | None = None
    is_from_api: bool = False
    is_not_found: bool = False

    @classmethod
    def parse(cls, body: Any, redact: Callable[[str], str]) -> "ErrorBody":
        """Read a parsed body of any shape. Missing parts are None.

        Args:
            body: the parsed JSON.
            redact: removes the key from a text. It runs before the text is cut, because it can't find half a key.
        """

        def text(value: Any) -> str | None:
            if not isinstance(value, str) or not value.strip():
                return None
            return redact(" ".join(value.split()))[:MAX_TEXT]

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
            is_from_api=isinstance(body.get("type"), str) and ("request_id" in body or isinstance(errors, list)),
            is_not_found=NOT_FOUND in (body.get("type"), first.get("code")),
        )
