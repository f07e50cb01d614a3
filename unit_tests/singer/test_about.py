"""`--about`: the description that Meltano and the Singer SDK's tools read."""

import subprocess
import sys

from source_incident.config import SETTINGS, connection_specification
from source_incident.singer.about import about, about_markdown

ABOUT = about("tap-incident", "Moves data", "1.2.3", connection_specification())


def test_uses_the_sdks_keywords_and_none_of_airbytes() -> None:
    assert (ABOUT["name"], ABOUT["version"], ABOUT["description"]) == ("tap-incident", "1.2.3", "Moves data")
    assert {"catalog", "discover", "state", "about", "properties"} <= set(ABOUT["capabilities"])
    settings = ABOUT["settings"]
    assert list(settings["properties"]) == [setting.name for setting in SETTINGS]
    assert settings["properties"]["api_key"]["secret"] is True
    keywords = {keyword for schema in settings["properties"].values() for keyword in schema}
    assert not keywords & {"order", "airbyte_secret", "pattern_descriptor"}


def test_leaves_the_spec_unchanged() -> None:
    spec = connection_specification()
    about("tap-incident", "", "1", spec)
    assert spec == connection_specification()


def test_markdown_has_a_table_row_per_setting() -> None:
    page = about_markdown(ABOUT)
    assert page.startswith("# `tap-incident`\n")
    assert page.endswith("|\n")
    table_rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert len(table_rows) == len(SETTINGS)
    assert table_rows[0].startswith("| `api_key` | yes |  | ")
    assert all(line.count("|") == 5 for line in table_rows)


def test_does_not_load_the_cdk() -> None:
    code = "import sys, source_incident.singer.about; sys.exit('airbyte_cdk' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
