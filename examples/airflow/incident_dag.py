"""Airflow 3: incident.io into a warehouse, a task a stream, each with its own state.

A task starts the container that has the tap and a target (examples/Dockerfile.sync) on the worker's
Docker engine, hands it the stream's state, and keeps the state that the target printed last in the
Airflow variable `incident_state_<stream>`, whether the load succeeded or not.

Tasks of the same API key share its rate limit. Each copy of the tap reads in the answers' headers how
much of the limit is left, whoever used the rest, so they slow down together; more of them at once than
`max_active_tis_per_dagrun` would only wait.

It needs `pip install docker` beside Airflow, and a connection:

    airflow connections add incident_io --conn-type generic --conn-password "$INCIDENT_API_KEY"

A host on that connection goes to the tap as its endpoint. What the target needs from its environment is
the connection's extra, a JSON object of names and values.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import docker
from airflow.sdk import Connection, Param, Variable, dag, get_current_context, task

# The shell of the container: the tap into the target, which prints states on stdout.
SYNC = """
set -o pipefail
printf %s "$CATALOG" >/tmp/catalog.json
printf %s "$STATE" >/tmp/state.json
tap-incident --config ENV --catalog /tmp/catalog.json --state /tmp/state.json | eval "$TARGET"
"""


class Container:
    """One run of the image: its stdout line by line, its stderr in the task's log."""

    def __init__(self, script: str, **environment: str) -> None:
        self._params = get_current_context()["params"]
        self._script = script
        self._environment = {**tap_environment(), **environment}

    def lines(self) -> Iterator[str]:
        """The lines of its stdout. Raises at the end if it failed; always takes the container away."""
        container = docker.from_env().containers.create(
            self._params["image"],
            entrypoint=["bash", "-c", self._script],
            environment={**self._environment, "TARGET": self._params["target"]},
            network_mode=self._params["network"],
            volumes=self._params["volumes"],
            init=True,
        )
        try:
            output = container.attach(stdout=True, stderr=True, stream=True, demux=True)
            container.start()
            rest = b""
            for out, errors in output:
                if errors:
                    print(errors.decode(errors="replace"), end="")
                *whole, rest = (rest + (out or b"")).split(b"\n")
                yield from (line.decode() for line in whole)
            code = container.wait()["StatusCode"]
            if code:
                raise RuntimeError(f"the sync ended with exit code {code}, its last lines say why")
        finally:
            container.remove(force=True)


def tap_environment() -> dict[str, str]:
    """The key and the endpoint, as the tap takes them from its environment, and what the target takes."""
    connection = Connection.get("incident_io")
    endpoint = {"INCIDENT_ENDPOINT": connection.host} if connection.host else {}
    return {"INCIDENT_API_KEY": connection.password or "", **endpoint, **connection.extra_dejson}


@dag(
    schedule="17 * * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,  # two runs must not share a state
    params={
        "image": Param("registry.example.com/incident-sync:0.1.0", type="string"),
        "target": Param("target-postgres --config ENV", type="string"),
        "streams": Param([], type="array", description="empty: every stream that is on by default"),
        "network": Param("bridge", type="string"),
        "volumes": Param([], type="array", description="HOST:CONTAINER, where the target writes files"),
    },
)
def incident() -> None:
    """The streams, then a sync of each of them."""

    @task
    def streams() -> list[str]:
        chosen: list[str] = list(get_current_context()["params"]["streams"])
        if chosen:
            return chosen
        catalog: dict[str, Any] = json.loads("\n".join(Container("tap-incident --config ENV --discover").lines()))
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
        kept = f"incident_state_{stream}"
        catalog = {"streams": [{"tap_stream_id": stream, "metadata": []}]}
        state: str = Variable.get(kept, default="{}")
        try:
            for line in Container(SYNC, CATALOG=json.dumps(catalog), STATE=state).lines():
                state = line if line.startswith("{") else state
        finally:
            Variable.set(kept, state)

    sync.expand(stream=streams())


incident()
