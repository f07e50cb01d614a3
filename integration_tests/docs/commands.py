"""The commands in the documents, and which test runs each."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from integration_tests.docs.markdown import DOCUMENTS, blocks

SHELL = {"bash", "sh", "shell", "console"}
IN_A_CONTAINER = "docker run *"
# Commands that are not run as written, and why.
NOT_RUN = {
    "tap-incident --init": "it needs a terminal: integration_tests/sync/test_init.py runs it on one",
    "examples/install.sh": "the README runs it, with another target",
    "make demo": "integration_tests/test_demo.py runs the same program",
    "make test": "it runs these tests",
    "make image": "container/conftest.py builds the same image",
    "docker build *": "container/test_sync_image.py builds the same image",
    "docker tag *": "needs a registry",
    "docker pull *": "needs a published release",
    "export IMAGE=*": "only for commands that need a published release",
    "gh *": "needs a published release: release.yml runs the same verification",
    "pip install --constraint *": "needs a published release: unit_tests/test_metadata.py tries the file",
    "docker push *": "needs a registry",
    "kind load *": "needs an Airbyte installed with abctl",
    "kubectl *": "needs a cluster: test_examples.py validates the file, container/test_sync_image.py runs its job",
    "helm *": "needs a cluster",
    "terraform *": "needs an Airbyte and its provider: test_examples.py parses the file",
    "airflow connections add *": "container/test_sync_image.py sets the connection in Airflow's environment",
    "dagster asset materialize *": "test_examples.py runs it",
    "dagster instance concurrency *": "needs a Dagster instance",
    "meltano *": "integration_tests/meltano runs them in the project that docs/singer.md names",
}
# Documents whose commands have tests of their own.
ELSEWHERE = {
    "docs/cli.md": "integration_tests/clients/test_command_line.py",
    "docs/verify.md": "integration_tests/verify/test_command.py",
}


@dataclass(frozen=True)
class Command:
    """A command in a document, with all its lines."""

    text: str
    document: str
    line: int

    def like(self, pattern: str) -> bool:
        return fnmatchcase(self.text, pattern)


def commands() -> Iterator[Command]:
    """All commands, by document, in order."""
    for document in DOCUMENTS:
        if document in ELSEWHERE:
            continue
        for block in blocks(document):
            if block.language.partition(" ")[0] in SHELL:
                yield from _split(block.text, document, block.line)


def _split(text: str, document: str, line: int) -> Iterator[Command]:
    lines: list[str] = []
    for number, row in enumerate(text.splitlines(), line + 1):
        lines.append(row.removeprefix("$ "))
        command = "\n".join(lines)
        if _is_complete(command):
            if command.strip():
                yield Command(command, document, number + 1 - len(lines))
            lines = []


def _is_complete(text: str) -> bool:
    """Whether a shell would run the text without waiting for another line."""
    try:
        shlex.split(text, comments=True)
    except ValueError:
        return False
    return not text.endswith("\\")


def runnable(document: str) -> list[Command]:
    """The commands of a document that run as written, outside of containers."""
    skipped = (*NOT_RUN, IN_A_CONTAINER)
    return [c for c in commands() if c.document == document and not any(c.like(pattern) for pattern in skipped)]
