"""Measures a process."""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
from pathlib import Path

from integration_tests.support.tap import PROGRAM, ROOT, Run, Tap, clean_environment

POLL = 0.01


def run_with_peak_memory(tap: Tap, *arguments: str, seconds: float) -> tuple[Run, int]:
    """Run the program, and return the run and the largest memory that the process had, in MB.

    Args:
        tap: the program with its config.
        arguments: the arguments.
        seconds: the process is killed after so many seconds.
    """
    peak = 0
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [*PROGRAM, *arguments],
            cwd=ROOT,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
        )
        deadline = time.monotonic() + seconds
        while process.poll() is None:
            peak = max(peak, _peak_memory(process.pid))
            if time.monotonic() > deadline:
                process.kill()
            time.sleep(POLL)
        output.seek(0)
        errors.seek(0)
        return Run(tap.protocol, process.returncode, output.read(), errors.read().decode()), peak // 1024


def _peak_memory(pid: int) -> int:
    """The largest resident memory of a process so far, in kB; 0: it has ended."""
    try:
        found = re.search(r"^VmHWM:\s*(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) if found else 0
