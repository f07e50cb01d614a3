"""Reads with PyAirbyte; run in its environment: a request a line on stdin, an answer a line on stdout.

A request is {"source": arguments of get_source, "streams": names or "*", "cache": a DuckDB file}, the answer the number
of records read. PyAirbyte takes seconds to import, so one process serves all tests.
"""

import json
import os
import sys

import airbyte
from airbyte.caches import DuckDBCache

answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # PyAirbyte talks to its user on stdout too

for line in sys.stdin:
    request = json.loads(line)
    source = airbyte.get_source("source-incident", **request["source"])
    source.check()
    source.select_streams(request["streams"])
    cache = DuckDBCache(db_path=request["cache"])
    result = source.read(cache=cache)
    cache.close()  # lets go of the file
    print(json.dumps(result.processed_records), file=answers, flush=True)
