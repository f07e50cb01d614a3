"""Plans and runs a sync: partitions, pages, children, checkpoints, state."""

from source_incident.sync.engine import Sync
from source_incident.sync.events import (
    Checkpoint,
    Event,
    Expected,
    Failed,
    Finished,
    Interrupted,
    LeftOut,
    Records,
    Started,
)
from source_incident.sync.plan import SelectedStream

__all__ = [
    "Checkpoint",
    "Event",
    "Expected",
    "Failed",
    "Finished",
    "Interrupted",
    "LeftOut",
    "Records",
    "SelectedStream",
    "Started",
    "Sync",
]
