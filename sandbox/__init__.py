"""A mock incident.io API, for the tests, the demo and the benchmarks.

`python -m sandbox --port P` serves an invented company, or a recorded account with `--data DIR`.
`contract.json` and the live findings in the code define the API. The sandbox imports nothing from
the connector.

    with Sandbox(incidents=50) as sandbox:
        requests.get(sandbox.url + "/v2/incidents", headers={"Authorization": "Bearer sandbox-key"})
        sandbox.requests()["counts"]

| to change | open |
| --- | --- |
| a command-line option | `options.py`, `__main__.py` |
| authentication, routes and errors | `api.py`, `contract.json`, `errors.py` |
| pages, filters and defaults of a list | `list_pages.py`, `filters.py`, `schedule_entries.py` |
| answers that are not known of the real API | `unknown_answers.py` |
| the faults | `faults.py` |
| the rate limits | `rate_limits.py` |
| the records of the invented company | `company/` |
| records that change during a sync | `churn.py` |
| the control endpoints under `/_sandbox` | `admin.py` |
"""

from sandbox.options import Options
from sandbox.sandbox import Sandbox

__all__ = ["Options", "Sandbox"]
