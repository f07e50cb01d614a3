"""Read the connector's streams with the CDK's concurrent source, for comparison with the sync engine.

Arguments: the number of workers and the names of the streams (none: the default streams). The settings come from the
environment. The last line of stderr is the processor time in seconds, without the imports.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Collection, Mapping
from typing import Any

from airbyte_cdk.entrypoint import AirbyteEntrypoint
from airbyte_cdk.models import ConfiguredAirbyteCatalog, ConfiguredAirbyteStream, DestinationSyncMode, SyncMode
from airbyte_cdk.sources.concurrent_source.concurrent_source import ConcurrentSource
from airbyte_cdk.sources.concurrent_source.concurrent_source_adapter import ConcurrentSourceAdapter
from airbyte_cdk.sources.message import InMemoryMessageRepository
from airbyte_cdk.sources.streams import Stream
from airbyte_cdk.sources.streams.concurrent.adapters import StreamFacade
from airbyte_cdk.sources.streams.concurrent.cursor import FinalStateCursor
from airbyte_cdk.sources.utils.slice_logger import DebugSliceLogger

from source_incident import config
from source_incident.connector import Connector
from source_incident.source import SourceIncident

logger = logging.getLogger("airbyte")


class ConcurrentSourceIncident(ConcurrentSourceAdapter):
    """SourceIncident's streams in the CDK's concurrent source."""

    def __init__(self, workers: int, names: Collection[str]) -> None:
        self._messages = InMemoryMessageRepository()
        self._names = names
        super().__init__(
            ConcurrentSource.create(workers, max(1, workers // 2), logger, DebugSliceLogger(), self._messages)
        )

    @property
    def message_repository(self) -> InMemoryMessageRepository:
        return self._messages

    def check_connection(self, logger: logging.Logger, config: Mapping[str, Any]) -> tuple[bool, None]:
        return True, None

    def streams(self, config: Mapping[str, Any]) -> list[Stream]:
        return [
            StreamFacade.create_from_stream(
                stream, self, logger, None, FinalStateCursor(stream.name, None, self._messages)
            )
            for stream in SourceIncident().streams(config)
            if stream.name in self._names
        ]


def main(workers: int, names: list[str]) -> None:
    settings = config.load("ENV")
    names = names or [item.stream.name for item in Connector().default_catalog(settings).streams]
    source = ConcurrentSourceIncident(workers, names)
    catalog = ConfiguredAirbyteCatalog(
        streams=[
            ConfiguredAirbyteStream(
                stream=stream.as_airbyte_stream(),
                sync_mode=SyncMode.full_refresh,
                destination_sync_mode=DestinationSyncMode.overwrite,
            )
            for stream in source.streams(settings)
        ]
    )
    with os.fdopen(1, "w", buffering=1 << 16, closefd=False) as out:
        for message in source.read(logger, settings, catalog):
            out.write(AirbyteEntrypoint.airbyte_message_to_string(message))
            out.write("\n")


if __name__ == "__main__":
    imports_seconds = time.process_time()
    main(int(sys.argv[1]), sys.argv[2:])
    print(time.process_time() - imports_seconds, file=sys.stderr)
