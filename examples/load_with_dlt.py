"""Load incident.io with dlt into the DuckDB file warehouse.duckdb. Later runs load only changes.

    pip install "dlt[duckdb]"
    INCIDENT_API_KEY=... python load_with_dlt.py

tap-incident must be on the PATH. The script's arguments (--config, --catalog) are passed to it. dlt stores the tap's
state with its own: a failed run loads nothing and does not change the state.
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
    resource_state = dlt.current.resource_state()
    with tempfile.NamedTemporaryFile("w", suffix=".json") as state:
        state.write(json.dumps(resource_state.get("state", {})))
        state.flush()
        command = ["tap-incident", *arguments, "--state", state.name]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as tap:
            for message in map(json.loads, tap.stdout or ()):
                if message["type"] == "SCHEMA":
                    yield dlt.mark.with_hints([], hints(message), create_table_variant=True)
                elif message["type"] == "RECORD":
                    yield dlt.mark.with_table_name(message["record"], message["stream"])
                elif message["type"] == "STATE":
                    resource_state["state"] = message["value"]
    if tap.returncode:
        raise RuntimeError(f"tap-incident ended with exit code {tap.returncode}")


def hints(schema: dict[str, Any]) -> Any:
    """The primary key and the column types of a table. A list or object is one JSON column."""
    columns = {}
    for name, column in schema["schema"]["properties"].items():
        kind = next((TYPES[kind] for kind in TYPES if kind in column["type"]), "json")
        columns[name] = {"data_type": "timestamp" if column.get("format") == "date-time" else kind}
    return dlt.mark.make_hints(table_name=schema["stream"], primary_key=schema["key_properties"], columns=columns)


if __name__ == "__main__":
    warehouse = dlt.destinations.duckdb("warehouse.duckdb")
    pipeline = dlt.pipeline("incident_io", destination=warehouse, dataset_name="incident_io")
    print(pipeline.run(incident_io(*sys.argv[1:])))
