"""The faults, as data: what the sandbox does to the later pages of a list, while other lists are read beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

COMPANY: dict[str, Any] = {
    "incidents": 40,
    "alerts": 850,
    "escalations": 160,
    "actions": 600,
    "follow_ups": 600,
    "updates": 600,
    "users": 20,
    "plain": True,
}
# Lists of several pages, each of which can be struck by a fault of its own. Of alerts so many pages can, each by
# another fault; a list of more pages would be divided, and the pages not come one after the other.
PAGES = 15
STRUCK = ("alerts", "escalations", "actions", "follow_ups", "incident_updates")
UNTOUCHED = ("severities", "users", "incident_types")
STREAMS = (*STRUCK, *UNTOUCHED)


@dataclass(frozen=True)
class Case:
    """One fault.

    Attributes:
        name: what docs/reliability.md calls it.
        fault: for the sandbox, KIND:key=value,...; `{other}` is a server on another address.
        timeout: the request_timeout of its run.
        request_id: whether the answer has one.
    """

    name: str
    fault: str
    timeout: int = 60
    request_id: bool = False

    def injected(self, other: str, selector: str) -> str:
        """What the sandbox is told.

        Args:
            other: the URL of the server on another address.
            selector: whom it strikes.
        """
        return f"{self.fault}{',' if ':' in self.fault else ':'}{selector}".format(other=other)


# What is tried again, and ends the stream when it stays.
PASSING = (
    Case("408", "408", request_id=True),
    Case("500", "500", request_id=True),
    Case("500 with an empty body", "500:body=empty"),
    Case("500 without `errors`", "500:body=no_errors", request_id=True),
    Case("502 with HTML", "502"),
    Case("503", "503", request_id=True),
    Case("504 with HTML", "504"),
    Case("reset before the headers", "reset"),
    Case("reset in the headers", "reset:at=headers"),
    Case("reset in the body", "reset:at=body"),
    Case("truncated, with Content-Length", "truncate"),
    Case("truncated, chunked", "truncate:framing=chunked"),
    Case("truncated, without Content-Length", "truncate:framing=close"),
    Case("JSON cut short", "cut_json"),
    Case("a list", "shape:as=list"),
    Case("null", "shape:as=null"),
    Case("a string", "shape:as=string"),
    Case("a number", "shape:as=number"),
    Case("an empty object", "shape:as=empty"),
    Case("the records missing", "shape:as=missing"),
    Case("the records null", "shape:as=null_records"),
    Case("the records an object", "shape:as=object_records"),
    Case("a record that is a string", "shape:as=string_record"),
    Case("a record that is null", "shape:as=null_record"),
    Case("records without their key", "shape:as=no_id"),
    Case("a full page without `pagination_meta`", "shape:as=no_meta"),
    Case("JSON nested 100,000 deep", "shape:as=deep"),
    Case("200 and a page of HTML", "content_type:body=html"),
    Case("UTF-16", "encoding:as=utf-16"),
    Case("bytes that are no UTF-8", "encoding:as=bytes"),
    Case("gzip with a byte wrong", "gzip:as=broken"),
    Case("gzip cut short", "gzip:as=cut"),
    Case("gzip that is not compressed", "gzip:as=plain"),
    Case("a body of 200 MB", "huge"),
    Case("an `after` that is empty on a full page", "after:as=empty"),
    Case("an `after` that is a number", "after:as=number"),
    Case("an `after` that is an object", "after:as=object"),
    Case("a stall before the headers", "stall", timeout=2),
    Case("a stall in the body", "stall:at=body", timeout=2),
    Case("headers of a byte every 0.2 s", "slow:at=headers,seconds=0.2", timeout=2),
    Case("a body of a byte every 0.2 s", "slow:seconds=0.2", timeout=2),
)

# What says when to come again is not counted as a try: it passes, or the time a request may wait runs out.
LIMITED = (
    Case("429 with Retry-After in seconds", "429:retry_after=1", request_id=True),
    Case("429 with Retry-After as a date", "429:retry_after=date1", request_id=True),
    Case("429 without Retry-After", "429", request_id=True),
    Case("429 with a Retry-After in the past", "429:retry_after=-5", request_id=True),
    Case("429 with a Retry-After that is a word", "429:retry_after=soon", request_id=True),
)

# What is read as it is, even when it stays.
HARMLESS = (
    Case("another Content-Type", "content_type"),
    Case("gzip", "gzip:as=good"),
    Case("a slow body that comes in time", "slow:bytes=50000,seconds=0.05"),
    Case("a page that holds records of the page before", "duplicate:as=previous"),
    Case("an id twice on a page", "duplicate:as=page"),
)

# What is an answer, or would never end: not tried again, the stream ends at once.
ANSWERS = (
    Case("an `after` that cycles through 3 pages", "after:as=cycle,pages=3"),
    Case("an `after` that repeats", "after:as=repeat"),
    Case("403 in the middle of a list", "403:scope=a.scope", request_id=True),
    Case("404 in the middle of a list", "404", request_id=True),
    Case("422", "422", request_id=True),
    Case("a redirect to another host", "redirect:to={other}/v2/alerts"),
    Case("a redirect to http on another port", "redirect:to=http://127.0.0.1:9/v2/alerts,code=307"),
    Case("a redirect in a loop", "redirect:to=loop"),
    Case("an error that repeats the key", "echo", request_id=True),
)
