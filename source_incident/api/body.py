"""Bodies of answers: read whole, decompressed, parsed."""

import re
from collections.abc import Callable
from typing import Any

import orjson
import requests
import urllib3

from source_incident.api.errors import Cancelled, TransientError, UnexpectedAnswerError
from source_incident.json_limits import MAX_DEPTH, JsonSize, is_too_deep

# The largest page seen has 3 MB.
MAX_BODY_BYTES = 32 * 2**20
# The API's own errors have a few hundred bytes. The rest of a longer body is not read.
MAX_ERROR_BYTES = 64 * 1024
CHUNK_BYTES = 256 * 1024
# What the client asks for. Python's own zlib decompresses it in small steps.
ACCEPTED_ENCODINGS = "gzip, deflate"
_DECODED_HERE = frozenset({"", "identity", "gzip", "x-gzip", "deflate"})

# A surrogate pair (group 2), or a lone surrogate, as escapes. An even number of backslashes before it is text.
_SURROGATES = re.compile(
    rb"(?<!\\)((?:\\\\)*)\\u(?:([dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|[dD][89a-fA-F][0-9a-fA-F]{2})"
)


def read_page(
    response: requests.Response,
    reserve: Callable[[int], None],
    is_cancelled: Callable[[], bool],
    make_size: Callable[[], JsonSize] = JsonSize,
) -> tuple[bytearray, JsonSize]:
    """Read the decompressed body of a page.

    Args:
        response: the answer.
        reserve: reserves memory for the page, before it is used. It gets the bytes in total.
        is_cancelled: asked after each chunk.
        make_size: makes the body's size.

    Returns:
        The body and its size.

    Raises:
        UnexpectedAnswerError: the body is too large, or has an encoding that was not asked for.
        TransientError: the body is shorter than its Content-Length.
        Cancelled: the run is being stopped.
        urllib3.exceptions.HTTPError, OSError, ValueError: the connection broke or the body can't be decompressed.
    """
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in _DECODED_HERE:
        raise UnexpectedAnswerError("the body has an encoding that was not asked for")
    body, size = bytearray(), make_size()
    while chunk := response.raw.read1(CHUNK_BYTES, decode_content=True):
        size.add(chunk)
        if size.length > MAX_BODY_BYTES:
            raise UnexpectedAnswerError(f"the body is larger than {MAX_BODY_BYTES // 2**20} MB")
        reserve(size.memory)
        body += chunk
        if is_cancelled():
            raise Cancelled
    expected = response.headers.get("Content-Length")
    if expected and not encoding and expected.isdigit() and int(expected) != size.length:
        raise TransientError(f"the body ended early: {size.length} of {expected} bytes")
    return body, size


def read_error(response: requests.Response, is_cancelled: Callable[[], bool]) -> bytes:
    """Read at most the first MAX_ERROR_BYTES of an error's body. Raises what `read_page` raises."""
    if response.headers.get("Content-Encoding", "").strip().lower() not in _DECODED_HERE:
        return b""
    body = bytearray()
    while len(body) < MAX_ERROR_BYTES and (chunk := response.raw.read1(MAX_ERROR_BYTES, decode_content=True)):
        body += chunk
        if is_cancelled():
            raise Cancelled
    return bytes(body[:MAX_ERROR_BYTES])


def parse_page(body: bytes | bytearray, size: JsonSize) -> dict[str, Any]:
    """Parse the body of a page.

    Raises:
        TransientError: the body is not complete JSON.
        UnexpectedAnswerError: it is no object, or too deep to be written again.
    """
    document = parse_json(body)
    if not isinstance(document, dict):
        raise UnexpectedAnswerError("the answer is not a JSON object")
    if not size.is_shallow and is_too_deep(document):
        raise UnexpectedAnswerError(f"the answer is nested more than {MAX_DEPTH} levels deep")
    return document


def parse_json(content: bytes | bytearray) -> Any:
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
    except orjson.JSONDecodeError:
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


def _replace_lone_surrogates(content: bytes | bytearray) -> bytes:
    """Replace each half of a surrogate pair by U+FFFD, since UTF-8 can't hold it.

    JSON's grammar allows such an escape (RFC 8259, 8.2). Text that a program cut in the middle of an emoji has one.
    """
    return _SURROGATES.sub(lambda found: found[0] if found[2] else found[1] + rb"\ufffd", content)
