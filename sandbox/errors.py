"""The API's errors: status and body."""

from __future__ import annotations

from typing import Any

import orjson


class ApiError(Exception):
    """An error response.

    Attributes:
        status: HTTP status.
        kind: `type` in the body.
        error: the one entry of `errors` in the body.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        code: str,
        message: str,
        *,
        field: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.error: dict[str, Any] = {"code": code, "message": message}
        if field is not None:
            self.error["source"] = {"field": field}
        if metadata is not None:
            self.error["metadata"] = metadata

    def body(self, request_id: str) -> bytes:
        return orjson.dumps(
            {
                "type": self.kind,
                "status": self.status,
                "request_id": request_id,
                "errors": [self.error],
            }
        )


def unauthenticated() -> ApiError:
    return ApiError(
        401,
        "authentication_error",
        "access_token_invalid",
        "The access token is not valid: check that the key is right and was not revoked",
    )


def forbidden(scope: str) -> ApiError:
    return ApiError(
        403,
        "resource_forbidden",
        "missing_required_scope",
        f"This API key does not have the {scope} scope",
        metadata={"scope": scope},
    )


def not_found(message: str = "The resource could not be found") -> ApiError:
    return ApiError(404, "resource_not_found", "not_found", message)


def invalid(field: str, message: str) -> ApiError:
    return ApiError(422, "validation_error", "invalid_value", message, field=field)


def missing(field: str) -> ApiError:
    return ApiError(422, "validation_error", "missing_field", f"{field} is required", field=field)


def too_many() -> ApiError:
    return ApiError(429, "too_many_requests", "rate_limit_reached", "The rate limit of this key is exceeded")


def unsupported(field: str) -> ApiError:
    """The API has this parameter, the sandbox does not implement it."""
    message = f"The sandbox does not implement {field}"
    return ApiError(501, "sandbox_error", "not_implemented", message, field=field)
