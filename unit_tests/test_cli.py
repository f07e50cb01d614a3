"""The command line: forms of both protocols, help, completion."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from source_incident import cli
from source_incident.cli import parse
from source_incident.errors import InputError


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
        ("--verify", "verify", True),
        ("--config c.json --verify --format json", "verify", True),
        ("--verify --catalog k.json --format=markdown", "verify", True),
        ("--init", "init", True),
        ("--init --config c.json", "init", True),
        ("read --config c.json --no-progress", "read", False),
        ("", "read", True),
    ],
)
def test_parses_every_form_of_a_command(line: str, command: str, singer: bool) -> None:
    args = parse(line.split())
    assert (args.command, args.singer) == (command, singer)


@pytest.mark.parametrize("flag", ["--catalog", "--properties", "-p"])
def test_the_catalog_option_has_other_names(flag: str) -> None:
    assert parse([flag, "k.json"]).catalog == "k.json"


@pytest.mark.parametrize("line", ["--version", "--version --config c.json", "read --version", "--about --version"])
def test_version_overrides_other_arguments(line: str) -> None:
    assert parse(line.split()).command == "version"


@pytest.mark.parametrize(
    "line",
    [
        "write",
        "read discover",
        "--discover --test -c c.json",
        "--about --discover",
        "--init --test",
        "--verify --test",
        "check --verify",
        "--discover --format json",
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
def test_rejects_an_unusable_command_line_in_one_line(line: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(line.split(" "))
    assert str(caught.value)
    assert "\n" not in str(caught.value)


WORDS = st.sampled_from(
    ["spec", "check", "discover", "read", "--singer", "--discover", "--test", "--about", "--format", "json",
     "--config", "--catalog", "--state", "c.json", "--debug", "--version", "-c", "--init", "--print-completion",
     "fish", "--verify"]
)  # fmt: skip


@given(st.lists((WORDS | st.text(max_size=5)).filter(lambda word: word not in ("-h", "--help")), max_size=6))
def test_any_command_line_is_parsed_or_rejected(words: list[str]) -> None:
    try:
        args = parse(words)
    except InputError as error:
        assert "\n" not in str(error)
    except SystemExit as end:
        assert end.code == 0, "only -h in combined short options exits, after the help"
    else:
        assert args.command in (*cli.COMMANDS, "about", "completion", "init", "verify", "version")


def test_help_shows_every_command_and_example(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit) as end:
        parse(["--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert text.count("\n") < 70
    for description, line in cli.EXAMPLES:
        assert f"  # {description}\n  {line}\n" in text
    for command in cli.COMMANDS:
        assert f"\n  {command} " in text


def flags() -> set[str]:
    return {flag for action in cli.parser()._actions for flag in action.option_strings if flag.startswith("--")}


@pytest.mark.parametrize("shell", cli.SHELLS)
def test_the_completion_script_is_valid_and_has_every_option(shell: str, tmp_path: Path) -> None:
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
    ("line", "expected"),
    [
        ("--dis", {"--discover"}),
        ("re", {"read"}),
        ("--print-completion ", {"bash", "fish", "zsh"}),
        ("read --config conf", {"config.json", "confidential"}),
        ("--catalog cat", {"catalog.json"}),
    ],
)
def test_bash_completes(line: str, expected: set[str], tmp_path: Path) -> None:
    for name in ("config.json", "confidential", "catalog.json"):
        (tmp_path / name).touch()
    script = cli.completion("bash", "tap-incident")
    words = ["tap-incident", *line.split(" ")]
    program = f"""{script}
COMP_WORDS=({" ".join(f"'{word}'" for word in words)}); COMP_CWORD={len(words) - 1}
_shtab_tap_incident
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(["bash", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == expected
