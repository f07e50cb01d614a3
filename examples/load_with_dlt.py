"""Loads incident.io through dlt into the DuckDB file warehouse.duckdb; the next time, what changed since.

    pip install "dlt[duckdb]"
    INCIDENT_API_KEY=... python load_with_dlt.py

It needs tap-incident on the PATH and gives it the arguments that it is given (--config, --catalog). dlt keeps the
tap's state where it keeps its own: a run that fails loads nothing, and leaves the state as it was.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import dlt

TYPES = {"boolean": "bool", "integer": "bigint", "number": "double", "string": "text"}


@dlt.resource(write_disposition="merge")
def incident_io(*arguments: str) -> Iterator[Any]:
    kept = dlt.current.resource_state()
    with tempfile.NamedTemporaryFile("w", suffix=".json") as state:
        state.write(json.dumps(kept.get("state", {})))
        state.flush()
        command = ["tap-incident", *arguments, "--state", state.name]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as tap:
            for message in map(json.loads, tap.stdout or ()):
                if message["type"] == "SCHEMA":
                    yield dlt.mark.with_hints([], hints(message), create_table_variant=True)
                elif message["type"] == "RECORD":
                    yield dlt.mark.with_table_name(message["record"], message["stream"])
                else:
                    kept["state"] = message["value"]
    if tap.returncode:
        raise RuntimeError(f"tap-incident ended with exit code {tap.returncode}")


def hints(schema: dict[str, Any]) -> Any:
    """A table's key and the types of its columns; lists and objects stay one column each."""
    columns = {}
    for name, column in schema["schema"]["properties"].items():
        kind = next((TYPES[kind] for kind in TYPES if kind in column["type"]), "json")
        columns[name] = {"data_type": "timestamp" if column.get("format") == "date-time" else kind}
    return dlt.mark.make_hints(table_name=schema["stream"], primary_key=schema["key_properties"], columns=columns)


if __name__ == "__main__":
    warehouse = dlt.destinations.duckdb("warehouse.duckdb")
    pipeline = dlt.pipeline("incident_io", destination=warehouse, dataset_name="incident_io")
    print(pipeline.run(incident_io(*sys.argv[1:])))
