"""The requests of a first sync of the default streams, compared with the minimum that reads all their records."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

from airbyte_cdk.sources.utils.casing import camel_to_snake

from benchmarks.common import ACCOUNT, Result, main, read
from sandbox import Sandbox
from source_incident.streams import STREAMS
from source_incident.streams.base import IncidentStream
from source_incident.streams.kinds import ChildStream

MODES = ("standard", "retrospective")


def minimum_requests(sandbox: Sandbox) -> int:
    """The minimum number of requests that read every record of the default streams.

    A list needs its number of pages, at least one. A child stream needs that for each parent. The nested column
    `attachments` needs one request per incident; `updates` and `actions` come from lists that are read anyway.
    """
    modes = {incident["id"]: incident["mode"] for incident in sandbox.records("incidents")}
    incidents = {id_ for id_, mode in modes.items() if mode in MODES}
    total = len(incidents)  # the attachments
    for stream in STREAMS:
        if stream.selected_by_default:
            total += _of_stream(sandbox, stream, incidents)
    return total


def _of_stream(sandbox: Sandbox, stream: type[IncidentStream], incidents: set[str]) -> int:
    name = _name(stream)
    if issubclass(stream, ChildStream):
        parents = len(sandbox.records(_name(stream.parent)))
        if stream.page_size is None:
            return parents
        children = Counter(tuple(ids.values()) for ids in sandbox.snapshot(name)["parents"])
        return parents + sum(math.ceil(count / stream.page_size) - 1 for count in children.values())
    if stream.page_size is None:
        return 1
    records = sandbox.records(name)
    if name == "incidents":
        records = [record for record in records if record["id"] in incidents]
    elif name in ("actions", "follow_ups"):
        records = [record for record in records if record["incident_id"] in incidents]
    return max(1, math.ceil(len(records) / stream.page_size))


def _name(stream: type[IncidentStream]) -> str:
    return str(camel_to_snake(stream.__name__))


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
