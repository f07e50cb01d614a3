"""Bugs that are planted into a copy of the engine, to prove that the simulation sees them.

A bug is a list of edits: a file of `source_incident`, a text that occurs once in it, and its replacement. An edit that
does not apply any more fails loudly.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

REPOSITORY = Path(__file__).parents[3]


@dataclass(frozen=True)
class PlantedBug:
    """A bug.

    Attributes:
        name: what is wrong, in plain words.
        edits: file, text, replacement.
    """

    name: str
    edits: tuple[tuple[str, str, str], ...]

    def apply(self, package: Path) -> None:
        """Change a copy of the package.

        Raises:
            LookupError: the engine has changed, and the bug must be written anew.
        """
        for file, text, replacement in self.edits:
            source = (package / file).read_text()
            if source.count(text) != 1:
                raise LookupError(f"{self.name}: {file} has the text {source.count(text)} times: {text}")
            (package / file).write_text(source.replace(text, replacement))


def _bug(name: str, file: str, text: str, replacement: str) -> PlantedBug:
    return PlantedBug(name, ((file, text, replacement),))


BUGS = (
    _bug(
        "the bookmark is the sync's end instead of its beginning",
        "sync/emitter.py",
        "bookmark = scan.bookmark or started_at\n",
        'bookmark = scan.bookmark or (started_at and __import__("source_incident").clock.now())\n',
    ),
    _bug(
        "no pass over open incidents",
        "sync/scan.py",
        "if tree.stream.open_parent_query and any(",
        "if tree.stream.open_parent_query and not any(",
    ),
    _bug(
        "the pass over open incidents reads those that changed, not the others",
        "sync/scan.py",
        "if not is_within(cursor, bounds.get(mode, lowest(bounds)))",
        "if is_within(cursor, bounds.get(mode, lowest(bounds)))",
    ),
    _bug(
        "a checkpoint does not wait for the page before it",
        "sync/scan.py",
        "        if previous:\n            await previous\n",
        "",
    ),
    _bug(
        "a version becomes active although a part could not be read",
        "sync/state.py",
        "if full_read.has_gap or full_read.keeps_older_rows",
        "if full_read.keeps_older_rows",
    ),
    _bug(
        "a killed full read gets a new version",
        "sync/state.py",
        "        if self.full_read and not self.full_read.is_finished:\n            if self.is_full_refresh",
        "        if self.full_read and not self.full_read.is_finished:\n"
        "            self.full_read = replace(self.full_read, version=int(now.timestamp() * 1000))\n"
        "            if self.is_full_refresh",
    ),
    _bug(
        "a resumed full read is an incremental one",
        "sync/state_format.py",
        "frozenset(map(str, done)) if isinstance(done, list) else None,\n            value.get",
        "None,\n            value.get",
    ),
    _bug(
        "incomplete records are not remembered",
        "sync/children.py",
        "            consumer.state.add_retry(Retry(root.cursor, frozenset({root.id})))\n",
        "            pass\n",
    ),
    _bug(
        "a resumed scan resolves retries",
        "sync/scan.py",
        "        if not any(scan.is_resumed and consumer.name in scan.lower_bounds for scan in scans):\n",
        "        if True:\n",
    ),
    _bug(
        "a refused cursor is taken as the end of the list",
        "sync/reader.py",
        "                raise PageExpiredError(error) from None\n",
        "                if error.status == 422:\n                    return\n"
        "                raise PageExpiredError(error) from None\n",
    ),
    _bug(
        "the bound of a filtered list ignores the lookback",
        "sync/plan.py",
        "bound = bookmark - stream.lookback\n",
        "bound = bookmark\n",
    ),
    _bug(
        "a nested column is filled before its list is complete",
        "sync/nested.py",
        "            await store.complete.wait()\n",
        "",
    ),
    _bug(
        "a nested column of a test incident stays empty",
        "sync/nested.py",
        'record.get("mode") not in DEFAULT_MODES',
        'record.get("mode") in DEFAULT_MODES',
    ),
    _bug(
        "a deselected mode loses its position",
        "sync/state.py",
        "self._unused = fields.unused\n",
        "self._unused = {}\n",
    ),
    _bug(
        "a gateway's 404 means that the record is gone",
        "api/responses.py",
        " or (status == 404 and not body.is_not_found)",
        "",
    ),
    _bug(
        "a body without its list is an empty list",
        "streams/base.py",
        '            raise UnexpectedAnswerError(f"the answer has no {self.records_key!r}")\n',
        "            return []\n",
    ),
    _bug(
        "a list that ends far below its total is complete",
        "sync/reader.py",
        "return total is not None and",
        "return False and total is not None and",
    ),
    _bug(
        "a resumed scan sets the bookmark of its last sync",
        "sync/plan.py",
        "bookmark=resume.bookmark, ",
        "",
    ),
    _bug(
        "a state of a divided list forgets the other partitions",
        "sync/partitions.py",
        "        return tuple(other.partition for other in self.sequences)",
        "        return (sequence.partition,) if page.after else ()",
    ),
    _bug(
        "a filter by date ignores time zones",
        "streams/kinds.py",
        "(moment.astimezone(UTC) - timedelta(hours=12))",
        "moment.astimezone(UTC)",
    ),
    _bug(
        "late workloads are not read again",
        "sync/children.py",
        "page.complete_until < root.cursor:",
        "page.complete_until < root.cursor and False:",
    ),
    _bug(
        "a column stays empty after the key gets its scope",
        "sync/scan.py",
        "            state.needs_full_read = True\n",
        "            pass\n",
    ),
)


@dataclass(frozen=True)
class Catch:
    """How often a bug was caught.

    Attributes:
        accounts: of each run that caught it, how many accounts it took.
    """

    bug: PlantedBug
    runs: int
    accounts: tuple[int, ...]

    @property
    def is_enough(self) -> bool:
        return 10 * len(self.accounts) >= 9 * self.runs

    def __str__(self) -> str:
        taken = f"after {sum(self.accounts) / len(self.accounts):.0f} accounts" if self.accounts else ""
        return f"| {self.bug.name} | {self.runs} | {len(self.accounts)} | {taken} |"


def catches(bugs: tuple[PlantedBug, ...], runs: int, accounts: int) -> Iterator[Catch]:
    """Plant each bug into a copy of the engine, and simulate accounts until it is caught."""
    for bug in bugs:
        with TemporaryDirectory() as folder:
            package = Path(folder) / "source_incident"
            shutil.copytree(REPOSITORY / "source_incident", package, ignore=shutil.ignore_patterns("__pycache__"))
            bug.apply(package)
            found = [_accounts_until_caught(Path(folder), seed, accounts) for seed in range(1, runs + 1)]
        yield Catch(bug, runs, tuple(count for count in found if count))


def _accounts_until_caught(folder: Path, seed: int, accounts: int) -> int | None:
    """How many accounts it took to catch the bug in the engine of a folder; None: it was not."""
    command = [sys.executable, "-m", "integration_tests.soak.simulate", "--stop", "--accounts", str(accounts)]
    # The folder with the copy comes before the repository.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(folder), str(REPOSITORY)))}
    run = subprocess.run(
        [*command, "--seed", str(seed)], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if run.returncode == 0:
        return None
    first = run.stdout.splitlines()[0] if run.stdout else ""
    if not first.startswith("account "):
        raise RuntimeError(f"the simulation itself failed: {run.stderr[-2000:]}")
    return int(first.split()[1]) + 1
