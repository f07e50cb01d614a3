"""tap-incident / source-incident: reads incident.io data as an Airbyte source or a Singer tap."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from source_incident.source import SourceIncident

__all__ = ["SourceIncident"]


def __getattr__(name: str) -> Any:
    # Imported on first use: it needs the CDK, and `--help` must start without it.
    if name == "SourceIncident":
        from source_incident.source import SourceIncident

        return SourceIncident
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
