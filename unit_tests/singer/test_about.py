"""`--about`: what Meltano and the SDK's tools read of the tap."""

from source_incident.config import SETTINGS, connection_specification
from source_incident.singer import about, about_markdown

ABOUT = about("tap-incident", "Moves data", "1.2.3", connection_specification())


def test_it_has_the_sdks_words_and_none_of_airbytes() -> None:
    assert (ABOUT["name"], ABOUT["version"], ABOUT["description"]) == ("tap-incident", "1.2.3", "Moves data")
    assert {"catalog", "discover", "state", "about", "properties"} <= set(ABOUT["capabilities"])
    settings = ABOUT["settings"]
    assert list(settings["properties"]) == [setting.name for setting in SETTINGS]
    assert settings["properties"]["api_key"]["secret"] is True
    words = {word for schema in settings["properties"].values() for word in schema}
    assert not words & {"order", "airbyte_secret", "pattern_descriptor"}


def test_the_spec_it_is_made_from_is_left_as_it_is() -> None:
    spec = connection_specification()
    about("tap-incident", "", "1", spec)
    assert spec == connection_specification()


def test_as_markdown_it_is_a_page_with_a_row_a_setting() -> None:
    page = about_markdown(ABOUT)
    assert page.startswith("# `tap-incident`\n")
    assert page.endswith("|\n")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) == len(SETTINGS)
    assert rows[0].startswith("| `api_key` | yes |  | ")
    assert all(line.count("|") == 5 for line in rows)
