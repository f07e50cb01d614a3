"""The commands of the documents, and what runs each."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from integration_tests.docs.markdown import DOCUMENTS, blocks

SHELL = {"bash", "sh", "shell", "console"}
IN_A_CONTAINER = "docker run *"
# Commands that are not run as they stand, and why.
NOT_RUN = {
    "tap-incident --init": "it asks on a terminal: integration_tests/sync/test_init.py answers it on one",
    "examples/install.sh": "the README's runs, with another target",
    "make demo": "integration_tests/test_demo.py runs what it runs",
    "make test": "it is what runs these tests",
    "make image": "container/conftest.py builds the image the same way",
    "docker build *": "container/test_sync_image.py builds it the same way",
    "docker tag *": "needs a registry",
    "docker push *": "needs a registry",
    "kind load *": "needs an Airbyte that abctl has set up",
    "kubectl *": "needs a cluster: test_examples.py validates the file, container/test_sync_image.py runs its job",
    "helm *": "needs a cluster",
    "terraform *": "needs an Airbyte, and its provider: test_examples.py reads the file",
    "airflow connections add *": "container/test_sync_image.py gives Airflow the connection by its environment",
    "dagster asset materialize *": "test_examples.py runs it",
    "dagster instance concurrency *": "needs a Dagster instance that others share",
    "meltano *": "integration_tests/meltano runs them on the project that the README names",
}
# Documents whose commands have tests of their own.
ELSEWHERE = {"docs/cli.md": "integration_tests/clients/test_command_line.py"}


@dataclass(frozen=True)
class Command:
    """A command of a document, all its lines."""

    text: str
    document: str
    line: int

    def like(self, pattern: str) -> bool:
        return fnmatchcase(self.text, pattern)


def commands() -> Iterator[Command]:
    """All of them, in the order in which they stand."""
    for document in DOCUMENTS:
        if document in ELSEWHERE:
            continue
        for block in blocks(document):
            if block.language.partition(" ")[0] in SHELL:
                yield from _of(block.text, document, block.line)


def _of(text: str, document: str, line: int) -> Iterator[Command]:
    begun: list[str] = []
    for number, row in enumerate(text.splitlines(), line + 1):
        begun.append(row.removeprefix("$ "))
        whole = "\n".join(begun)
        if _is_complete(whole):
            if whole.strip():
                yield Command(whole, document, number + 1 - len(begun))
            begun = []


def _is_complete(text: str) -> bool:
    """Whether a shell would wait for no further line."""
    try:
        shlex.split(text, comments=True)
    except ValueError:
        return False
    return not text.endswith("\\")


def run_here(document: str) -> list[Command]:
    """The commands of a document that run as they stand, outside of containers."""
    others = (*NOT_RUN, IN_A_CONTAINER)
    return [c for c in commands() if c.document == document and not any(c.like(pattern) for pattern in others)]
