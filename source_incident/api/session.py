"""The HTTP session: the key goes to one origin only, redirects are not followed, an answer has a deadline."""

from typing import Any
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase

from source_incident.api.body import ACCEPTED_ENCODINGS
from source_incident.api.deadline import DeadlineAdapter


class BearerAuth(AuthBase):
    """Adds the key to requests for the configured origin, and to no other."""

    def __init__(self, api_key: str, endpoint: str) -> None:
        self._api_key = api_key
        self._origin = _origin(endpoint)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if _origin(request.url or "") == self._origin:
            request.headers["Authorization"] = f"Bearer {self._api_key}"
        return request


class Session(requests.Session):
    """A session for one endpoint.

    Args:
        endpoint: the base URL. The proxy and the certificates of the environment are looked up for it once. For http
            there is no proxy: it would see the key.
        user_agent: value of the User-Agent header.
        connections: how many connections stay open.
    """

    def __init__(self, endpoint: str, user_agent: str, connections: int) -> None:
        super().__init__()
        self.headers.update(
            {"User-Agent": user_agent, "Accept": "application/json", "Accept-Encoding": ACCEPTED_ENCODINGS}
        )
        self.send_options: dict[str, Any] = {
            **self.merge_environment_settings(endpoint, {}, None, None, None),
            "stream": True,
            "allow_redirects": False,
        }
        if _origin(endpoint)[0] != "https":
            self.send_options["proxies"] = {}
        self.trust_env = False
        adapter = DeadlineAdapter(pool_connections=4, pool_maxsize=connections, max_retries=0)
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Report that nothing redirects. Otherwise requests reads the body and parses the target of a 3xx."""


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port
