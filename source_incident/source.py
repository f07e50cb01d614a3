"""SourceIncident: spec, check, discover and read, as the Airbyte CDK calls them."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, TypeVar

from airbyte_cdk.models import (
    AirbyteConnectionStatus,
    AirbyteEstimateTraceMessage,
    AirbyteMessage,
    AirbyteStateBlob,
    AirbyteStateMessage,
    AirbyteStateStats,
    AirbyteStateType,
    AirbyteStream,
    AirbyteStreamState,
    AirbyteStreamStatus,
    AirbyteTraceMessage,
    ConfiguredAirbyteCatalog,
    ConfiguredAirbyteStream,
    ConnectorSpecification,
    DestinationSyncMode,
    EstimateType,
    FailureType,
    Status,
    StreamDescriptor,
    SyncMode,
    TraceType,
    Type,
)
from airbyte_cdk.sources import AbstractSource
from airbyte_cdk.sources.streams import Stream
from airbyte_cdk.sources.utils.casing import camel_to_snake
from airbyte_cdk.utils.stream_status_utils import as_airbyte_message as status_message
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_incident.api import (
    ApiError,
    AuthenticationError,
    Client,
    ForbiddenError,
    NotFoundError,
    TransientError,
    UnreachableError,
)
from source_incident.batches import RecordBatch
from source_incident.config import (
    DEFAULT_MODES,
    DOCUMENTATION_URL,
    Config,
    ConfigError,
    connection_specification,
)
from source_incident.display import Show, SyncStats, nothing
from source_incident.streams import STREAMS
from source_incident.streams.base import ChildStream, IncidentStream, Page
from source_incident.sync import (
    Checkpoint,
    Expected,
    Failed,
    Finished,
    LeftOut,
    Records,
    Selected,
    Started,
    Sync,
)
from source_incident.sync.state import StateError, StreamState
from source_incident.version import version

T = TypeVar("T")

# What the CDK writes as the state of a stream that was read in full and has no cursor.
NO_CURSOR_STATE = {"__ab_no_cursor_state_message": True}
# A check answers while somebody waits: it tries again less often than a sync.
CHECK_RETRIES = 2
# What the platform is told of a run whose streams failed for several reasons.
GRAVEST_FIRST = (FailureType.system_error, FailureType.config_error, FailureType.transient_error)


@dataclass(frozen=True)
class Survey:
    """What a key can read of the default streams.

    Attributes:
        key: the name that the organisation gave the key; empty: none.
        first_pages: by stream, the first page of its list; not of those that are read once a record of another.
        refused: by stream, why it can't be read.
    """

    key: str
    first_pages: Mapping[str, Page]
    refused: Mapping[str, ApiError]


class SourceIncident(AbstractSource):
    """The source.

    Args:
        optional: names of streams that nobody chose: where the key may not read one of them, it is left out with a
            warning instead of failing the sync.
        show: shows how far a read is.
    """

    def __init__(self, optional: Collection[str] = (), show: Show = nothing) -> None:
        self._optional = frozenset(optional)
        self._show = show
        self._sync: Sync | None = None
        self._stopped = False

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
        return list(self._streams(_parsed(config)).values())

    def check(self, logger: logging.Logger, config: Mapping[str, Any]) -> AirbyteConnectionStatus:
        succeeded, message = self.check_connection(logger, config)
        if succeeded:
            return AirbyteConnectionStatus(status=Status.SUCCEEDED)
        return AirbyteConnectionStatus(status=Status.FAILED, message=str(message))

    def check_connection(self, logger: logging.Logger, config: Mapping[str, Any]) -> tuple[bool, str | None]:
        """Sees whether the key is valid and can read incidents.

        Returns:
            Whether it can; and if not, what is wrong and what to do, in one line.
        """
        try:
            parsed = Config.parse(config)
            client = _client(parsed, retries=min(CHECK_RETRIES, parsed.max_retries))
            if name := _key_name(client):
                logger.info("The API key is %r", name)
            refused = _refusal(client, "/v2/incidents")
            asked = self._ask_lists(parsed, client, IncidentStream.probe)
        except (ConfigError, ApiError) as error:
            return False, str(error)
        if refused:
            others = [name for name, answer in asked.items() if isinstance(answer, ForbiddenError)]
            also = f". Nor can it read these: {', '.join(name for name in others if name != 'incidents')}"
            return False, f"{refused}{also if len(others) > 1 else ''}"
        for name, answer in asked.items():
            if isinstance(answer, ForbiddenError):
                logger.warning("%s can't be read, a sync leaves it out where nobody chose it: %s", name, answer)
            elif isinstance(answer, ApiError):
                logger.warning("%s could not be tried: %s", name, answer)
        return True, None

    def survey(self, config: Mapping[str, Any]) -> Survey:
        """What a key can read of the default streams, and how much there is: one request for each list.

        Raises:
            ConfigError: the config can't be used.
            ApiError: the key is not accepted, or the API does not answer.
        """
        parsed = Config.parse(config)
        client = _client(parsed, retries=min(CHECK_RETRIES, parsed.max_retries))
        name = _key_name(client)
        asked = self._ask_lists(parsed, client, _first_page)
        return Survey(
            key=name,
            first_pages={stream: answer for stream, answer in asked.items() if isinstance(answer, Page)},
            refused={stream: answer for stream, answer in asked.items() if isinstance(answer, ApiError)},
        )

    def _ask_lists(self, config: Config, client: Client, ask: Callable[[IncidentStream], T]) -> dict[str, T | ApiError]:
        """Asks something of each default stream, side by side, and ends the client.

        Returns:
            By stream, the answer or why there is none; nothing where the account has no such feature.
        """
        streams = [stream for stream in self._streams(config, client).values() if stream.selected_by_default]
        answers: dict[str, T | ApiError] = {}
        executor = ThreadPoolExecutor(config.num_workers)
        try:
            for stream, answer in [(stream, executor.submit(ask, stream)) for stream in streams]:
                try:
                    answers[stream.name] = answer.result()
                except NotFoundError:
                    pass
                except ApiError as error:
                    answers[stream.name] = error
        finally:
            # Whoever interrupts it waits for no answer.
            client.stop()
            executor.shutdown(wait=False, cancel_futures=True)
        return answers

    def default_catalog(self, config: Mapping[str, Any]) -> ConfiguredAirbyteCatalog:
        """The catalog of all streams that are on by default, incremental where they can be."""
        return ConfiguredAirbyteCatalog(
            streams=[
                ConfiguredAirbyteStream(
                    stream=stream.as_airbyte_stream(),
                    sync_mode=SyncMode.incremental if stream.supports_incremental else SyncMode.full_refresh,
                    destination_sync_mode=DestinationSyncMode.append_dedup,
                )
                for stream in self._streams(_parsed(config)).values()
                if stream.selected_by_default
            ]
        )

    def off_by_default(self) -> frozenset[str]:
        """The streams that are not read where nobody chose."""
        return frozenset(_name(stream) for stream in STREAMS if not stream.selected_by_default)

    def names(self) -> frozenset[str]:
        """All streams there are."""
        return frozenset(_name(stream) for stream in STREAMS)

    def bookmark_keys(self, config: Mapping[str, Any]) -> dict[str, str]:
        """By incremental stream, the name of the bookmark in its state."""
        streams = self._streams(_parsed(config))
        return {name: stream.bookmark_key for name, stream in streams.items() if stream.bookmark_key}

    def stop(self) -> None:
        """Ends a read that is under way; what it emitted stays true. May be called from a signal handler."""
        self._stopped = True
        if self._sync:
            self._sync.stop()

    def read(
        self,
        logger: logging.Logger,
        config: Mapping[str, Any],
        catalog: ConfiguredAirbyteCatalog,
        state: list[AirbyteStateMessage] | None = None,
    ) -> Iterator[AirbyteMessage]:
        """Reads the catalog's streams side by side: `read_in_batches`, each record a message of its own."""
        for item in self.read_in_batches(logger, config, catalog, state):
            if isinstance(item, RecordBatch):
                yield from item.messages()
            else:
                yield item

    def read_in_batches(
        self,
        logger: logging.Logger,
        config: Mapping[str, Any],
        catalog: ConfiguredAirbyteCatalog,
        state: list[AirbyteStateMessage] | None = None,
    ) -> Iterator[AirbyteMessage | RecordBatch]:
        """Reads the catalog's streams side by side.

        Yields:
            Records, in batches; a stream's state after the records that it is true of; stream statuses; an estimate for
            each stream whose total the API tells; a trace for each stream that failed.

        Raises:
            AirbyteTracedException: the config, the catalog or the state can't be used, or, at the end, streams failed.
            Interrupted: `stop` was called.
        """
        parsed = _parsed(config)
        client = _client(parsed)
        streams = self._streams(parsed, client)
        selected = self._selection(parsed, streams, catalog, state or [])
        descriptors = {item.stream.name: item.stream for item in catalog.streams}
        counts: Counter[str] = Counter()
        states: dict[str, Mapping[str, Any]] = {}
        failed: dict[str, FailureType] = {}
        left_out: dict[str, str] = {}
        common: ApiError | None = None
        stats = SyncStats(client, len(selected))
        self._sync = Sync(client, parsed, streams, selected)
        if self._stopped:
            self._sync.stop()
        display = ExitStack()
        try:
            display.enter_context(self._show(stats))
            for event in self._sync.run():
                name, stream = event.stream, stats.take(event)
                match event:
                    case Records():
                        if stream.records == len(event.records):
                            yield status_message(descriptors[name], AirbyteStreamStatus.RUNNING)
                        counts[name] += len(event.records)
                        yield RecordBatch(name, event.records, int(time.time() * 1000))
                    case Checkpoint():
                        states[name] = event.state
                        yield _state_message(name, event.state, counts.pop(name, 0))
                    case Expected():
                        yield _estimate(name, stream.total)
                    case Started():
                        yield status_message(descriptors[name], AirbyteStreamStatus.STARTED)
                    case Finished():
                        if counts[name] or not streams[name].supports_incremental:
                            # What hangs below open records comes after the last checkpoint, and needs none.
                            yield _state_message(name, states.get(name, NO_CURSOR_STATE), counts.pop(name, 0))
                        logger.info("%s: %d records", name, stream.records)
                        yield status_message(descriptors[name], AirbyteStreamStatus.COMPLETE)
                    case LeftOut():
                        left_out[name] = event.reason
                        logger.warning("%s is left out: %s", name, event.reason)
                    case Failed():
                        failed[name] = _failure_type(event.error)
                        logger.debug("%s failed", name, exc_info=event.error)
                        yield status_message(descriptors[name], AirbyteStreamStatus.INCOMPLETE)
                        if isinstance(event.error, AuthenticationError | UnreachableError):
                            # It is the same for every stream: said once, at the end.
                            common = event.error
                        else:
                            yield _traced(name, event.error).as_airbyte_message()
        finally:
            display.close()
            client.close()
            logger.info("Summary: %s", stats.summary())
        if common:
            raise AirbyteTracedException(
                message=common.message, internal_message=common.message, failure_type=_failure_type(common)
            )
        if left_out and len(left_out) == len(selected):
            raise _config_error(
                "no stream could be read. Check the setting endpoint and the scopes of the key. The first: "
                f"{next(iter(left_out.values()))}"
            )
        if failed:
            raise AirbyteTracedException(
                message=f"These streams could not be read: {', '.join(failed)}. What is wrong with each is told above",
                failure_type=next(kind for kind in GRAVEST_FIRST if kind in failed.values()),
            )

    def _streams(self, config: Config, client: Client | None = None) -> dict[str, IncidentStream]:
        client = client or _client(config)
        streams = (stream(client, config) for stream in STREAMS)
        return {stream.name: stream for stream in streams}

    def _selection(
        self,
        config: Config,
        streams: Mapping[str, IncidentStream],
        catalog: ConfiguredAirbyteCatalog,
        state: list[AirbyteStateMessage],
    ) -> list[Selected]:
        states = _stream_states(state)
        selected: dict[str, Selected] = {}
        for configured in catalog.streams:
            name = configured.stream.name
            stream = streams.get(name)
            if stream is None:
                raise _config_error(
                    f"catalog: there is no stream {name!r}. Run discover again and take it out of the catalog"
                )
            if name in selected:
                raise _config_error(f"catalog: the stream {name!r} is there twice. Leave one of them")
            # PyAirbyte asks for every stream incrementally; as the CDK does, what can't be is read in full.
            incremental = configured.sync_mode == SyncMode.incremental and stream.supports_incremental
            selected[name] = Selected(
                stream,
                incremental,
                nested=_nested_columns(stream, configured.stream),
                optional=name in self._optional,
                progress=_progress(stream, streams, config, states.get(name)) if incremental else None,
            )
        return list(selected.values())


