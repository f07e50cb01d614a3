"""Run the connector and print its processor time without the imports.

The last line of stderr is the time in seconds. Subtracting the time of a second process that only imports would be too
inexact: importing takes longer than reading 100,000 small records.
"""

from __future__ import annotations

import sys
import time

from source_incident import run

if __name__ == "__main__":
    run.import_app()
    imports_seconds = time.process_time()
    code = run.main(sys.argv[1:])
    sys.stdout.flush()
    print(time.process_time() - imports_seconds, file=sys.stderr)
    sys.exit(code)
