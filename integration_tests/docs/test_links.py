"""Links in the documents and citations of docs/api.md lead somewhere."""

from __future__ import annotations

import re

import pytest

from integration_tests.docs.markdown import DOCUMENTS, headings, links
from integration_tests.support.tap import ROOT

CODE = ("source_incident", "sandbox", "unit_tests", "integration_tests", "tools", "benchmarks")
CITATION = re.compile(r"api\.md, ([a-z][a-z ]*[a-z])")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_to_a_file_and_a_heading(document: str) -> None:
    broken = []
    for link in links(document):
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / document).parent / path if path else ROOT / document
        if not target.exists() or (anchor and anchor not in headings(target.resolve())):
            broken.append(link)
    assert broken == []


def test_code_cites_sections_of_api_md_that_exist() -> None:
    sections = {heading.replace("-", " ") for heading in headings(ROOT / "docs" / "api.md")}
    wrong = [
        f"{path.relative_to(ROOT)}: {section}"
        for folder in CODE
        for path in (ROOT / folder).rglob("*.py")
        for section in CITATION.findall(path.read_text(encoding="utf-8"))
        if section not in sections
    ]
    assert wrong == []
