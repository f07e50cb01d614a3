"""The command line: one parser for both ways of calling. Imports nothing heavy, so that --help answers at once."""

import argparse
from collections.abc import Sequence

PROGRAMS = ("tap-incident", "source-incident")
COMMANDS = {
    "spec": "print the settings there are",
    "check": "see whether the key works, and name what it can't read",
    "discover": "print the catalog of streams",
    "read": "read what the catalog selects; without one, every default stream",
}
SHELLS = ("bash", "zsh", "fish")
# What each is for, and a line for the shell; in order, each can use what those before it wrote.
EXAMPLES = (
    ("Make config.json: asks for the API key, shows what it can read", "tap-incident --init"),
    ("See whether the key works", "tap-incident --config config.json --test"),
    ("Write down what there is, to choose from", "tap-incident --config config.json --discover > catalog.json"),
    (
        "Read into a Singer target, and keep the state",
        "tap-incident --config config.json --catalog catalog.json | target-jsonl | tail -n 1 > state.json",
    ),
    (
        "Read what changed since",
        "tap-incident --config config.json --catalog catalog.json --state state.json | target-jsonl",
    ),
    ("The same as an Airbyte source, into a file", "tap-incident read --config config.json > messages.jsonl"),
    ("Complete flags in this shell", 'eval "$(tap-incident --print-completion bash)"'),
)
EXIT_CODES = {
    "0": "done",
    "1": "the run failed; what was written is true",
    "2": "the command line, config, catalog or state can't be used",
    "129, 130, 143": "stopped by SIGHUP, SIGINT, SIGTERM",
    "141": "whoever read the output has gone",
}
DESCRIPTION = """\
Moves an organisation's incident.io data into its warehouse: as an Airbyte source
with a command, as a Singer tap without one or with --singer."""


class UsageError(Exception):
    """The command line can't be used; the text is one line."""


class _Formatter(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise UsageError(" ".join(message.split()))


def parser(program: str = PROGRAMS[0]) -> argparse.ArgumentParser:
    """The parser of the command line.

    Args:
        program: the name that it is called by.
    """
    parser = _Parser(
        prog=program,
        description=DESCRIPTION,
        epilog=_epilog(),
        formatter_class=_Formatter,
        usage="%(prog)s [COMMAND] [options]",
        allow_abbrev=False,
        add_help=False,
    )
    listed = "\n".join(f"{name:26}{does}" for name, does in COMMANDS.items())
    commands = parser.add_argument_group("commands, as an Airbyte source", listed)
    commands.add_argument(
        "command", nargs="?", choices=tuple(COMMANDS), metavar="COMMAND", help=f"one of {', '.join(COMMANDS)}"
    )

    files = parser.add_argument_group("files")
    files.add_argument(
        "--config",
        "-c",
        metavar="FILE",
        help='the settings, JSON, such as {"api_key": "..."}; what it lacks comes from the environment, as '
        "INCIDENT_API_KEY; ENV: all from there",
    )
    files.add_argument(
        "--catalog",
        "--properties",
        "-p",
        metavar="FILE",
        help="what to read, JSON, Singer's or Airbyte's form",
    )
    files.add_argument("--state", "-s", metavar="FILE", help="where the last run ended, JSON, either form")

    singer = parser.add_argument_group("instead of reading")
    singer.add_argument("--init", action="store_true", help="ask for the key and write the config file")
    singer.add_argument("--test", action="store_true", help="Singer: see whether the key works")
    singer.add_argument("--discover", "-d", action="store_true", help="Singer: print the catalog")
    singer.add_argument("--about", action="store_true", help="Singer: print name, version, capabilities, settings")
    singer.add_argument("--format", choices=("json", "markdown"), help="of --about")
    singer.add_argument(
        "--print-completion", choices=SHELLS, metavar="SHELL", help=f"print the completion for {', '.join(SHELLS)}"
    )
    singer.add_argument("--version", action="store_true", help="print the version")
    singer.add_argument("--help", "-h", action="help", help="print this page")

    how = parser.add_argument_group("how")
    how.add_argument("--singer", action="store_true", help="speak Singer, whatever the command")
    how.add_argument("--no-progress", action="store_true", help="no live display, no line a stream every 30 s")
    how.add_argument("--debug", action="store_true", help="log more")
    return parser


def completion(shell: str, program: str) -> str:
    """The script that completes this command line in a shell.

    Args:
        shell: one of SHELLS.
        program: the name that it is called by.
    """
    import shtab

    described = parser(program)
    for action in described._actions:
        if action.metavar == "FILE":
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    return str(shtab.complete(described, shell))


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The arguments, checked against each other.

    Returns:
        `command` is set in every case (init, about, completion and version too); `singer` says which protocol is
        spoken.

    Raises:
        UsageError: they can't be used together.
    """
    args = parser().parse_args(arguments)
    if args.version or args.print_completion:
        args.command = "version" if args.version else "completion"
        return args
    flags = {"init": args.init, "discover": args.discover, "check": args.test, "about": args.about}
    asked = [command for command, given in flags.items() if given]
    if len(asked) > 1:
        raise UsageError("--init, --discover, --test and --about exclude each other")
    if asked and args.command not in (None, asked[0]):
        raise UsageError(f"the command {args.command} does not go with --{'test' if args.test else asked[0]}")
    if args.format and not args.about:
        raise UsageError("--format goes with --about")
    if args.init and args.config == "ENV":
        raise UsageError("--init writes a file, --config ENV is none")
    args.singer = args.singer or args.command is None or bool(asked)
    args.command = asked[0] if asked else args.command or "read"
    return args


def _epilog() -> str:
    examples = [f"  # {what}\n  {line}" for what, line in EXAMPLES]
    codes = [f"  {code:14}{means}" for code, means in EXIT_CODES.items()]
    return "\n".join(["examples:", *examples, "", "exit codes:", *codes])
