"""Bodies of answers: read whole, decompressed, parsed."""

import json
from collections.abc import Callable
from typing import Any

import orjson
import requests
import urllib3

from source_incident.api.errors import Cancelled, TransientError, UnexpectedAnswerError

# The largest page seen has a few MB. A larger body is a fault, and reading it could exhaust the memory.
MAX_BODY_BYTES = 128 * 1024 * 1024
CHUNK_BYTES = 256 * 1024


def read_body(response: requests.Response, is_cancelled: Callable[[], bool]) -> bytes:
    """Read the decompressed body.

    Raises:
        UnexpectedAnswerError: the body is too large.
        TransientError: the body is shorter than its Content-Length.
        Cancelled: the run is being stopped.
        urllib3.exceptions.HTTPError, OSError, ValueError: the connection broke or the body can't be decompressed.
    """
    chunks: list[bytes] = []
    size = 0
    while chunk := response.raw.read1(CHUNK_BYTES, decode_content=True):
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise UnexpectedAnswerError(f"the body is larger than {MAX_BODY_BYTES // 2**20} MB")
        if is_cancelled():
            raise Cancelled
    expected = response.headers.get("Content-Length")
    encoded = response.headers.get("Content-Encoding")
    if expected and not encoded and expected.isdigit() and int(expected) != size:
        raise TransientError(f"the body ended early: {size} of {expected} bytes")
    return b"".join(chunks)


def parse_json(content: bytes) -> Any:
    """Parse a body.

    Raises:
        TransientError: the body is not complete JSON.
    """
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        pass
    try:
        return orjson.loads(_replace_lone_surrogates(content))
    except (ValueError, RecursionError):
        raise TransientError("the answer is not complete JSON") from None


def explain_transport_error(error: Exception, timeout: float) -> str:
    """Describe an exception of requests or urllib3 in a few words, without the object addresses in its text.

    Args:
        error: the exception.
        timeout: the request timeout, in seconds.
    """
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return "no connection within the timeout"
    if isinstance(error, requests.exceptions.Timeout | urllib3.exceptions.ReadTimeoutError | TimeoutError):
        return f"no answer within {timeout:g} s"
    if isinstance(error, requests.exceptions.SSLError):
        return "the TLS connection failed"
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy refused the connection"
    if isinstance(error, urllib3.exceptions.DecodeError):
        return "the body can't be decompressed"
    text = str(error)
    if "IncompleteRead" in text:
        return "the body ended early"
    for known in ("Connection refused", "Connection reset", "Name or service not known", "Connection aborted"):
        if known in text:
            return known.lower()
    return type(error).__name__


def _replace_lone_surrogates(content: bytes) -> str:
    """Replace each half of a surrogate pair by U+FFFD, since UTF-8 can't hold it.

    JSON's grammar allows such an escape (RFC 8259, 8.2). Text that a program cut in the middle of an emoji has one.

    Raises:
        ValueError, RecursionError: the content is not JSON.
    """
    text = json.dumps(json.loads(content.decode()), ensure_ascii=False)
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
