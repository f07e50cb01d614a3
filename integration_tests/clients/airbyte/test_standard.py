"""The CDK's standard tests, of the source in this process and of the image.

By default the CDK builds an image from a template that it downloads, starts containers on Docker's own network, and
requests the published spec from Airbyte's registry. The fixtures replace these with our image, the host's network, and
published.json, the spec whose configs must stay valid.
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
    """Serve published.json instead of Airbyte's registry of connectors."""
    files = partial(Published, directory=str(Path(__file__).parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), files) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/{{docker_repository}}/{{version}}/{{registry}}.json"
        monkeypatch.setattr(_spec_compatibility, "REGISTRY_ENTRY_URL_TEMPLATE", url)
        yield
        server.shutdown()


class Published(SimpleHTTPRequestHandler):
    """Answers requests for this connector only."""

    def translate_path(self, path: str) -> str:
        is_known = path == "/tap-incident/latest/oss.json"
        return super().translate_path("/published.json" if is_known else path)


class TestSourceIncident(SourceTestSuiteBase):
    """The CDK's tests of a source."""

    connector = SourceIncident
