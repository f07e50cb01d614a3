"""The version of the installed package."""

import importlib.metadata


def version() -> str:
    """Return the package's version; `0` when it runs from a folder that was never installed."""
    try:
        return importlib.metadata.version("tap-incident")
    except importlib.metadata.PackageNotFoundError:
        return "0"
