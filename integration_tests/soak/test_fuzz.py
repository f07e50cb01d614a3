"""The fuzzer, for a few inputs. A process of its own: the program takes over stdout and the log."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from integration_tests.support.tap import ROOT, SECONDS

RUN = """
from pathlib import Path
import sys
from integration_tests.soak.fuzz import Fuzzer
fuzzer = Fuzzer(Path(sys.argv[1]))
fuzzer.fuzz(1, 60)
print(*sorted(fuzzer.counts.items()), sep="\\n")
"""


def test_no_input_does_harm(tmp_path: Path) -> None:
    process = subprocess.run(
        [sys.executable, "-c", RUN, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=SECONDS
    )
    assert process.returncode == 0, process.stderr[-5000:]
    for what in ("config", "catalog", "state", "answer"):
        assert what in process.stdout
