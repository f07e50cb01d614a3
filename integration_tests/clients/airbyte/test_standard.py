"""The CDK's standard tests, of the source in this process and of the image.

What is worked around: the CDK builds an image from a template that it downloads, starts containers on Docker's own
network, and asks Airbyte's registry for the published spec. The fixtures give it our image and the host's network;
the registry here is published.json, the spec whose configs must stay valid.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from airbyte_cdk.test.standard_tests import DiscoveredCatalogWarning, SourceTestSuiteBase, _spec_compatibility

from source_incident.source import SourceIncident

pytestmark = [
    pytest.mark.clients,
    pytest.mark.filterwarnings(f"error::{DiscoveredCatalogWarning.__module__}.{DiscoveredCatalogWarning.__name__}"),
]


@pytest.fixture(autouse=True)
def _registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Airbyte's registry of connectors, with what was published of this one."""
    files = partial(Published, directory=str(Path(__file__).parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), files) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/{{docker_repository}}/{{version}}/{{registry}}.json"
        monkeypatch.setattr(_spec_compatibility, "REGISTRY_ENTRY_URL_TEMPLATE", url)
        yield
        server.shutdown()


class Published(SimpleHTTPRequestHandler):
    """Answers for the one connector and the one registry that it is in."""

    def translate_path(self, path: str) -> str:
        known = path == "/tap-incident/source-incident/latest/oss.json"
        return super().translate_path("/published.json" if known else path)


class TestSourceIncident(SourceTestSuiteBase):
    """Everything that the CDK asks of a source."""

    connector = SourceIncident
