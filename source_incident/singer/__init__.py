"""The adapter between the Airbyte protocol and Singer: catalog, state, messages, about.

It sees the Airbyte protocol's types and nothing else of this package, and knows no HTTP.
"""

from source_incident.singer.about import about, about_markdown
from source_incident.singer.catalog import (
    CatalogError,
    Selection,
    discovered_catalog,
    read_catalog,
    select,
    singer_catalog,
)
from source_incident.singer.messages import SingerMessages
from source_incident.singer.state import SavedState, StateFormatError, read_state, singer_state

__all__ = [
    "CatalogError",
    "SavedState",
    "Selection",
    "SingerMessages",
    "StateFormatError",
    "about",
    "about_markdown",
    "discovered_catalog",
    "read_catalog",
    "read_state",
    "select",
    "singer_catalog",
    "singer_state",
]
