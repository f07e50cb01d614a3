"""Links in the documents and citations of docs/api.md lead somewhere."""

from __future__ import annotations

import re

import pytest

from integration_tests.docs.markdown import DOCUMENTS, headings, links
from integration_tests.support.account import declarations
from integration_tests.support.tap import ROOT
from source_incident.streams.base import record_schema

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


@pytest.mark.parametrize("document", DOCUMENTS)
def test_each_fence_stands_on_a_line_of_its_own(document: str) -> None:
    lines = (ROOT / document).read_text(encoding="utf-8").splitlines()
    fences = [line.strip() for line in lines if "```" in line]
    assert [fence for fence in fences if not re.fullmatch("```[a-z]*", fence)] == []


def test_the_guide_names_the_streams_that_never_get_a_version() -> None:
    guide = (ROOT / "deploying.md").read_text(encoding="utf-8")
    (sentence,) = re.findall("^- (.*) have a column named `version`", guide, re.MULTILINE)
    with_column = {name for name in declarations() if "version" in record_schema(name)["properties"]}
    assert set(re.findall(r"`(\w+)`", sentence)) == with_column


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
