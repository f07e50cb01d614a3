"""What is committed is what the tool makes from the pinned document."""

from tools.document import Document
from tools.schemas import differences, files


def test_the_committed_files_are_what_the_tool_makes(document: Document) -> None:
    assert differences(files(document)) == [], "run: python -m tools.schemas"
