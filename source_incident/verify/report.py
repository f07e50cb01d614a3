"""The result of --verify as a table for a terminal, as Markdown and as JSON."""

import io
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from source_incident.verify.assumption import Assumption, Outcome, Result
from source_incident.version import version

STYLES = {Outcome.HOLDS: "green", Outcome.FAILS: "bold red", Outcome.NOT_TRIED: "yellow"}


@dataclass(frozen=True)
class StreamResult:
    """What was read of a stream.

    Attributes:
        name: the stream's name.
        records: how many records its first page has; None: it was not read.
        problem: why it was not read.
    """

    name: str
    records: int | None
    problem: str


@dataclass(frozen=True)
class Report:
    """What was found. It has names and counts, never values, ids or the key.

    Attributes:
        results: each assumption with its result.
        streams: what was read of each selected stream.
        missing_scopes: scopes that the key lacks, with the streams that need them.
        requests: how many requests were made, without retries.
    """

    results: tuple[tuple[Assumption, Result], ...]
    streams: tuple[StreamResult, ...]
    missing_scopes: Mapping[str, list[str]]
    requests: int

    @property
    def holds(self) -> bool:
        """Whether nothing contradicts an assumption."""
        return all(result.outcome != Outcome.FAILS for _, result in self.results)

    @property
    def summary(self) -> str:
        """The totals in one line."""
        counts = Counter(result.outcome for _, result in self.results)
        read = sum(stream.records is not None for stream in self.streams)
        return (
            f"tap-incident {version()}: of {len(self.results)} assumptions {counts[Outcome.HOLDS]} hold, "
            f"{counts[Outcome.FAILS]} do not hold, {counts[Outcome.NOT_TRIED]} could not be tried. "
            f"{read} of {len(self.streams)} streams read, {self.requests} requests."
        )

    def to_json(self) -> str:
        """The report as a JSON object."""
        document = {
            "version": version(),
            "holds": self.holds,
            "requests": self.requests,
            "assumptions": [
                {
                    "name": assumption.name,
                    "section": assumption.section,
                    "assumption": assumption.text,
                    "result": result.outcome.value,
                    "details": list(result.details),
                }
                for assumption, result in self.results
            ],
            "streams": [
                {"name": stream.name, "records": stream.records, "problem": stream.problem or None}
                for stream in self.streams
            ],
            "missing_scopes": dict(self.missing_scopes),
        }
        return json.dumps(document, indent=2) + "\n"

    def to_markdown(self) -> str:
        """The report as Markdown, for an issue."""
        lines = [
            self.summary,
            "",
            "| result | assumption | details |",
            "| --- | --- | --- |",
            *(
                f"| {result.outcome} | `{assumption.name}`: {assumption.text} | {'<br>'.join(result.details)} |"
                for assumption, result in self.results
            ),
            "",
            "<details><summary>Streams</summary>",
            "",
            "| stream | records on its first page |",
            "| --- | --- |",
            *(f"| {stream.name} | {_records(stream)} |" for stream in self.streams),
            "",
            "</details>",
        ]
        return "\n".join(lines) + "\n"

    def to_table(self, width: int) -> str:
        """The report as tables with colours.

        Args:
            width: the terminal's width in characters.
        """
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table("result", "assumption", "details")
        for assumption, result in self.results:
            style = STYLES[result.outcome]
            text = Text.assemble((assumption.name, "bold"), "\n", assumption.text)
            table.add_row(Text(result.outcome, style), text, Text("\n".join(result.details)))
        streams = Table("stream not read", "reason")
        for stream in self.streams:
            if stream.records is None:
                streams.add_row(stream.name, Text(stream.problem))
        output = io.StringIO()
        console = Console(file=output, force_terminal=True, width=width)
        console.print(table)
        if streams.row_count:
            console.print(streams)
        console.print(Text(self.summary))
        return output.getvalue()


def _records(stream: StreamResult) -> str:
    return stream.problem if stream.records is None else str(stream.records)
