"""The generated documentation is up to date and complete."""

import pytest

from source_incident import cli
from source_incident.config import SETTINGS
from source_incident.streams import STREAMS
from source_incident.streams.base import stream_name
from tools.docs import command_line, generated_files, settings, streams
from tools.docs.markdown import insert_tables
from tools.generated import ROOT, stale_files

BY_NAME = {stream_name(stream): stream for stream in STREAMS}


def test_the_committed_files_are_up_to_date() -> None:
    stale = [str(path.relative_to(ROOT)) for path in stale_files(generated_files())]
    assert not stale, "run: make docs"


@pytest.mark.parametrize("text", ["no place", "<!-- t:begin -->\n<!-- t:end -->\n" * 2])
def test_rejects_a_page_without_exactly_one_place_for_a_table(text: str) -> None:
    with pytest.raises(ValueError, match="places for the table 't'"):
        insert_tables(text, {"t": "| a |\n"})


def test_every_stream_has_a_section_and_a_row() -> None:
    page, table = streams.page(), streams.overview_table()
    for name in BY_NAME:
        assert f"\n### {name}\n" in page
        assert f"| [`{name}`](#{name})" in table


def test_every_stream_has_a_description_of_its_own() -> None:
    descriptions = [stream.__doc__ for stream in STREAMS]
    assert all(descriptions)
    assert len(set(descriptions)) == len(descriptions)


def test_scopes_of_a_child_include_those_of_its_parents() -> None:
    assert streams.scopes(BY_NAME["incident_attachments"]) == ["attachments.view", "incidents.view"]
    assert streams.scopes(BY_NAME["call_transcript_entries"]) == ["call_transcripts.view", "incidents.view"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("severities", "full refresh"),
        ("incidents", "incremental by `updated_at`"),
        ("incident_updates", "incremental by `created_at`, filtered by the connector"),
        ("alert_notes", "incremental by parent, `alerts`"),
        ("schedule_overrides", "full refresh, child of `schedules`"),
    ],
)
def test_describes_each_kind_of_replication(name: str, expected: str) -> None:
    assert streams.replication(BY_NAME[name]) == expected


def test_every_withheld_field_is_listed() -> None:
    page = streams.page()
    for stream in STREAMS:
        for field in stream.credentials:
            assert f"| `{stream_name(stream)}` | `{field}` |" in page


def test_least_scopes_cover_the_default_streams_with_parents_and_nested_columns() -> None:
    needed = streams.least_scopes()
    assert "incidents" in needed["attachments.view"], "a nested column needs it, the list itself does not"
    assert "catalog_entries" in needed["catalog_types.view"], "the parent needs it"
    default = {name for name, stream in BY_NAME.items() if stream.selected_by_default}
    assert {name for names in needed.values() for name in names} <= default
    assert "api_keys.view" not in needed
    for scope, names in needed.items():
        assert f"| `{scope}` | {', '.join(f'`{name}`' for name in names)} |\n" in streams.scopes_table()


def test_every_setting_is_on_its_page() -> None:
    page = settings.page()
    for setting in SETTINGS:
        assert f"| `{setting.name}` | `{setting.environment}` |" in page
        assert setting.description in page


def test_every_flag_and_every_example_is_on_the_command_line_page() -> None:
    page = command_line.page()
    for action in cli.parser()._actions:
        for flag in action.option_strings:
            assert f"`{flag}" in page
    for _, line in cli.EXAMPLES:
        assert f"$ {line}\n" in page
