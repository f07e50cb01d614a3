"""The pages about the streams are what the tool makes, and say what matters."""

from source_incident.streams import STREAMS
from tools import docs
from tools.document import ROOT
from tools.schemas import stream_name

BY_NAME = {stream_name(stream): stream for stream in STREAMS}


def test_the_committed_pages_are_what_the_tool_makes() -> None:
    stale = [
        str(path.relative_to(ROOT))
        for path, content in docs.files().items()
        if not path.exists() or path.read_text(encoding="utf-8") != content
    ]
    assert not stale, "run: python -m tools.docs"


def test_every_stream_has_a_section_and_a_row() -> None:
    page, table = docs.page(), docs.table()
    for name in BY_NAME:
        assert f"\n### {name}\n" in page
        assert f"[`{name}`]" in table


def test_every_stream_is_described_in_words_of_its_own() -> None:
    summaries = [stream.__doc__ for stream in STREAMS]
    assert all(summaries)
    assert len(set(summaries)) == len(summaries)


def test_a_childs_scopes_name_its_parents_too() -> None:
    assert docs.scopes(BY_NAME["incident_attachments"]) == ["attachments.view", "incidents.view"]
    assert docs.scopes(BY_NAME["call_transcript_entries"]) == [
        "call_transcripts.view",
        "incidents.view",
    ]


def test_replication_is_told_apart() -> None:
    assert docs.replication(BY_NAME["severities"]) == "full table"
    assert docs.replication(BY_NAME["incidents"]) == "incremental by `updated_at`"
    assert docs.replication(BY_NAME["incident_updates"]) == ("incremental by `created_at`, compared by the connector")
    assert docs.replication(BY_NAME["alert_notes"]) == "incremental by parent, `alerts`"
    assert docs.replication(BY_NAME["schedule_overrides"]) == "full table, for each of `schedules`"


def test_what_is_withheld_is_written_down() -> None:
    page = docs.page()
    for stream in STREAMS:
        for field in stream.credentials:
            assert f"| `{stream_name(stream)}` | `{field}` |" in page


def test_the_least_scopes_are_those_of_the_default_streams_their_parents_and_their_nested_columns() -> None:
    needed = docs.least_scopes()
    assert "incidents" in needed["attachments.view"], "a nested column of a stream whose own list needs less"
    assert "catalog_entries" in needed["catalog_types.view"], "the parent's"
    default = {name for name, stream in BY_NAME.items() if stream.selected_by_default}
    assert {name for names in needed.values() for name in names} <= default
    assert "api_keys.view" not in needed
    for scope, streams in needed.items():
        assert f"| `{scope}` | {', '.join(f'`{name}`' for name in streams)} |\n" in docs.scopes_table()