def _key_name(client: Client) -> str:
    """The name that the organisation gave the key: any key may ask for it.

    Raises:
        ApiError: the key is not accepted, or the API does not answer.
    """
    try:
        identity = client.get("/v1/identity").body.get("identity")
    except TransientError as error:
        if client.answers:
            raise
        raise UnreachableError(client.endpoint, error) from None
    name = identity.get("name") if isinstance(identity, dict) else None
    return client.scrub(name) if isinstance(name, str) else ""


def _refusal(client: Client, path: str) -> ForbiddenError | None:
    """Why the key may not read a list; None: it may.

    Raises:
        ApiError: the list can't be asked for another reason.
    """
    try:
        client.get(path, {"page_size": 1})
    except ForbiddenError as error:
        return error
    return None


def _first_page(stream: IncidentStream) -> Page | None:
    """The first page of a list; None of one of many lists, which is only tried."""
    if isinstance(stream, ChildStream):
        stream.probe()
        return None
    return stream.read_page({"modes": DEFAULT_MODES}, None)


def _name(stream: type[IncidentStream]) -> str:
    return str(camel_to_snake(stream.__name__))


def _parsed(config: Mapping[str, Any]) -> Config:
    try:
        return Config.parse(config)
    except ConfigError as error:
        raise _config_error(str(error)) from None


