"""`--verify`: checks the assumptions about the API (docs/api.md) on the user's own account, with GET requests only."""

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from source_incident.api import ApiError
from source_incident.config import Config
from source_incident.connection import make_client, make_streams
from source_incident.verify.account import MAX_REQUESTS, Account, Answer, VerifyClient
from source_incident.verify.assumption import Outcome
from source_incident.verify.assumptions import ASSUMPTIONS
from source_incident.verify.checks.answers import missing_scopes
from source_incident.verify.report import Report, StreamResult

__all__ = ["MAX_REQUESTS", "Outcome", "Report", "verify"]

# Someone waits for the result, so it retries less often than a sync.
MAX_RETRIES = 2


def verify(
    settings: Mapping[str, Any],
    selected: Collection[str] | None = None,
    on_request: Callable[[int], object] = lambda _: None,
) -> Report:
    """Check every assumption.

    Args:
        settings: the settings.
        selected: names of the streams to verify; None: all.
        on_request: is called before each request with its number, from any thread.

    Raises:
        InputError: the settings can't be used.
        ApiError: the API rejects the key or does not answer.
    """
    config = Config.parse(settings)
    client = make_client(config, min(MAX_RETRIES, config.max_retries), kind=VerifyClient)
    client.on_request = on_request
    streams = make_streams(config, client)
    account = Account(client, streams, streams if selected is None else selected, config.num_workers)
    try:
        with _without_log():
            account.read_identity()
            # If the limit is reached, it is by streams that are off by default and have no check of their own.
            account.read_first_pages([name for name, stream in streams.items() if stream.selected_by_default])
            results = {item.name: item.verify(account) for item in ASSUMPTIONS if item.requests}
            account.read_first_pages([name for item in ASSUMPTIONS for name in item.streams])
            account.read_first_pages(streams)
            results |= {item.name: item.verify(account) for item in ASSUMPTIONS if not item.requests}
    finally:
        # After Ctrl-C nothing waits for the remaining answers.
        client.cancellation.cancel()
        client.close()
    return Report(
        results=tuple((item, results[item.name]) for item in ASSUMPTIONS),
        streams=tuple(_stream_result(account, name) for name in streams if name in account.selected),
        missing_scopes=missing_scopes(account),
        requests=client.requests_made,
    )


@contextmanager
def _without_log() -> Iterator[None]:
    """Turn off the connector's log: it names paths with ids. The report has everything that may be shown."""
    logger = logging.getLogger("airbyte.incident")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


def _stream_result(account: Account, name: str) -> StreamResult:
    found = account.first_pages.get(name)
    if isinstance(found, Answer) and found.page is not None:
        return StreamResult(name, len(found.records), "")
    if isinstance(found, ApiError | Answer):
        return StreamResult(name, None, account.reason(found))
    return StreamResult(name, None, str(found or "it was not read"))
