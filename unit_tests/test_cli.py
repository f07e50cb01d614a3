"""The command line: every form of calling, in either protocol; its help, its completion."""

import re
import shutil
import subprocess
from pathlib import Path

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
        ("--init", "init", True),
        ("--init --config c.json", "init", True),
        ("read --config c.json --no-progress", "read", False),
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
        "--init --test",
        "read --init",
        "--init --config ENV",
        "--print-completion tcsh",
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
     "--config", "--catalog", "--state", "c.json", "--debug", "--version", "-c", "--init", "--print-completion",
     "fish"]
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
        assert args.command in (*cli.COMMANDS, "about", "completion", "init", "version")


def test_help_is_a_page_with_every_example(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit) as end:
        parse(["--help"])
    assert end.value.code == 0
    shown = capsys.readouterr().out
    assert shown.count("\n") < 70
    for what, line in cli.EXAMPLES:
        assert f"  # {what}\n  {line}\n" in shown
    for command in cli.COMMANDS:
        assert f"\n  {command} " in shown


def flags() -> set[str]:
    return {flag for action in cli.parser()._actions for flag in action.option_strings if flag.startswith("--")}


@pytest.mark.parametrize("shell", cli.SHELLS)
def test_a_shell_completes_every_flag_and_its_syntax_is_right(shell: str, tmp_path: Path) -> None:
    script = cli.completion(shell, "source-incident")
    listed = set(re.findall(r"(?:--|-l )([a-z-]+)", script))
    assert {flag.removeprefix("--") for flag in flags()} <= listed
    assert "source-incident" in script
    assert "tap-incident" not in script
    if shutil.which(shell):
        check = "--no-execute" if shell == "fish" else "-n"
        (tmp_path / "script").write_text(script)
        subprocess.run([shell, check, tmp_path / "script"], check=True)


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("--dis", {"--discover"}),
        ("re", {"read"}),
        ("--print-completion ", {"bash", "fish", "zsh"}),
        ("read --config conf", {"config.json", "confidential"}),
        ("--catalog cat", {"catalog.json"}),
    ],
)
def test_bash_offers_what_fits(line: str, offered: set[str], tmp_path: Path) -> None:
    for name in ("config.json", "confidential", "catalog.json"):
        (tmp_path / name).touch()
    script = cli.completion("bash", "tap-incident")
    words = ["tap-incident", *line.split(" ")]
    asked = f"""{script}
COMP_WORDS=({" ".join(f"'{word}'" for word in words)}); COMP_CWORD={len(words) - 1}
_shtab_tap_incident
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(["bash", "-c", asked], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == offered
