"""The adapter between the Airbyte protocol and Singer: catalog, state, messages, about.

It sees the Airbyte protocol's types and nothing else of this package, and knows no HTTP.
"""

import importlib
from typing import TYPE_CHECKING, Any

from source_incident.singer.about import about, about_markdown

if TYPE_CHECKING:
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


def __getattr__(name: str) -> Any:
    # Imported when first asked for: they need the CDK, and `--about` is to answer at once.
    if name in __all__:
        for module in ("catalog", "messages", "state"):
            found = importlib.import_module(f"{__name__}.{module}")
            if hasattr(found, name):
                return getattr(found, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
