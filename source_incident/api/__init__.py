"""HTTP: authentication, rate limit, retries, errors. Knows no stream."""

from source_incident.api.client import Client, Response
from source_incident.api.errors import (
    ApiError,
    AuthenticationError,
    Cancelled,
    ForbiddenError,
    NotFoundError,
    RequestError,
    TransientError,
    UnexpectedAnswerError,
    UnreachableError,
)

__all__ = [
    "ApiError",
    "AuthenticationError",
    "Cancelled",
    "Client",
    "ForbiddenError",
    "NotFoundError",
    "RequestError",
    "Response",
    "TransientError",
    "UnexpectedAnswerError",
    "UnreachableError",
]
