"""The lower bound of `benchmarks/processor.py`: read a list and write its records with only requests and orjson.

Arguments: the stream, the endpoint and the key. The last line of stderr is the processor time in seconds, without the
imports.
"""

from __future__ import annotations

import os
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import orjson
import requests

CATEGORIES = ("triage", "live", "learning", "paused", "closed", "declined", "canceled", "merged")


def main(stream: str, endpoint: str, key: str) -> None:
    session = requests.Session()
    session.trust_env = False
    session.headers["Authorization"] = f"Bearer {key}"

    def get(path: str, **query: Any) -> Any:
        response = session.get(endpoint + path, params=query)
        response.raise_for_status()
        return orjson.loads(response.content)

    def pages(path: str, records_key: str, **query: Any) -> Iterator[list[dict[str, Any]]]:
        while True:
            body = get(path, page_size=250, **query)
            yield body[records_key]
            query["after"] = body["pagination_meta"].get("after")
            if not query["after"]:
                return

    def by_incident(path: str, records_key: str) -> dict[str, list[dict[str, Any]]]:
        grouped = defaultdict(list)
        for page in pages(path, records_key):
            for record in page:
                grouped[record["incident_id"]].append(record)
        return grouped

    with os.fdopen(1, "wb", buffering=1 << 16, closefd=False) as out:

        def write(records: list[dict[str, Any]]) -> None:
            for data in records:
                record = {"stream": stream, "data": data, "emitted_at": 0}
                out.write(orjson.dumps({"type": "RECORD", "record": record}, option=orjson.OPT_APPEND_NEWLINE))

        if stream != "incidents":
            for page in pages(f"/v2/{stream}", stream):
                write(page)
            return
        updates = by_incident("/v2/incident_updates", "incident_updates")
        actions = by_incident("/v3/actions", "actions")
        modes = ("standard", "retrospective")
        query = {"status_category[one_of]": CATEGORIES, "mode[one_of]": modes}
        for page in pages("/v2/incidents", "incidents", **query):
            for incident in page:
                id_ = incident["id"]
                body = get("/v1/incident_attachments", incident_id=id_)
                incident["attachments"] = body["incident_attachments"] or None
                incident["updates"] = updates.get(id_)
                incident["actions"] = actions.get(id_)
            write(page)


if __name__ == "__main__":
    imports_seconds = time.process_time()
    main(*sys.argv[1:])
    print(time.process_time() - imports_seconds, file=sys.stderr)
