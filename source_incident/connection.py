"""Makes the API client and the streams from a config, and checks the environment that the client uses."""

import os
import ssl
from typing import TypeVar

import requests
import urllib3

from source_incident.api import Client
from source_incident.api.memory import return_freed_memory
from source_incident.cancellation import CancellationToken
from source_incident.config import Config
from source_incident.errors import InputError
from source_incident.streams import STREAMS
from source_incident.streams.base import IncidentStream
from source_incident.version import version

C = TypeVar("C", bound=Client)

# The variables with the file or directory of the TLS certificates, in the order in which requests reads them.
CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
PROXY_SCHEMES = frozenset({"http", "https", "socks4", "socks4a", "socks5", "socks5h"})


def check_environment(config: Config) -> None:
    """Check the proxy and the certificates of the environment. They are used for https only.

    Raises:
        InputError: one of them can't be used.
    """
    if config.endpoint.startswith("https:"):
        _check_certificates()
        _check_proxy(config.endpoint)


def make_client(
    config: Config,
    retries: int | None = None,
    cancellation: CancellationToken | None = None,
    kind: type[C] = Client,  # type: ignore[assignment]
) -> C:
    """Make a client, and have freed memory returned to the system in the whole process.

    Args:
        config: the settings.
        retries: how often a request is retried; None: as the config says.
        cancellation: ends the client's requests.
        kind: the client's class.
    """
    return_freed_memory()
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


def _check_certificates() -> None:
    variable = next((name for name in CERTIFICATES if os.environ.get(name)), None)
    if variable is None:
        return
    path = os.environ[variable]
    problem = None
    if not os.path.exists(path):
        problem = "does not exist"
    elif os.path.isfile(path):
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
        except ssl.SSLError:
            problem = "has no certificates in PEM format"
        except OSError as error:
            problem = f"can't be read: {error.strerror}"
    if problem:
        advice = "Correct the variable, or unset it to use the usual certificates"
        raise InputError("environment", f"the file {path} in {variable} {problem}", advice)


def _check_proxy(endpoint: str) -> None:
    """Check the URL of the proxy. It can have a password, so it is not repeated."""
    proxies = requests.utils.get_environ_proxies(endpoint)
    key = next((key for key in ("https", "all") if proxies.get(key)), None)
    if key is None:
        return
    try:
        url = urllib3.util.parse_url(requests.utils.prepend_scheme_if_needed(proxies[key], "http"))  # type: ignore[no-untyped-call]
        is_valid = bool(url.host) and url.scheme in PROXY_SCHEMES
    except ValueError:
        is_valid = False
    if not is_valid:
        variable = f"{key}_proxy"
        advice = f"Set it to a URL such as http://proxy.example:8080, or unset {variable} and {variable.upper()}"
        raise InputError("environment", f"{variable} is not the URL of a proxy", advice)
