"""Run the Airflow example in Airflow's environment: `python run_airflow.py DAGS_FOLDER RESULTS`.

The DAG runs three times: once for the list of streams only, and twice with the parameters that stdin has as a JSON
object. The file RESULTS gets one line of JSON per run: the state of the run, the state of each task instance, and
Airflow's variables after the run.
"""

import json
import sys
from pathlib import Path
from typing import Any

from airflow.dag_processing.dagbag import DagBag
from airflow.models import Variable
from airflow.utils.db import initdb
from airflow.utils.session import create_session

initdb()
bag = DagBag(sys.argv[1])
if bag.import_errors:
    sys.exit(f"the DAG does not parse: {bag.import_errors}")
dag = bag.dags["incident"]
conf: dict[str, Any] = json.load(sys.stdin)
runs = [
    lambda: dag.test(run_conf={**conf, "streams": []}, mark_success_pattern="sync"),
    lambda: dag.test(run_conf=conf),
    lambda: dag.test(run_conf=conf),
]
with Path(sys.argv[2]).open("w", encoding="utf-8") as results:
    for run in runs:
        dag_run = run()
        with create_session() as session:
            variables = {variable.key: variable.get_val() for variable in session.query(Variable)}
        tasks = sorted((task.task_id, task.map_index, task.state) for task in dag_run.get_task_instances())
        results.write(json.dumps({"state": dag_run.state, "tasks": tasks, "variables": variables}) + "\n")
