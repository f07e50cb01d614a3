"""Parameters for sample requests, so that a test can send a valid request to every endpoint."""

from __future__ import annotations

from sandbox.contract import Endpoint
from sandbox.sandbox import Sandbox

_STEPS = {"incidents": 7, "alerts": 20}  # every seventh incident and every twentieth alert
_MAXIMUM = 25  # parents of any other list


def sample_parameters(sandbox: Sandbox, endpoint: Endpoint) -> list[dict[str, str]]:
    """Query parameters and path placeholders for some parents; [{}] for an endpoint without parents."""
    if not endpoint.parents:
        return [{}]
    *outer, (parameter, name) = endpoint.parents
    snapshot = sandbox.snapshot(name)
    parents = list(zip(snapshot["records"], snapshot.get("parents", [{}] * snapshot["count"]), strict=True))
    parents = parents[:: _STEPS[name]] if name in _STEPS else parents[:_MAXIMUM]
    samples = []
    for record, grandparents in parents:
        outer_ids = list(grandparents.values())[-len(outer) :] if outer else []
        outer_names = [outer_parameter for outer_parameter, _ in outer]
        samples.append({**dict(zip(outer_names, outer_ids, strict=True)), parameter: record["id"]})
    return samples
