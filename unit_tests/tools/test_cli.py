"""The page about the command line is what the tool makes, and leaves no flag out."""

from source_incident import cli
from tools.cli import PAGE, page


def test_the_committed_page_is_what_the_tool_makes() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tools.cli"


def test_every_flag_and_every_example_is_on_the_page() -> None:
    made = page()
    for action in cli.parser()._actions:
        for flag in action.option_strings:
            assert f"`{flag}" in made
    for _, line in cli.EXAMPLES:
        assert f"$ {line}\n" in made
