"""Fixtures for the tests of tools/."""

import os

import pytest

from tools.openapi import Document, DocumentError, fetch


@pytest.fixture(scope="session")
def document() -> Document:
    """The pinned document, from `.cache/` or downloaded. If neither works, the tests skip, except in CI."""
    try:
        return fetch()
    except DocumentError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"the vendor's document can't be downloaded: {error}")