def _client(config: Config, retries: int | None = None) -> Client:
    return Client(
        endpoint=config.endpoint,
        api_key=config.api_key,
        user_agent=f"tap-incident/{version()}",
        request_timeout=config.request_timeout,
        max_retries=config.max_retries if retries is None else retries,
        connections=config.num_workers,
    )


def _nested_columns(stream: IncidentStream, configured: AirbyteStream) -> frozenset[str]:
    """The nested columns that the catalog has; a catalog without columns means all of them."""
    properties = (configured.json_schema or {}).get("properties")
    if not isinstance(properties, Mapping) or not properties:
        return frozenset(stream.nested)
    return frozenset(stream.nested) & properties.keys()


def _progress(
    stream: IncidentStream,
    streams: Mapping[str, IncidentStream],
    config: Config,
    state: Mapping[str, Any] | None,
) -> StreamState:
    root: type[IncidentStream] = type(stream)
    while issubclass(root, ChildStream):
        root = root.parent
    modes = config.incident_modes if root.mode_parameter else ("",)
    try:
        return StreamState(stream.name, str(stream.bookmark_key), modes, state)
    except StateError as error:
        raise _config_error(
            f"state: the state of the stream {stream.name!r} can't be understood: {error}. Take it out of the state "
            "to read the stream from the start"
        ) from None


