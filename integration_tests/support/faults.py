"""The faults that the tests and soak runs inject, with the names that docs/reliability.md gives them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """One fault.

    Attributes:
        name: name of the fault in docs/reliability.md.
        fault: the sandbox's notation, KIND:key=value,...; `{other}` is the URL of a server at another address.
        timeout: the `request_timeout` of the run, in seconds.
        request_id: whether the answer has a `request_id`.
    """

    name: str
    fault: str
    timeout: int = 60
    request_id: bool = False

    def with_selector(self, other: str, selector: str) -> str:
        """Return the fault in the sandbox's notation, limited to some requests.

        Args:
            other: URL of the server at another address.
            selector: which requests get the fault, for example `path=/v2/alerts`.
        """
        return f"{self.fault}{',' if ':' in self.fault else ':'}{selector}".format(other=other)


# Retried. If the fault persists, the stream fails.
TRANSIENT = (
    Case("408", "408", request_id=True),
    Case("500", "500", request_id=True),
    Case("500 with an empty body", "500:body=empty"),
    Case("500 without `errors`", "500:body=no_errors", request_id=True),
    Case("502 with an HTML body", "502"),
    Case("503", "503", request_id=True),
    Case("504 with an HTML body", "504"),
    Case("connection reset before the headers", "reset"),
    Case("connection reset in the headers", "reset:at=headers"),
    Case("connection reset in the body", "reset:at=body"),
    Case("truncated body with Content-Length", "truncate"),
    Case("truncated chunked body", "truncate:framing=chunked"),
    Case("truncated body without Content-Length", "truncate:framing=close"),
    Case("truncated JSON", "cut_json"),
    Case("the body is a list", "shape:as=list"),
    Case("the body is null", "shape:as=null"),
    Case("the body is a string", "shape:as=string"),
    Case("the body is a number", "shape:as=number"),
    Case("the body is an empty object", "shape:as=empty"),
    Case("no list of records", "shape:as=missing"),
    Case("the list of records is null", "shape:as=null_records"),
    Case("the list of records is an object", "shape:as=object_records"),
    Case("a record is a string", "shape:as=string_record"),
    Case("a record is null", "shape:as=null_record"),
    Case("records without their primary key", "shape:as=no_id"),
    Case("a full page without `pagination_meta`", "shape:as=no_meta"),
    Case("JSON nested 100,000 levels deep", "shape:as=deep"),
    Case("200 with an HTML body", "content_type:body=html"),
    Case("UTF-16", "encoding:as=utf-16"),
    Case("invalid UTF-8", "encoding:as=bytes"),
    Case("gzip with a wrong byte", "gzip:as=broken"),
    Case("truncated gzip", "gzip:as=cut"),
    Case("an uncompressed body declared as gzip", "gzip:as=plain"),
    Case("a body of 200 MB", "huge"),
    Case("a full page with an empty `after`", "after:as=empty"),
    Case("`after` is a number", "after:as=number"),
    Case("`after` is an object", "after:as=object"),
    Case("a stall before the headers", "stall", timeout=2),
    Case("a stall in the body", "stall:at=body", timeout=2),
    Case("headers at one byte per 0.2 s", "slow:at=headers,seconds=0.2", timeout=2),
    Case("a body at one byte per 0.2 s", "slow:seconds=0.2", timeout=2),
)

# Retried without counting as an attempt, because the answer says when to send the next request.
RATE_LIMITED = (
    Case("429 with Retry-After in seconds", "429:retry_after=1", request_id=True),
    Case("429 with Retry-After as a date", "429:retry_after=date1", request_id=True),
    Case("429 without Retry-After", "429", request_id=True),
    Case("429 with Retry-After in the past", "429:retry_after=-5", request_id=True),
    Case("429 with an invalid Retry-After", "429:retry_after=soon", request_id=True),
)

# Accepted: all records are read from such answers.
HARMLESS = (
    Case("another Content-Type", "content_type"),
    Case("gzip", "gzip:as=good"),
    Case("a slow body within the timeout", "slow:bytes=50000,seconds=0.05"),
    Case("a page with records of the page before", "duplicate:as=previous"),
    Case("the same record twice on a page", "duplicate:as=page"),
)

# Never retried: the stream fails at once.
PERMANENT = (
    Case("`after` repeats every 3 pages", "after:as=cycle,pages=3"),
    Case("`after` is the same on every page", "after:as=repeat"),
    Case("403 on a later page", "403:scope=a.scope", request_id=True),
    Case("404 on a later page", "404", request_id=True),
    Case("422", "422", request_id=True),
    Case("a redirect to another host", "redirect:to={other}/v2/alerts"),
    Case("a redirect to http on another port", "redirect:to=http://127.0.0.1:9/v2/alerts,code=307"),
    Case("a redirect loop", "redirect:to=loop"),
    Case("an error that contains the API key", "echo", request_id=True),
)
