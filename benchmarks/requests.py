"""How many requests a first sync of the default streams makes, against the pages that hold its records."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

from airbyte_cdk.sources.utils.casing import camel_to_snake

from benchmarks.common import ACCOUNT, Result, main, read
from sandbox import Sandbox
from source_incident.streams import STREAMS
from source_incident.streams.base import ChildStream, IncidentStream

MODES = ("standard", "retrospective")


def fewest(sandbox: Sandbox) -> int:
    """The fewest requests that bring every record of the default streams.

    A list of its own takes the pages that hold it, at least one. A list below another takes that for each parent. Of
    the nested columns of incidents, `updates` and `actions` lie in lists that are read anyway.
    """
    modes = {incident["id"]: incident["mode"] for incident in sandbox.records("incidents")}
    wanted = {id_ for id_, mode in modes.items() if mode in MODES}
    attachments = len(wanted)
    total = attachments
    for stream in STREAMS:
        if stream.selected_by_default:
            total += _of_stream(sandbox, stream, wanted)
    return total


def _of_stream(sandbox: Sandbox, stream: type[IncidentStream], incidents: set[str]) -> int:
    name = _name(stream)
    if issubclass(stream, ChildStream):
        parents = len(sandbox.records(_name(stream.parent)))
        if stream.page_size is None:
            return parents
        rows = Counter(tuple(ids.values()) for ids in sandbox.snapshot(name)["parents"])
        return parents + sum(math.ceil(count / stream.page_size) - 1 for count in rows.values())
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
            floor = fewest(sandbox)
            sandbox.reset()
            read(sandbox)
            made = sandbox.requests(log=False)["total"]
        yield Result(f"requests, {incidents} incidents", made, floor, 1.03, "requests")


if __name__ == "__main__":
    main(measure)
