"""Makes the API client and the streams from a config."""

from typing import TypeVar

from source_incident.api import Client
from source_incident.cancellation import CancellationToken
from source_incident.config import Config
from source_incident.streams import STREAMS
from source_incident.streams.base import IncidentStream
from source_incident.version import version

C = TypeVar("C", bound=Client)


def make_client(
    config: Config,
    retries: int | None = None,
    cancellation: CancellationToken | None = None,
    kind: type[C] = Client,  # type: ignore[assignment]
) -> C:
    """Make a client.

    Args:
        config: the settings.
        retries: how often a request is retried; None: as the config says.
        cancellation: ends the client's requests.
        kind: the client's class.
    """
    return kind(
        endpoint=config.endpoint,
        api_key=config.api_key,
        user_agent=f"tap-incident/{version()}",
        request_timeout=config.request_timeout,
        max_retries=config.max_retries if retries is None else retries,
        connections=config.num_workers,
        cancellation=cancellation,
    )


def make_streams(config: Config, client: Client) -> dict[str, IncidentStream]:
    """Make all streams, by name."""
    streams = (stream(client, config) for stream in STREAMS)
    return {stream.name: stream for stream in streams}
