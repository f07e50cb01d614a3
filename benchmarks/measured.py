"""Runs the connector as its program does, and says what processor time it took beyond that of its imports.

The last line of stderr has the seconds. Two processes, one of which only imports, would differ by more than what a
fast read takes: importing takes longer than reading 100,000 small records.
"""

from __future__ import annotations

import sys
import time

from source_incident import run

if __name__ == "__main__":
    run._import_source()
    imported = time.process_time()
    code = run.main(sys.argv[1:])
    sys.stdout.flush()
    print(time.process_time() - imported, file=sys.stderr)
    sys.exit(code)
