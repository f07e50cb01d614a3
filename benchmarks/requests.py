"""The requests of a first sync of the default streams, compared with the minimum that reads all their records."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

from benchmarks.common import ACCOUNT, Result, main, read
from sandbox import Sandbox
from sandbox.contract import Contract
from source_incident.streams import STREAMS
from source_incident.streams.base import IncidentStream, stream_name
from source_incident.streams.kinds import ChildStream

CONTRACT = Contract()
MODES = ("standard", "retrospective")


def minimum_requests(sandbox: Sandbox) -> int:
    """The minimum number of requests that read every record of the default streams.

    A list needs its number of pages, at least one, and mostly an empty page at its end. A child stream needs that for
    each parent. The nested column `attachments` needs one request per incident; `updates` and `actions` come from lists
    that are read anyway. The columns of alert routes and workflows that their lists leave out need one request per
    record.
    """
    modes = {incident["id"]: incident["mode"] for incident in sandbox.records("incidents")}
    incidents = {id_ for id_, mode in modes.items() if mode in MODES}
    total = len(incidents)  # the attachments
    for stream in STREAMS:
        if stream.selected_by_default:
            total += _of_stream(sandbox, stream, incidents)
            total += len(sandbox.records(stream_name(stream))) if stream.detail_columns else 0
    return total


def _of_stream(sandbox: Sandbox, stream: type[IncidentStream], incidents: set[str]) -> int:
    name = stream_name(stream)
    if issubclass(stream, ChildStream):
        parents = len(sandbox.records(stream_name(stream.parent)))
        if stream.page_size is None:
            return parents
        children = Counter(tuple(ids.values()) for ids in sandbox.snapshot(name)["parents"])
        return parents + sum(_pages(stream, count) - 1 for count in children.values())
    if stream.page_size is None:
        return 1
    records = sandbox.records(name)
    if name == "incidents":
        records = [record for record in records if record["id"] in incidents]
    elif name in ("actions", "follow_ups"):
        records = [record for record in records if record["incident_id"] in incidents]
    return _pages(stream, len(records))


def _pages(stream: type[IncidentStream], count: int) -> int:
    """The pages of a list. The last one with records has a cursor, so an empty one follows.

    It is not requested if the list reports its total and its last page is short (docs/api.md, pages).
    """
    size = stream.page_size or count
    is_proven = CONTRACT.endpoints[stream_name(stream)].has_total and count % size
    return max(1, math.ceil(count / size) + (count > 0 and not is_proven))


def measure() -> Iterator[Result]:
    for incidents in (50, 500, 5000):
        options = {name: count * incidents // 500 for name, count in ACCOUNT.items()}
        with Sandbox(process=True, **options) as sandbox:
            floor = minimum_requests(sandbox)
            sandbox.reset()
            read(sandbox)
            requests = sandbox.requests(log=False)["total"]
        yield Result(f"requests, {incidents} incidents", requests, floor, 1.03, "requests")


if __name__ == "__main__":
    main(measure)
