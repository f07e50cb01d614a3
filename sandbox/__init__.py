"""A stand-in for incident.io's API, for the tests, the demo and the benchmark.

`python -m sandbox --port P` serves an invented company, or with `--data DIR` an
account that was recorded. It knows the API from `contract.json` and from what was measured live,
and nothing of the connector.

    with Sandbox(incidents=50) as sandbox:
        requests.get(sandbox.url + "/v2/incidents", headers={"Authorization": "Bearer sandbox-key"})
        sandbox.requests()["counts"]
"""

from .options import Options
from .server import Sandbox

__all__ = ["Options", "Sandbox"]