def _stream_states(state: list[AirbyteStateMessage]) -> dict[str, Mapping[str, Any]]:
    states: dict[str, Mapping[str, Any]] = {}
    for message in state:
        if message.type != AirbyteStateType.STREAM or not message.stream:
            raise _config_error("state: only state by stream is understood (type STREAM). Start without the state")
        blob = message.stream.stream_state
        states[message.stream.stream_descriptor.name] = dict(vars(blob)) if blob else {}
    return states


def _state_message(stream: str, state: Mapping[str, Any], count: int) -> AirbyteMessage:
    return AirbyteMessage(
        type=Type.STATE,
        state=AirbyteStateMessage(
            type=AirbyteStateType.STREAM,
            stream=AirbyteStreamState(
                stream_descriptor=StreamDescriptor(name=stream),
                stream_state=AirbyteStateBlob(dict(state)),
            ),
            sourceStats=AirbyteStateStats(recordCount=float(count)),
        ),
    )


def _estimate(stream: str, records: int | None) -> AirbyteMessage:
    return AirbyteMessage(
        type=Type.TRACE,
        trace=AirbyteTraceMessage(
            type=TraceType.ESTIMATE,
            emitted_at=time.time() * 1000,
            estimate=AirbyteEstimateTraceMessage(name=stream, type=EstimateType.STREAM, row_estimate=records),
        ),
    )


def _failure_type(error: Exception) -> FailureType:
    if isinstance(error, AuthenticationError | ForbiddenError | NotFoundError):
        return FailureType.config_error
    return FailureType.transient_error if isinstance(error, TransientError) else FailureType.system_error


def _traced(stream: str, error: Exception) -> AirbyteTracedException:
    known = isinstance(error, ApiError)
    return AirbyteTracedException(
        message=f"{stream}: {error}{_advice(error)}"
        if known
        else f"{stream}: the connector failed, please report it ({error!r:.200})",
        internal_message=f"{type(error).__name__}: {error}"[:1000],
        failure_type=_failure_type(error),
        stream_descriptor=StreamDescriptor(name=stream),
    )


def _advice(error: Exception) -> str:
    """What to do about an error of a stream that the API's own words do not say."""
    return ". The account may not have this feature: leave the stream out" if isinstance(error, NotFoundError) else ""


def _config_error(message: str) -> AirbyteTracedException:
    return AirbyteTracedException(message=message, internal_message=message, failure_type=FailureType.config_error)
