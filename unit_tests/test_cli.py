"""The command line: every form of calling, in either protocol."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from source_incident import cli
from source_incident.cli import UsageError, parse


@pytest.mark.parametrize(
    ("line", "command", "singer"),
    [
        ("spec", "spec", False),
        ("check --config c.json", "check", False),
        ("discover --config c.json", "discover", False),
        ("read --config c.json", "read", False),
        ("read --config c.json --catalog k.json --state s.json", "read", False),
        ("--config c.json --discover", "discover", True),
        ("--discover --config c.json", "discover", True),
        ("--discover --config=c.json", "discover", True),
        ("-c c.json -d", "discover", True),
        ("--config c.json", "read", True),
        ("--config c.json --catalog k.json --state s.json", "read", True),
        ("--singer --config c.json --catalog k.json --state s.json", "read", True),
        ("--config c.json --properties k.json", "read", True),
        ("-c c.json -p k.json -s s.json", "read", True),
        ("discover --singer --config c.json", "discover", True),
        ("--singer discover --config c.json", "discover", True),
        ("discover --config c.json --singer", "discover", True),
        ("read --singer --config c.json", "read", True),
        ("--config c.json read --singer", "read", True),
        ("check --singer --config c.json", "check", True),
        ("spec --singer", "spec", True),
        ("--config c.json --test", "check", True),
        ("--test --config c.json", "check", True),
        ("check --test -c c.json", "check", True),
        ("discover --discover -c c.json", "discover", True),
        ("--about", "about", True),
        ("--about --format json", "about", True),
        ("--about --format=markdown", "about", True),
        ("--about --singer", "about", True),
        ("", "read", True),
    ],
)
def test_a_form_of_calling_means_its_command(line: str, command: str, singer: bool) -> None:
    args = parse(line.split())
    assert (args.command, args.singer) == (command, singer)


@pytest.mark.parametrize("flag", ["--catalog", "--properties", "-p"])
def test_the_catalog_has_an_old_name(flag: str) -> None:
    assert parse([flag, "k.json"]).catalog == "k.json"


@pytest.mark.parametrize("line", ["--version", "--version --config c.json", "read --version", "--about --version"])
def test_version_is_asked_for_with_whatever_else(line: str) -> None:
    assert parse(line.split()).command == "version"


@pytest.mark.parametrize(
    "line",
    [
        "write",
        "read discover",
        "--discover --test -c c.json",
        "--about --discover",
        "read --discover -c c.json",
        "discover --test -c c.json",
        "spec --about",
        "--format json",
        "--about --format xml",
        "--config",
        "--conf c.json",
        "--what",
        "-x",
        "--a\nb",
        "a\nb",
    ],
)
def test_what_does_not_go_together_is_one_line(line: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(line.split(" "))
    assert str(caught.value)
    assert "\n" not in str(caught.value)


WORDS = st.sampled_from(
    ["spec", "check", "discover", "read", "--singer", "--discover", "--test", "--about", "--format", "json",
     "--config", "--catalog", "--state", "c.json", "--debug", "--version", "-c"]
)  # fmt: skip


@given(st.lists((WORDS | st.text(max_size=5)).filter(lambda word: word not in ("-h", "--help")), max_size=6))
def test_any_line_is_a_command_or_a_usage_error(words: list[str]) -> None:
    try:
        args = parse(words)
    except UsageError as error:
        assert "\n" not in str(error)
    except SystemExit as end:
        assert end.code == 0, "help was asked for, in letters run together"
    else:
        assert args.command in (*cli.COMMANDS, "about", "version")


def test_help_shows_both_ways_of_calling_with_an_example_each(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parse(["--help"])
    assert end.value.code == 0
    shown = capsys.readouterr().out
    assert "tap-incident read --config config.json | head" in shown
    assert "tap-incident --config config.json | target-jsonl" in shown
