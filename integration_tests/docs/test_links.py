"""What the documents link to is there."""

from __future__ import annotations

import pytest

from integration_tests.docs.markdown import DOCUMENTS, headings, links
from integration_tests.support.tap import ROOT


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_links_of_a_document_lead_somewhere(document: str) -> None:
    lost = []
    for link in links(document):
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / document).parent / path if path else ROOT / document
        if not target.exists() or (anchor and anchor not in headings(target.resolve())):
            lost.append(link)
    assert lost == []
