"""The command line: one parser for both protocols.

This module imports nothing heavy: `--help` must start fast.
"""

import argparse
from collections.abc import Sequence

from source_incident.errors import InputError

PROGRAMS = ("tap-incident", "source-incident")
COMMANDS = {
    "spec": "print the settings",
    "check": "check the API key, and list the streams it can't read",
    "discover": "print the catalog of all streams",
    "read": "read the streams of the catalog; without one, all default streams",
}
SHELLS = ("bash", "zsh", "fish")
# A description and a command line each. Each example can use the files that the ones before it wrote.
EXAMPLES = (
    ("Create config.json: asks for the API key, shows what it can read", "tap-incident --init"),
    ("Check the API key", "tap-incident --config config.json --test"),
    ("Check what the connector assumes about the API", "tap-incident --config config.json --verify"),
    (
        "Write the catalog to a file, to select streams in it",
        "tap-incident --config config.json --discover > catalog.json",
    ),
    (
        "Read into a Singer target and save the state",
        "tap-incident --config config.json --catalog catalog.json | target-jsonl | tail -n 1 > state.json",
    ),
    (
        "Read only what changed since that state",
        "tap-incident --config config.json --catalog catalog.json --state state.json | target-jsonl",
    ),
    ("Read as an Airbyte source, into a file", "tap-incident read --config config.json > messages.jsonl"),
    ("Complete options in this shell", 'eval "$(tap-incident --print-completion bash)"'),
)
EXIT_CODES = {
    "0": "success",
    "1": "the run failed, everything emitted so far is valid; or --verify found an assumption that does not hold",
    "2": "the command line, config, catalog or state can't be used",
    "129, 130, 143": "stopped by SIGHUP, SIGINT, SIGTERM",
    "141": "the reader of stdout closed the pipe",
}
DESCRIPTION = """\
Reads an organisation's incident.io data: as an Airbyte source with a command,
as a Singer tap without one or with --singer."""


class _Formatter(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise _usage_error(" ".join(message.split()))


def parser(program: str = PROGRAMS[0]) -> argparse.ArgumentParser:
    """Return the parser of the command line.

    Args:
        program: the program name to show.
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
    table = "\n".join(f"{name:26}{description}" for name, description in COMMANDS.items())
    commands = parser.add_argument_group("commands (Airbyte source)", table)
    commands.add_argument(
        "command", nargs="?", choices=tuple(COMMANDS), metavar="COMMAND", help=f"one of {', '.join(COMMANDS)}"
    )

    files = parser.add_argument_group("files")
    files.add_argument(
        "--config",
        "-c",
        metavar="FILE",
        help='JSON file with the settings, such as {"api_key": "..."}; missing ones come from the environment, such as '
        "INCIDENT_API_KEY; ENV: use only the environment",
    )
    files.add_argument(
        "--catalog",
        "--properties",
        "-p",
        metavar="FILE",
        help="JSON file with the streams to read, in Singer's or Airbyte's format",
    )
    files.add_argument(
        "--state", "-s", metavar="FILE", help="JSON file with the state of the last run, in either format"
    )

    actions = parser.add_argument_group("actions other than reading")
    actions.add_argument("--init", action="store_true", help="ask for the API key and write the config file")
    actions.add_argument("--test", action="store_true", help="Singer: check the API key")
    actions.add_argument("--discover", "-d", action="store_true", help="Singer: print the catalog")
    actions.add_argument(
        "--about", action="store_true", help="Singer: print the name, version, capabilities and settings"
    )
    actions.add_argument(
        "--verify",
        action="store_true",
        help="check on your account what the connector assumes about the API; reads only, prints no values",
    )
    actions.add_argument("--format", choices=("json", "markdown"), help="output format of --about and --verify")
    actions.add_argument(
        "--print-completion",
        choices=SHELLS,
        metavar="SHELL",
        help=f"print the completion script for {', '.join(SHELLS)}",
    )
    actions.add_argument("--version", action="store_true", help="print the version")
    actions.add_argument("--help", "-h", action="help", help="print this help")

    options = parser.add_argument_group("options")
    options.add_argument("--singer", action="store_true", help="use the Singer protocol for a command")
    options.add_argument("--no-progress", action="store_true", help="show no live display and log no progress lines")
    options.add_argument("--debug", action="store_true", help="log more details")
    return parser


def completion(shell: str, program: str) -> str:
    """Return the completion script for a shell.

    Args:
        shell: one of SHELLS.
        program: the program to complete.
    """
    import shtab

    completed = parser(program)
    for action in completed._actions:
        if action.metavar == "FILE":
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    return str(shtab.complete(completed, shell))


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments and check that they fit together.

    Returns:
        The arguments. `command` is always set: to a command, or to init, about, verify, completion or version.
        `singer` is whether the Singer protocol is used.

    Raises:
        InputError: an argument is unknown, or the arguments exclude each other.
    """
    args = parser().parse_args(arguments)
    if args.version or args.print_completion:
        args.command = "version" if args.version else "completion"
        return args
    flags = {
        "init": args.init,
        "discover": args.discover,
        "check": args.test,
        "about": args.about,
        "verify": args.verify,
    }
    requested = [command for command, is_given in flags.items() if is_given]
    if len(requested) > 1:
        raise _usage_error("--init, --discover, --test, --about and --verify exclude each other")
    if requested and args.command not in (None, requested[0]):
        flag = "test" if args.test else requested[0]
        raise _usage_error(f"the command {args.command} and --{flag} exclude each other")
    if args.format and not (args.about or args.verify):
        raise _usage_error("--format needs --about or --verify")
    if args.init and args.config == "ENV":
        raise _usage_error("--init writes a file, so --config can't be ENV")
    args.singer = args.singer or args.command is None or bool(requested)
    args.command = requested[0] if requested else args.command or "read"
    return args


def _usage_error(problem: str) -> InputError:
    return InputError("", problem, "See tap-incident --help")


def _epilog() -> str:
    examples = [f"  # {description}\n  {line}" for description, line in EXAMPLES]
    codes = [f"  {code:14}{meaning}" for code, meaning in EXIT_CODES.items()]
    return "\n".join(["examples:", *examples, "", "exit codes:", *codes])
