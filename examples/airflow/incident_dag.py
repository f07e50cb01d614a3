"""Airflow 3: load incident.io into a warehouse with one task and one state per stream.

A task runs the image with the tap and a target (examples/Dockerfile.sync) on the worker's Docker engine. It
passes the stream's state and saves the last state that the target printed in the Airflow variable
`incident_state_<stream>`, also if the load failed.

Tasks with the same API key share its rate limit. Each tap reads the remaining limit from the response headers
and slows down accordingly, so more tasks than `max_active_tis_per_dagrun` would only wait.

Required: `pip install docker` in Airflow's environment, and a connection:

    airflow connections add incident_io --conn-type generic --conn-password "$INCIDENT_API_KEY"

The host of the connection, if set, is the tap's endpoint. The extra of the connection, a JSON object, has the
target's environment variables.

Whoever may trigger the DAG chooses only streams. Image, target and volumes are constants in this file, because a
container of another image, or one that runs another program, could read the API key.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import docker
from airflow.sdk import Connection, Param, Variable, dag, get_current_context, task

IMAGE = "registry.example.com/incident-sync:0.1.0"
TARGET = ["target-postgres", "--config", "ENV"]
NETWORK = "bridge"
VOLUMES: list[str] = []  # HOST:CONTAINER, for files that the target reads or writes

DISCOVER = "tap-incident --config ENV --discover"
# Pipes the tap into the target, "$@", which prints states to stdout and does not get the API key.
SYNC = """
set -o pipefail
printf %s "$CATALOG" >/tmp/catalog.json
printf %s "$STATE" >/tmp/state.json
tap-incident --config ENV --catalog /tmp/catalog.json --state /tmp/state.json |
  env --unset=INCIDENT_API_KEY "$@"
"""


class Container:
    """One run of the image: yields stdout line by line and prints stderr to the task's log."""

    def __init__(self, script: str, **environment: str) -> None:
        self._script = script
        self._environment = {**tap_environment(), **environment}

    def lines(self) -> Iterator[str]:
        """Run the container and yield the lines of its stdout.

        The container is always removed.

        Raises:
            RuntimeError: its exit code is not 0.
        """
        container = docker.from_env().containers.create(
            IMAGE,
            entrypoint=["bash", "-c", self._script, "sync", *TARGET],
            environment=self._environment,
            network_mode=NETWORK,
            volumes=VOLUMES,
            init=True,
        )
        try:
            output = container.attach(stdout=True, stderr=True, stream=True, demux=True)
            container.start()
            partial_line = b""
            for out, errors in output:
                if errors:
                    print(errors.decode(errors="replace"), end="")
                *lines, partial_line = (partial_line + (out or b"")).split(b"\n")
                yield from (line.decode() for line in lines)
            code = container.wait()["StatusCode"]
            if code:
                raise RuntimeError(f"the sync failed with exit code {code}; see the last lines of the log")
        finally:
            container.remove(force=True)


def tap_environment() -> dict[str, str]:
    """The environment variables of the tap (key, endpoint) and of the target."""
    connection = Connection.get("incident_io")
    endpoint = {"INCIDENT_ENDPOINT": connection.host} if connection.host else {}
    return {"INCIDENT_API_KEY": connection.password or "", **endpoint, **connection.extra_dejson}


@dag(
    schedule="17 * * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,  # concurrent runs would overwrite each other's state
    params={
        "streams": Param(
            [],
            type="array",
            items={"type": "string", "pattern": "^[a-z][a-z0-9_]*$"},
            description="empty: the default streams",
        ),
    },
)
def incident() -> None:
    """List the streams, then sync each of them."""

    @task
    def streams() -> list[str]:
        chosen: list[str] = list(get_current_context()["params"]["streams"])
        if chosen:
            return chosen
        catalog: dict[str, Any] = json.loads("\n".join(Container(DISCOVER).lines()))
        return [
            stream["tap_stream_id"]
            for stream in catalog["streams"]
            if stream["metadata"][0]["metadata"]["selected-by-default"]
        ]

    @task(
        max_active_tis_per_dagrun=4,
        retries=2,
        retry_delay=timedelta(minutes=5),
        map_index_template="{{ task.op_kwargs['stream'] }}",
    )
    def sync(stream: str) -> None:
        variable = f"incident_state_{stream}"
        catalog = {"streams": [{"tap_stream_id": stream, "metadata": []}]}
        state: str = Variable.get(variable, default="{}")
        try:
            for line in Container(SYNC, CATALOG=json.dumps(catalog), STATE=state).lines():
                state = line if line.startswith("{") else state
        finally:
            Variable.set(variable, state)

    sync.expand(stream=streams())


incident()
