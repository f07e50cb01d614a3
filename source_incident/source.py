"""SourceIncident: spec, check, discover and read, as the Airbyte CDK calls them."""

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from airbyte_cdk.models import (
    AirbyteConnectionStatus,
    AirbyteMessage,
    AirbyteStateBlob,
    AirbyteStateMessage,
    AirbyteStateStats,
    AirbyteStateType,
    AirbyteStreamState,
    AirbyteTraceMessage,
    ConfiguredAirbyteCatalog,
    ConnectorSpecification,
    FailureType,
    Status,
    StreamDescriptor,
    Type,
)
from airbyte_cdk.sources import AbstractSource
from airbyte_cdk.sources.streams import Stream
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_incident.batches import Message, RecordBatch, StateUpdate
from source_incident.cdk_streams import CdkStream
from source_incident.check import check_key
from source_incident.config import DOCUMENTATION_URL, connection_specification
from source_incident.connector import Connector
from source_incident.errors import InputError
from source_incident.messages import ReadFailed


class SourceIncident(AbstractSource):
    """The source.

    Args:
        connector: reads the streams.
    """

    def __init__(self, connector: Connector | None = None) -> None:
        self._connector = connector or Connector()

    @property
    def name(self) -> str:
        return "source-incident"

    def spec(self, logger: logging.Logger) -> ConnectorSpecification:
        return ConnectorSpecification(
            connectionSpecification=connection_specification(),
            documentationUrl=DOCUMENTATION_URL,
            supported_destination_sync_modes=[],
        )

    def streams(self, config: Mapping[str, Any]) -> list[Stream]:
        return [CdkStream(stream) for stream in self._connector.streams(config).values()]

    def check(self, logger: logging.Logger, config: Mapping[str, Any]) -> AirbyteConnectionStatus:
        return check_key(logger, config)

    def check_connection(self, logger: logging.Logger, config: Mapping[str, Any]) -> tuple[bool, str | None]:
        status = check_key(logger, config)
        return status.status == Status.SUCCEEDED, status.message

    def read(
        self,
        logger: logging.Logger,
        config: Mapping[str, Any],
        catalog: ConfiguredAirbyteCatalog,
        state: list[AirbyteStateMessage] | None = None,
    ) -> Iterator[AirbyteMessage]:
        """Read the catalog's streams, with one message per record.

        Raises:
            AirbyteTracedException: the config, the catalog or the state is not valid, or streams failed.
            Interrupted: the token was cancelled.
        """
        try:
            for message in self._connector.read(logger, config, catalog, _states_by_stream(state or [])):
                yield from _cdk_messages(message)
        except InputError as error:
            raise AirbyteTracedException(
                message=str(error), internal_message=str(error), failure_type=FailureType.config_error
            ) from None
        except ReadFailed as error:
            raise AirbyteTracedException(
                message=error.message, internal_message=error.message, failure_type=error.failure_type
            ) from None


def _cdk_messages(message: Message) -> Iterator[AirbyteMessage]:
    """Convert what a read yields to messages of the CDK, which has classes of its own for messages and states."""
    if isinstance(message, RecordBatch):
        for record in message.messages():
            yield AirbyteMessage(type=Type.RECORD, record=record)
    elif isinstance(message, StateUpdate):
        yield AirbyteMessage(
            type=Type.STATE,
            state=AirbyteStateMessage(
                type=AirbyteStateType.STREAM,
                stream=AirbyteStreamState(
                    stream_descriptor=StreamDescriptor(name=message.stream),
                    stream_state=AirbyteStateBlob(dict(message.state)),  # type: ignore[call-arg]  # it takes any
                ),
                sourceStats=AirbyteStateStats(recordCount=float(message.records)),
            ),
        )
    elif isinstance(message, AirbyteTraceMessage):
        yield AirbyteMessage(type=Type.TRACE, trace=message)


def _states_by_stream(state: list[AirbyteStateMessage]) -> dict[str, Mapping[str, Any]]:
    states: dict[str, Mapping[str, Any]] = {}
    for message in state:
        if message.type != AirbyteStateType.STREAM or not message.stream:
            raise InputError("state", "only state messages of type STREAM are supported", "Start without the state")
        blob = message.stream.stream_state
        states[message.stream.stream_descriptor.name] = dict(vars(blob)) if blob else {}
    return states
