"""Dagster: incident.io as one asset that examples/sync.sh syncs every hour.

The state is a file on the machine or volume that runs the asset. Each materialization has it in its metadata.
Whoever may start a run must not choose the target, because the run has the API key: it is a constant in this file.
The asset is in the pool `incident_io`. Limit the pool to one sync at a time:

    dagster instance concurrency set incident_io 1
"""

import json
import subprocess
from pathlib import Path

import dagster as dg

SYNC = Path(__file__).parents[1] / "sync.sh"
STATE = Path("state.json")
TARGET = ["target-duckdb", "--config", "examples/target-duckdb.json"]


@dg.asset(pool="incident_io")
def incident_io() -> dg.MaterializeResult:
    """The incident.io records that changed since the last state, in the warehouse."""
    subprocess.run([SYNC, STATE, *TARGET], check=True)
    state = json.loads(STATE.read_text())
    return dg.MaterializeResult(metadata={"state": dg.MetadataValue.json(state)})


hourly = dg.ScheduleDefinition(name="hourly", target=[incident_io], cron_schedule="17 * * * *")
defs = dg.Definitions(assets=[incident_io], schedules=[hourly])
