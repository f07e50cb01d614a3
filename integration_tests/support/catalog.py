"""Catalogs in the format of either protocol."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from integration_tests.support.tap import AIRBYTE

GO_TAP_STREAMS = (
    "incidents",
    "actions",
    "follow_ups",
    "incident_updates",
    "incident_roles",
    "incident_statuses",
    "incident_timestamps",
    "incident_types",
    "severities",
    "custom_fields",
    "custom_field_options",
    "users",
    "escalations",
    "alerts",
    "alert_attributes",
    "alert_sources",
)


class Catalog:
    """The discovered streams, and catalogs that select some of them."""

    def __init__(self, airbyte: Mapping[str, Any], singer: Mapping[str, Any]) -> None:
        self.airbyte = {stream["name"]: stream for stream in airbyte["streams"]}
        self.singer = {entry["tap_stream_id"]: entry for entry in singer["streams"]}
        self.keys: dict[str, list[str]] = {
            name: [path[0] for path in stream["source_defined_primary_key"]] for name, stream in self.airbyte.items()
        }
        self.incremental = {
            name for name, stream in self.airbyte.items() if "incremental" in stream["supported_sync_modes"]
        }

    @property
    def by_default(self) -> list[str]:
        """Names of the streams that are read when no catalog is given."""
        return [
            name
            for name, entry in self.singer.items()
            if entry["metadata"][0]["metadata"]["selected-by-default"] is True
        ]

    def of(
        self,
        protocol: str,
        streams: Iterable[str],
        *,
        full: Iterable[str] = (),
        without: Mapping[str, Sequence[str]] | None = None,
        incremental: Iterable[str] = (),
    ) -> dict[str, Any]:
        """Return a catalog that selects some streams.

        Args:
            protocol: the catalog's format.
            streams: names of the streams.
            full: streams to read in full although they support incremental reads.
            without: columns that are not selected, by stream.
            incremental: streams to read incrementally, even if they don't support it.
        """
        make = self._airbyte if protocol == AIRBYTE else self._singer
        return make(list(streams), set(full), without or {}, set(incremental))

    def _airbyte(
        self, names: list[str], full: set[str], without: Mapping[str, Sequence[str]], incremental: set[str]
    ) -> dict[str, Any]:
        configured = []
        for name in names:
            stream = json.loads(json.dumps(self.airbyte[name]))
            for column in without.get(name, ()):
                del stream["json_schema"]["properties"][column]
            is_incremental = name in incremental or (name in self.incremental and name not in full)
            configured.append(
                {
                    "stream": stream,
                    "sync_mode": "incremental" if is_incremental else "full_refresh",
                    "destination_sync_mode": "append_dedup",
                }
            )
        return {"streams": configured}

    def _singer(
        self, names: list[str], full: set[str], without: Mapping[str, Sequence[str]], incremental: set[str]
    ) -> dict[str, Any]:
        entries = json.loads(json.dumps(list(self.singer.values())))
        for entry in entries:
            name = entry["tap_stream_id"]
            stream_metadata = entry["metadata"][0]["metadata"]
            stream_metadata["selected"] = name in names
            if name in full:
                stream_metadata["replication-method"] = "FULL_TABLE"
            elif name in incremental:
                stream_metadata["replication-method"] = "INCREMENTAL"
            for item in entry["metadata"][1:]:
                if item["breadcrumb"][1] in without.get(name, ()):
                    item["metadata"]["selected"] = False
        return {"streams": entries}
