"""Generates the documentation that follows from the code: whole pages, and tables inside written pages.

docs/streams.md, docs/settings.md and docs/cli.md are generated. SECURITY.md, docs/reliability.md and
docs/verify.md have generated tables, each between `<!-- NAME:begin -->` and `<!-- NAME:end -->`.
"""

from pathlib import Path

from tools.docs import command_line, settings, staleness, streams, verify
from tools.docs.markdown import insert_tables
from tools.docs.streams import scopes
from tools.generated import ROOT

__all__ = ["generated_files", "scopes"]


def generated_files() -> dict[Path, str]:
    """The path and the expected content of each generated file.

    Raises:
        ValueError: a written page has no place, or several places, for a table.
    """
    security = ROOT / "SECURITY.md"
    reliability = ROOT / "docs" / "reliability.md"
    verify_page = ROOT / "docs" / "verify.md"
    tables = {"scopes": streams.scopes_table(), "withheld": streams.withheld_table()}
    return {
        ROOT / "docs" / "streams.md": streams.page(),
        ROOT / "docs" / "settings.md": settings.page(),
        ROOT / "docs" / "cli.md": command_line.page(),
        security: insert_tables(security.read_text(encoding="utf-8"), tables),
        reliability: insert_tables(reliability.read_text(encoding="utf-8"), {"staleness": staleness.staleness_table()}),
        verify_page: insert_tables(verify_page.read_text(encoding="utf-8"), verify.tables()),
    }
