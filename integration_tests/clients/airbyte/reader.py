"""Read with PyAirbyte, in PyAirbyte's environment. One process serves all tests, because the import takes seconds.

Each line on stdin is a request: {"source": arguments of get_source, "streams": names or "*", "cache": a DuckDB file,
"read": arguments of Source.read}.
Each line on stdout is an answer: the number of records read.
"""

import json
import os
import sys

import airbyte
from airbyte.caches import DuckDBCache

answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # PyAirbyte also prints to stdout

for line in sys.stdin:
    request = json.loads(line)
    source = airbyte.get_source("source-incident", **request["source"])
    source.check()
    source.select_streams(request["streams"])
    cache = DuckDBCache(db_path=request["cache"])
    result = source.read(cache=cache, **request["read"])
    cache.close()  # releases the file
    print(json.dumps(result.processed_records), file=answers, flush=True)
