"""Assumptions about pages, page sizes and order."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from source_incident.api import ApiError, NotFoundError
from source_incident.config import DEFAULT_MODES
from source_incident.streams.page import Record, cursor_of
from source_incident.verify.account import MADE_UP_ID, Account, Answer
from source_incident.verify.assumption import (
    Assumption,
    Evidence,
    NotTriedError,
    Outcome,
    Result,
    plural,
)

# How many lists are read past their last page.
MAX_LAST_PAGES = 2
# Lists for the request of a single record, the ones that change least first.
SMALL_PAGE_STREAMS = ("users", "incident_updates", "escalations", "alerts", "incidents")
# By stream, the field that its list is sorted by, and whether the largest comes first (docs/api.md, order).
ORDERS = {
    "incidents": ("created_at", True),
    "actions": ("id", False),
    "follow_ups": ("id", False),
    "postmortem_documents": ("created_at", True),
    "workflow_runs": ("created_at", True),
    "pay_reports": ("created_at", True),
    "call_sessions": ("started_at", True),
}


def _shape(account: Account) -> Result:
    evidence = Evidence()
    for name, answer in account.answers():
        if not _has_unexpected_cursor(answer):
            evidence.expect(answer.page is not None, f"{name}: {answer.problem}")
    return evidence.result("no stream could be read")


def _unpaged(account: Account) -> Result:
    evidence = Evidence()
    for name, answer in account.answers():
        if answer.stream.page_size is None and answer.stream.after_parameter == "after":
            evidence.expect(not _has_unexpected_cursor(answer), f"{name}: the answer has a cursor")
    return evidence.result("no list without pages could be read")


def _has_unexpected_cursor(answer: Answer) -> bool:
    stream = answer.stream
    return stream.page_size is None and stream.after_parameter == "after" and bool(answer.meta.get("after"))


def _next_page(account: Account) -> Result:
    name, first = _small_page(account)
    if len(first.raw_records) != 1:
        raise NotTriedError(f"{name}: a page of one record can't be requested")
    if not first.page or not first.page.after:
        return Result(Outcome.FAILS, (f"{name}: a page of 1 record of a longer list has no after",))
    second = account.read(name, first.slice, first.page.after)
    if not second.records:
        return Result(Outcome.FAILS, (f"{name}: the page after the first record is empty",))
    if first.keys & second.keys:
        return Result(Outcome.FAILS, (f"{name}: the page after the first record has that record again",))
    return Result(Outcome.HOLDS)


def _small_page_size(account: Account) -> Result:
    name, answer = _small_page(account)
    evidence = Evidence()
    count = len(answer.raw_records)
    evidence.expect(count == 1, f"{name}: 1 record was requested, the API returns {count}")
    return evidence.result("")


def _small_page(account: Account) -> tuple[str, Answer]:
    """Request one record of a list that has more.

    Raises:
        NotTriedError: no such list could be read.
    """
    for name in SMALL_PAGE_STREAMS:
        found = account.first_pages.get(name)
        if name in account.selected and isinstance(found, Answer) and len(found.records) > 1:
            return name, account.read(name, {"modes": DEFAULT_MODES, "filters": {"page_size": 1}})
    raise NotTriedError(f"none of {', '.join(SMALL_PAGE_STREAMS)} has two records")


def _page_sizes(account: Account) -> Result:
    evidence = Evidence()
    for name, answer in account.answers():
        requested = answer.stream.page_size
        if requested is None:
            continue
        answered = answer.meta.get("page_size")
        text = f"{name}: {requested} records were requested"
        if isinstance(answered, int):
            evidence.expect(answered == requested, f"{text}, the API answers with a page_size of {answered}")
        count = len(answer.raw_records)
        evidence.expect(count <= requested, f"{text}, the API returns {count}")
    return evidence.result("no list with pages could be read")


def _last_page(account: Account) -> Result:
    with_after, without_after = [], 0
    evidence = Evidence()
    for name, answer in account.answers():
        if answer.page and answer.stream.page_size and answer.is_short and answer.stream.after_parameter == "after":
            if answer.page.after:
                with_after.append((name, answer))
            else:
                without_after += 1
                evidence.seen += 1
    if with_after or without_after:
        evidence.note(f"pages with fewer records than requested: {len(with_after)} with after, {without_after} without")
    with_after.sort(key=lambda item: not _reaches_total(item[1]))
    for name, answer in with_after[:MAX_LAST_PAGES]:
        after = answer.page.after if answer.page else None
        following = account.read(name, answer.slice, after)
        if following.records and _reaches_total(answer):
            evidence.expect(False, f"{name}: records follow the page that reaches total_record_count")
        else:
            evidence.seen += 1
            what = plural(len(following.records), "record") if following.records else "an empty page"
            evidence.note(f"{name}: {what} followed")
    return evidence.result("no list ended on its first page")


def _reaches_total(answer: Answer) -> bool:
    return answer.page is not None and answer.page.total == len(answer.raw_records)


def _unknown_cursor(account: Account) -> Result:
    account.first_page("workflow_runs")
    found = account.attempt("workflow_runs", {}, MADE_UP_ID)
    if isinstance(found, NotFoundError):
        return Result(Outcome.HOLDS)
    status = (found.status or 0) if isinstance(found, ApiError) else 200
    if not status or status >= 500:
        raise NotTriedError(account.reason(found))
    return Result(Outcome.FAILS, (f"workflow_runs: the API answers with {status}",))


def _totals(account: Account) -> Result:
    evidence = Evidence()
    for name, answer in account.answers():
        total = answer.page.total if answer.page else None
        if total is None:
            continue
        count = len(answer.raw_records)
        evidence.expect(total >= count, f"{name}: the total is {total}, the page has {count} records")
        if answer.page and answer.page.after is None and answer.is_short:
            evidence.expect(total <= count, f"{name}: the total is {total}, the list ends after {count} records")
    return evidence.result("no answer had a total_record_count")


def _order(account: Account) -> Result:
    evidence = Evidence()
    for name, answer in account.answers():
        if name not in ORDERS or len(answer.records) < 2:
            continue
        field, descending = ORDERS[name]
        values = list(_values(answer.records, field))
        direction = "descending" if descending else "ascending"
        in_order = values == sorted(values, reverse=descending)
        evidence.expect(in_order, f"{name}: the list is not sorted by {field}, {direction}")
    return evidence.result("no such list has two records")


def _values(records: list[Record], field: str) -> Iterator[Any]:
    for record in records:
        value: str | datetime | None = record.get(field) if field == "id" else cursor_of(record, field)
        if value is not None:
            yield value


ASSUMPTIONS = (
    Assumption("pages.shape", "Pages", "Each answer has its records where the document has them", _shape),
    Assumption(
        "pages.next", "Pages", "after leads to the next page, and no record comes twice", _next_page, requests=2
    ),
    Assumption(
        "pages.last",
        "Pages",
        "A list ends without after or with an empty page, and none goes on after its total",
        _last_page,
        requests=MAX_LAST_PAGES,
    ),
    Assumption("pages.total", "Pages", "total_record_count fits the number of records", _totals),
    Assumption(
        "pages.unknown_cursor", "Pages", "An after that names no record is answered with 404", _unknown_cursor, 1
    ),
    Assumption("pages.unpaged", "Pages", "A list that is documented without pages has no cursor", _unpaged),
    Assumption("page_sizes.maximum", "Page sizes", "The API accepts each stream's page_size", _page_sizes),
    Assumption("page_sizes.small", "Page sizes", "A page has as many records as requested", _small_page_size, 1),
    Assumption("order.documented", "Order", "Lists have the documented order", _order),
)
