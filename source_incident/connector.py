"""Discovers and reads streams, for both protocols. It needs no CDK, so it starts fast."""

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Set
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from airbyte_protocol_dataclasses.models import (
    AirbyteCatalog,
    AirbyteStream,
    ConfiguredAirbyteCatalog,
    ConfiguredAirbyteStream,
    DestinationSyncMode,
    SyncMode,
)

from source_incident.api import Client
from source_incident.batches import Message
from source_incident.cancellation import CancellationToken
from source_incident.config import Config, endpoint_notice
from source_incident.connection import check_environment, make_client, make_streams
from source_incident.display import Show, no_display
from source_incident.messages import MessageConverter
from source_incident.projection import UNDECLARED, Projection
from source_incident.protocol import check_stream_name
from source_incident.streams import STREAMS
from source_incident.streams.base import IncidentStream, stream_name
from source_incident.streams.kinds import ChildStream
from source_incident.sync import Records, SelectedStream, Sync
from source_incident.sync.state import StreamState
from source_incident.sync.stats import SyncStats


class Connector:
    """The connector.

    Args:
        optional: names of streams that the user did not select. Where the key may not read one of them, it is left out
            with a warning, and the sync does not fail.
        show: displays the progress of a read.
        cancellation: ends a read when it is cancelled. Everything emitted so far is valid.
        client_factory: makes the client of a read.
        sync_factory: makes the sync of a read.
    """

    def __init__(
        self,
        optional: Collection[str] = (),
        show: Show = no_display,
        cancellation: CancellationToken | None = None,
        client_factory: Callable[..., Client] = make_client,
        sync_factory: Callable[..., Sync] = Sync,
    ) -> None:
        self._optional = frozenset(optional)
        self._show = show
        self._cancellation = cancellation or CancellationToken()
        self._make_client = client_factory
        self._make_sync = sync_factory

    def streams(self, config: Mapping[str, Any]) -> dict[str, IncidentStream]:
        """All streams, by name.

        Raises:
            InputError: the config is not valid.
        """
        parsed = Config.parse(config)
        return make_streams(parsed, make_client(parsed))

    def discover(self, config: Mapping[str, Any]) -> AirbyteCatalog:
        """The catalog of all streams.

        Raises:
            InputError: the config is not valid.
        """
        return AirbyteCatalog([stream.as_airbyte_stream() for stream in self.streams(config).values()])

    def default_catalog(self, config: Mapping[str, Any]) -> ConfiguredAirbyteCatalog:
        """The catalog of the streams that are selected by default, incremental where possible.

        Raises:
            InputError: the config is not valid.
        """
        return ConfiguredAirbyteCatalog(
            streams=[
                ConfiguredAirbyteStream(
                    stream=stream.as_airbyte_stream(),
                    sync_mode=SyncMode.incremental if stream.supports_incremental else SyncMode.full_refresh,
                    destination_sync_mode=DestinationSyncMode.append_dedup,
                )
                for stream in self.streams(config).values()
                if stream.selected_by_default
            ]
        )

    def deselected_by_default(self) -> frozenset[str]:
        """The names of the streams that are not read unless a catalog selects them."""
        return frozenset(stream_name(stream) for stream in STREAMS if not stream.selected_by_default)

    def stream_names(self) -> frozenset[str]:
        """The names of all streams."""
        return frozenset(stream_name(stream) for stream in STREAMS)

    def bookmark_keys(self, config: Mapping[str, Any]) -> dict[str, str]:
        """The key of the bookmark in the state, by incremental stream.

        Raises:
            InputError: the config is not valid.
        """
        return {name: stream.bookmark_key for name, stream in self.streams(config).items() if stream.bookmark_key}

    def read(
        self,
        logger: logging.Logger,
        config: Mapping[str, Any],
        catalog: ConfiguredAirbyteCatalog,
        states: Mapping[str, Mapping[str, Any]],
    ) -> Iterator[Message]:
        """Read the catalog's streams concurrently.

        Args:
            logger: takes notices, warnings and a line for each stream that ends.
            config: the settings.
            catalog: the streams.
            states: the state of each stream that has one.

        Yields:
            Batches of records; a stream's state after the records that it covers; stream statuses; an estimate for
            each stream whose total the API reports; a trace for each stream that failed; a CompleteVersion after each
            full read without a gap.

        Raises:
            InputError: the config, the environment, the catalog or the state is not valid.
            ReadFailed: at the end, if streams failed.
            Interrupted: the token was cancelled.
        """
        parsed = Config.parse(config)
        check_environment(parsed)
        client = self._make_client(parsed, cancellation=self._cancellation.child())
        streams = make_streams(parsed, client)
        selected = self._select(parsed, streams, catalog, states)
        projections = _projections(streams, catalog)
        if notice := endpoint_notice(config):
            logger.info(notice)
        stats = SyncStats(client, len(selected))
        converter = MessageConverter(catalog, logger)
        display = ExitStack()
        try:
            display.enter_context(self._show(stats))
            for event in self._make_sync(client, parsed, streams, selected, self._cancellation).run():
                if isinstance(event, Records):
                    event = replace(event, records=projections[event.stream].project(event.records))
                yield from converter.to_messages(event, stats.add(event))
        finally:
            display.close()
            client.close()
            logger.info("Summary: %s", stats.summary())
        converter.raise_for_failures()

    def _select(
        self,
        config: Config,
        streams: Mapping[str, IncidentStream],
        catalog: ConfiguredAirbyteCatalog,
        states: Mapping[str, Mapping[str, Any]],
    ) -> list[SelectedStream]:
        selected: dict[str, SelectedStream] = {}
        for configured in catalog.streams:
            name = configured.stream.name
            check_stream_name(name, streams, selected)
            stream = streams[name]
            # PyAirbyte requests incremental for every stream. As in the CDK, a stream without a cursor is read in full.
            incremental = configured.sync_mode == SyncMode.incremental and stream.supports_incremental
            selected[name] = SelectedStream(
                stream,
                _stream_state(stream, config, incremental, states.get(name)),
                nested=_nested_columns(stream, configured.stream),
                optional=name in self._optional,
                has_foreign_catalog=UNDECLARED not in _columns(configured.stream),
            )
        return list(selected.values())


def _projections(streams: Mapping[str, IncidentStream], catalog: ConfiguredAirbyteCatalog) -> dict[str, Projection]:
    return {
        name: Projection(name, configured.stream.json_schema or {}, streams[name].get_json_schema())
        for configured in catalog.streams
        for name in (configured.stream.name,)
    }


def _nested_columns(stream: IncidentStream, configured: AirbyteStream) -> frozenset[str]:
    """The nested columns and the detail columns in the catalog's schema. One without columns selects all of them."""
    columns = _columns(configured)
    requested = frozenset(stream.nested) | frozenset(stream.detail_columns)
    return requested & columns if columns else requested


def _columns(configured: AirbyteStream) -> Set[str]:
    properties = (configured.json_schema or {}).get("properties")
    return properties.keys() if isinstance(properties, Mapping) else frozenset()


def _stream_state(
    stream: IncidentStream, config: Config, incremental: bool, state: Mapping[str, Any] | None
) -> StreamState:
    root = stream.root() if isinstance(stream, ChildStream) else stream
    modes = config.incident_modes if root.mode_parameter else ("",)
    return StreamState(stream.name, stream.bookmark_key if incremental else None, modes, state)
