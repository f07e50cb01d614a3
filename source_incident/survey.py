"""What a key can read: `check_key` for check and --test, `survey` for --init. One request for each list."""

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from airbyte_cdk.models import AirbyteConnectionStatus, Status

from source_incident.api import ApiError, Client, ForbiddenError, NotFoundError, TransientError, UnreachableError
from source_incident.config import DEFAULT_MODES, Config
from source_incident.connection import make_client, make_streams
from source_incident.errors import InputError
from source_incident.streams.base import IncidentStream
from source_incident.streams.kinds import ChildStream
from source_incident.streams.page import Page

T = TypeVar("T")

# Someone waits for the result, so it retries less often than a sync.
MAX_RETRIES = 2


@dataclass(frozen=True)
class Survey:
    """What a key can read of the default streams.

    Attributes:
        key_name: the name of the key in incident.io; empty: it has none.
        first_pages: by stream, the first page of its list. Child streams have none.
        errors: by stream, why it can't be read.
    """

    key_name: str
    first_pages: Mapping[str, Page]
    errors: Mapping[str, ApiError]


def survey(settings: Mapping[str, Any]) -> Survey:
    """Read the first page of each default stream.

    Raises:
        InputError: the settings can't be used.
        ApiError: the API rejects the key or does not answer.
    """
    config, client = _connect(settings)
    key_name = _key_name(client)
    results = _query_streams(config, client, _first_page)
    return Survey(
        key_name=key_name,
        first_pages={name: result for name, result in results.items() if isinstance(result, Page)},
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
        if key_name := _key_name(client):
            logger.info("The API key is %r", key_name)
        incidents_error = _forbidden_error(client, "/v2/incidents")
        results = _query_streams(config, client, IncidentStream.probe)
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


def _first_page(stream: IncidentStream) -> Page | None:
    """Read the first page of a stream. A child stream is only probed, because it has a list for each parent."""
    if isinstance(stream, ChildStream):
        stream.probe()
        return None
    return stream.read_page({"modes": DEFAULT_MODES}, None)


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
                results[name] = error
    finally:
        # After Ctrl-C nothing waits for the remaining answers.
        client.cancellation.cancel()
        executor.shutdown(wait=False, cancel_futures=True)
    return results
