"""The engine: reads the selected streams side by side and emits records and checkpoints in a safe order.

See docs/design.md, "The engine".
"""

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
from source_incident.sync.plan import Selected

__all__ = [
    "Checkpoint",
    "Event",
    "Expected",
    "Failed",
    "Finished",
    "Interrupted",
    "LeftOut",
    "Records",
    "Selected",
    "Started",
    "Sync",
]
