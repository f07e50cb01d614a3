"""What to ask a sandbox so that each of its endpoints is asked for something."""

from __future__ import annotations

from .contract import Endpoint
from .server import Sandbox

_STEPS = {"incidents": 7, "alerts": 20}  # of these, only every seventh or twentieth
_MOST = 25


def parents_of(sandbox: Sandbox, endpoint: Endpoint) -> list[dict[str, str]]:
    """Parameters and placeholders of some parents; one empty dictionary where none are needed."""
    if not endpoint.parents:
        return [{}]
    *above, (parameter, name) = endpoint.parents
    found = sandbox.snapshot(name)
    chosen = list(zip(found["records"], found.get("parents", [{}] * found["count"]), strict=True))
    chosen = chosen[:: _STEPS[name]] if name in _STEPS else chosen[:_MOST]
    made = []
    for record, parents in chosen:
        outer = list(parents.values())[-len(above) :] if above else []
        names = [outer_parameter for outer_parameter, _ in above]
        made.append({**dict(zip(names, outer, strict=True)), parameter: record["id"]})
    return made
