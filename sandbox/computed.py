"""Bodies that depend on the query, or that are no JSON: the availability of a component, the CSV of a pay report."""

from __future__ import annotations

import csv
import io

from sandbox import errors
from sandbox.filters import Query
from sandbox.ids import hash_text
from sandbox.lists import Record
from sandbox.times import DAY, format_moment, parse_moment

# Endpoints whose answers are computed from the query, or are no JSON.
COMPUTED = frozenset({"pay_report_lines", "status_page_component_availability"})
_MAX_WINDOW = 366 * DAY


def availability(parent_ids: tuple[str, ...], query: Query) -> Record:
    """The availability of a component of a status page in the window of the query."""
    moments: dict[str, int] = {}
    for name in ("start_at", "end_at"):
        if name not in query:
            raise errors.missing(name)
        moment = parse_moment(query[name][-1])
        if moment is None:
            raise errors.invalid(name, "must be an RFC 3339 timestamp")
        moments[name] = moment
    if not 0 < moments["end_at"] - moments["start_at"] <= _MAX_WINDOW:
        raise errors.invalid("end_at", "must be after start_at and at most 366 days later")
    page, component = parent_ids
    body = {
        "status_page_id": page,
        "component_id": component,
        "data_available_since": format_moment(moments["start_at"] - 400 * DAY),
        **{name: format_moment(moment) for name, moment in moments.items()},
    }
    share = hash_text(f"{component}{moments['start_at']}") % 1000
    return {"availability": body if share % 9 == 0 else {**body, "availability_percent": f"99.{share:03}"}}


def pay_report(users: list[Record]) -> bytes:
    """A pay report: one line per user, each value for people and as an integer. The real columns are not known."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["Name", "Email", "Total pay", "Total pay (minor units)", "On-call", "On-call (seconds)"])
    for user in users:
        hours = hash_text(user["id"]) % 100
        pay = f"£{hours * 10:,}.00"
        writer.writerow([user["name"], user.get("email"), pay, hours * 1000, f"{hours}h 0m", hours * 3600])
    return text.getvalue().encode()
