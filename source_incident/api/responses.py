"""Converts an answer other than 200 to an error."""

import email.utils
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import requests

from source_incident.api.body import parse_json
from source_incident.api.errors import (
    ApiError,
    AuthenticationError,
    ErrorBody,
    ForbiddenError,
    NotFoundError,
    RedirectError,
    RequestError,
    TooManyRequestsError,
    TransientError,
)
from source_incident.api.rate_limit import MAX_WAIT

# Statuses that are retried (docs/api.md, errors). Every other 4xx and 5xx is final.
RETRIED_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})


def error_for(response: requests.Response, content: bytes, label: str, redact: Callable[[str], str]) -> ApiError:
    """Return the error for an answer.

    Args:
        response: the answer.
        content: its body.
        label: the request, for the message.
        redact: removes the key from a text.
    """
    status = response.status_code
    try:
        parsed = parse_json(content)
    except TransientError:
        parsed = None
    body = ErrorBody.parse(parsed, redact)
    text = body.message or body.code or ""
    request_id = body.request_id
    support = f" (request_id {request_id})" if request_id else ""
    detail = f": {text}" if text else ""
    if status == 401:
        return AuthenticationError(
            f"incident.io does not accept the API key{detail}. Create a new key under Settings, API keys, and set "
            f"it as api_key in the config{support}",
            status=status,
            request_id=request_id,
        )
    if (status == 403 and not body.is_from_api) or (status == 404 and not body.is_not_found):
        # A gateway's answer says nothing about the key or the record.
        return TransientError(
            f"{status} without the API's error body{detail}, from a proxy or a wrong endpoint", status=status
        )
    if status == 403:
        if body.scope:
            reason = (
                f"the API key lacks the scope {body.scope} to read {label}. Grant it under Settings, API keys, or "
                f"deselect the stream{support}"
            )
        else:
            reason = (
                f"the API refuses to read {label}{detail}. The API key lacks a scope that it needs, or the account "
                f"lacks this feature: grant the scope under Settings, API keys, or deselect the stream{support}"
            )
        return ForbiddenError(reason, scope=body.scope, status=status, request_id=request_id)
    if status == 404:
        return NotFoundError(f"GET {label}: not found{detail}{support}", status=status, request_id=request_id)
    if status == 429:
        return TooManyRequestsError(
            f"429 too many requests{detail}",
            retry_after=_retry_after(response.headers.get("Retry-After")),
            request_id=request_id,
        )
    if status in RETRIED_STATUSES:
        return TransientError(f"{status}{detail}", status=status, request_id=request_id)
    if 300 <= status < 400:
        target = _host(response.headers.get("Location", ""))
        return RedirectError(
            f"GET {label}: the endpoint redirects{f' to {redact(target)}' if target else ''}. Redirects are "
            "not followed, so that the key stays with its host. Set endpoint to the API's URL",
            status=status,
        )
    return RequestError(
        f"GET {label}: {status}{detail}{support}",
        advice=". The connector sent a wrong request, please report it",
        status=status,
        request_id=request_id,
    )


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _retry_after(header: str | None) -> float | None:
    """Seconds to wait, from a Retry-After in seconds or as an HTTP date; None: the header is missing or not usable."""
    if not header:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(header).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return None
    if seconds != seconds:
        return None
    return min(max(seconds, 0.0), MAX_WAIT)
