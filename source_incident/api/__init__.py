"""Talking to incident.io's API: auth, limits, retries, errors, whole bodies. Knows HTTP, knows no stream."""

from source_incident.api.client import ApiResponse, Client
from source_incident.api.errors import (
    ApiError,
    AuthenticationError,
    ForbiddenError,
    NotFoundError,
    RequestError,
    Stopped,
    TransientError,
    UnexpectedAnswerError,
    UnreachableError,
)

__all__ = [
    "ApiError",
    "ApiResponse",
    "AuthenticationError",
    "Client",
    "ForbiddenError",
    "NotFoundError",
    "RequestError",
    "Stopped",
    "TransientError",
    "UnexpectedAnswerError",
    "UnreachableError",
]
