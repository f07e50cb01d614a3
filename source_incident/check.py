"""What a key can read: `check_key` for check and --test, `survey` for --init. One request for each list."""

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from airbyte_protocol_dataclasses.models import AirbyteConnectionStatus, Status

from source_incident.api import ApiError, Client, ForbiddenError, NotFoundError, TransientError, UnreachableError
from source_incident.config import DEFAULT_MODES, Config, endpoint_notice
from source_incident.connection import check_environment, make_client, make_streams
from source_incident.errors import InputError
from source_incident.streams.base import IncidentStream
from source_incident.streams.kinds import ChildStream
from source_incident.streams.probe import Probes

T = TypeVar("T")

# Someone waits for the result, so it retries less often than a sync.
MAX_RETRIES = 2


@dataclass(frozen=True)
class ListLength:
    """The length of a list, as its first page shows it.

    Attributes:
        records: how many records it has.
        is_exact: whether it has no more.
    """

    records: int
    is_exact: bool


@dataclass(frozen=True)
class Survey:
    """What a key can read of the default streams.

    Attributes:
        key_name: the name of the key in incident.io; empty: it has none.
        lengths: by stream, the length of its list. Child streams have none.
        errors: by stream, why it can't be read.
    """

    key_name: str
    lengths: Mapping[str, ListLength]
    errors: Mapping[str, ApiError]


def survey(settings: Mapping[str, Any]) -> Survey:
    """Read the first page of each default stream.

    Raises:
        InputError: the settings can't be used.
        ApiError: the API rejects the key or does not answer.
    """
    config, client = _connect(settings)
    key_name = _key_name(client)
    probes = Probes(lambda kind: kind(client, config))
    results = _query_streams(config, client, lambda stream: _length(stream, probes))
    return Survey(
        key_name=key_name,
        lengths={name: result for name, result in results.items() if isinstance(result, ListLength)},
        errors={name: result for name, result in results.items() if isinstance(result, ApiError)},
    )


def check_key(logger: logging.Logger, settings: Mapping[str, Any]) -> AirbyteConnectionStatus:
    """Check that the settings can be used, that the API accepts the key, and that the key can read incidents.

    It logs the name of the key and a warning for each default stream that can't be read.

    Returns:
        The status. If the check failed, it has a message of one line: what is wrong and what to do.
    """
    try:
        config, client = _connect(settings)
        if notice := endpoint_notice(settings):
            logger.info(notice)
        if key_name := _key_name(client):
            logger.info("The API key is %r", key_name)
        incidents_error = _forbidden_error(client, "/v2/incidents")
        probes = Probes(lambda kind: kind(client, config))
        results = _query_streams(config, client, lambda stream: probes.probe(type(stream)))
    except (InputError, ApiError) as error:
        return AirbyteConnectionStatus(status=Status.FAILED, message=str(error))
    if incidents_error:
        others = [name for name, result in results.items() if isinstance(result, ForbiddenError)]
        others = [name for name in others if name != "incidents"]
        more = f". It can't read these streams either: {', '.join(others)}" if others else ""
        return AirbyteConnectionStatus(status=Status.FAILED, message=f"{incidents_error}{more}")
    for name, result in results.items():
        if isinstance(result, ForbiddenError):
            logger.warning("%s can't be read, a sync leaves it out unless the catalog selects it: %s", name, result)
        elif isinstance(result, ApiError):
            logger.warning("%s could not be checked: %s", name, result)
    return AirbyteConnectionStatus(status=Status.SUCCEEDED)


def _connect(settings: Mapping[str, Any]) -> tuple[Config, Client]:
    config = Config.parse(settings)
    check_environment(config)
    return config, make_client(config, retries=min(MAX_RETRIES, config.max_retries))


def _key_name(client: Client) -> str:
    """Ask for the name of the key. Every key may do that.

    Raises:
        ApiError: the API rejects the key or does not answer.
    """
    try:
        identity = client.get("/v1/identity").body.get("identity")
    except TransientError as error:
        if client.answers:
            raise
        raise UnreachableError(client.endpoint, error) from None
    name = identity.get("name") if isinstance(identity, dict) else None
    return client.redact(name) if isinstance(name, str) else ""


def _forbidden_error(client: Client, path: str) -> ForbiddenError | None:
    """Request one record of a list, and return the error if the key may not read it.

    Raises:
        ApiError: the request failed for another reason.
    """
    try:
        client.get(path, {"page_size": 1})
    except ForbiddenError as error:
        return error
    return None


def _length(stream: IncidentStream, probes: Probes) -> ListLength | None:
    """Read the first page of a stream. A child stream is only probed, because it has a list for each parent."""
    if isinstance(stream, ChildStream):
        probes.probe(type(stream))
        return None
    page = stream.read_page({"modes": DEFAULT_MODES}, None)
    if page.total is not None:
        return ListLength(page.total, is_exact=True)
    return ListLength(len(page.records), is_exact=page.after is None)


def _query_streams(config: Config, client: Client, query: Callable[[IncidentStream], T]) -> dict[str, T | ApiError]:
    """Call a function for each default stream concurrently, then stop the client.

    Returns:
        By stream, the result or the error. A stream is missing if the account does not have its feature (404).
    """
    streams = [stream for stream in make_streams(config, client).values() if stream.selected_by_default]
    results: dict[str, T | ApiError] = {}
    executor = ThreadPoolExecutor(config.num_workers)
    try:
        futures = [(stream.name, executor.submit(query, stream)) for stream in streams]
        for name, future in futures:
            try:
                results[name] = future.result()
            except NotFoundError:
                pass
            except ApiError as error:
                error.release_memory()
                results[name] = error
    finally:
        # After Ctrl-C nothing waits for the remaining answers.
        client.cancellation.cancel()
        executor.shutdown(wait=False, cancel_futures=True)
    return results
