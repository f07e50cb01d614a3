"""Make docs/cli.md from the parser of the command line.

    python -m tools.cli [--check]

`--check` writes nothing and exits 1 where the page is stale.
"""

import argparse
import sys

from source_incident import cli
from source_incident.config import SETTINGS
from tools.document import ROOT

PAGE = ROOT / "docs" / "cli.md"

TEXT = """\
# tap-incident

Made by `python -m tools.cli` from the parser in `source_incident/cli.py`. `source-incident` is the same program.

## Synopsis

```
tap-incident [COMMAND] [options]
```

{description}

## Commands

{commands}

## Options

{options}

## Examples

{examples}

## What it writes

Records, schemas, state, and in Airbyte's protocol the log too, go to stdout; a person's part goes to stderr.

- Where stderr is a terminal and stdout is not, a live display on the terminal's last lines shows the streams that are
  being read with their records (of how many, where the API tells) and their rate, requests, retries, what is left of
  the rate limit, and the seconds in which requests waited. The log, and what a target prints, goes above it. After
  `kill -9` the last lines stay apart: `reset` gives them back.
- Elsewhere the log gets a line for each stream that is being read, every 30 seconds.
- `--no-progress` turns both off.
- At the end, one line of the log sums up: `Summary: 46 of 48 streams finished, 2 left out; 12,345 records; 579
  requests, 3 retries, 12.3 s waited; 29.4 s in all`.

`--init` asks for the key at a terminal, without showing it, and checks it. It lists what the key can read and how much
there is, with one request a list, and which scopes it lacks. Then it writes `config.json`, or the file that `--config`
names, so that only its owner can read it; of a file that is there already it replaces the key, if told to. An endpoint
from the environment that is not the default one is written with the key that it accepted.

## Exit codes

{exit_codes}

## Environment

A setting that the config file lacks comes from the environment; [the README](../README.md#settings) says what each
does.

{environment}

`NO_COLOR` and `TERM=dumb` do to the live display what they do elsewhere.

## Completion

| shell | where the script goes |
| --- | --- |
| bash | `tap-incident --print-completion bash > ~/.local/share/bash-completion/completions/tap-incident` |
| zsh | `tap-incident --print-completion zsh > ~/.zfunc/_tap-incident`, with `fpath+=~/.zfunc` before `compinit` |
| fish | `tap-incident --print-completion fish > ~/.config/fish/completions/tap-incident.fish` |
"""


def page() -> str:
    """docs/cli.md."""
    return TEXT.format(
        description=" ".join(cli.DESCRIPTION.split()),
        commands=_table(("command", "what it does"), [(f"`{name}`", does) for name, does in cli.COMMANDS.items()]),
        options=_table(("option", "what it does"), _options()),
        examples="\n\n".join(f"{what}:\n\n```console\n$ {line}\n```" for what, line in cli.EXAMPLES),
        exit_codes=_table(("code", "meaning"), list(cli.EXIT_CODES.items())),
        environment=", ".join(f"`{setting.environment}`" for setting in SETTINGS),
    )


def main() -> int:
    """Writes the page, or checks it; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.cli", description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say whether the page is stale")
    if parser.parse_args().check:
        if stale := not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page():
            print("docs/cli.md is stale, run: python -m tools.cli", file=sys.stderr)
        return int(stale)
    PAGE.write_text(page(), encoding="utf-8")
    return 0


def _options() -> list[tuple[str, str]]:
    rows = []
    for action in cli.parser()._actions:
        if action.option_strings:
            value = action.metavar or ("|".join(action.choices) if action.choices else "")
            flags = ", ".join(f"`{flag}{f' {value}' if value else ''}`" for flag in action.option_strings)
            rows.append((flags, action.help or ""))
    return rows


def _table(head: tuple[str, str], rows: list[tuple[str, str]]) -> str:
    lines = [head, ("---", "---"), *((left.replace("|", "\\|"), right) for left, right in rows)]
    return "\n".join(f"| {left} | {right} |" for left, right in lines)


if __name__ == "__main__":
    sys.exit(main())
