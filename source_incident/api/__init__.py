"""HTTP: authentication, rate limit, retries, errors. Knows no stream."""

from source_incident.api.client import Client
from source_incident.api.errors import (
    ApiError,
    AuthenticationError,
    Cancelled,
    ForbiddenError,
    NotFoundError,
    RedirectError,
    RequestError,
    TransientError,
    UnexpectedAnswerError,
    UnreachableError,
)
from source_incident.api.memory import PageMemory, check_size
from source_incident.api.transport import CSV, JSON, BodyFormat, Response

__all__ = [
    "CSV",
    "JSON",
    "ApiError",
    "AuthenticationError",
    "BodyFormat",
    "Cancelled",
    "Client",
    "ForbiddenError",
    "NotFoundError",
    "PageMemory",
    "RedirectError",
    "RequestError",
    "Response",
    "TransientError",
    "UnexpectedAnswerError",
    "UnreachableError",
    "check_size",
]
