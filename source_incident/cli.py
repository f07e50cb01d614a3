"""The command line: one parser for both ways of calling. Imports nothing heavy, so that --help answers at once."""

import argparse
from collections.abc import Sequence

COMMANDS = ("spec", "check", "discover", "read")

HELP = """\
Moves an organisation's incident.io data into its warehouse, as an Airbyte source or as a Singer tap.

As an Airbyte source, with a command:
  tap-incident spec
  tap-incident check    --config config.json
  tap-incident discover --config config.json
  tap-incident read     --config config.json [--catalog catalog.json] [--state state.json]

  Example: tap-incident read --config config.json | head

As a Singer tap, without a command, or with --singer anywhere:
  tap-incident --config config.json --discover > catalog.json
  tap-incident --config config.json [--catalog catalog.json] [--state state.json]

  Example: tap-incident --config config.json | target-jsonl

config.json needs an API key: {"api_key": "..."}. INCIDENT_API_KEY in the environment does as well.
"""


class UsageError(Exception):
    """The command line can't be used; the text is one line."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise UsageError(" ".join(message.split()))


def parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = _Parser(
        prog="tap-incident",
        description=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="tap-incident [COMMAND] [options]",
        allow_abbrev=False,
    )
    parser.add_argument("command", nargs="?", choices=COMMANDS, metavar="COMMAND", help=", ".join(COMMANDS))
    parser.add_argument("--config", "-c", metavar="FILE", help="the settings, JSON; ENV: from the environment alone")
    parser.add_argument(
        "--catalog",
        "--properties",
        "-p",
        metavar="FILE",
        help="what to read, JSON, Singer's or Airbyte's form",
    )
    parser.add_argument("--state", "-s", metavar="FILE", help="where the last run ended, JSON, either form")
    parser.add_argument("--singer", action="store_true", help="speak Singer")
    parser.add_argument("--discover", "-d", action="store_true", help="Singer: print the catalog")
    parser.add_argument("--test", action="store_true", help="Singer: see whether the key works")
    parser.add_argument("--about", action="store_true", help="Singer: print name, version, capabilities, settings")
    parser.add_argument("--format", choices=("json", "markdown"), help="of --about")
    parser.add_argument("--no-progress", action="store_true", help="no live display, no line a stream every 30 s")
    parser.add_argument("--debug", action="store_true", help="log more")
    parser.add_argument("--version", action="store_true", help="print the version")
    return parser


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The arguments, checked against each other.

    Returns:
        `command` is set in every case (about and version too); `singer` says which protocol is spoken.

    Raises:
        UsageError: they can't be used together.
    """
    args = parser().parse_args(arguments)
    if args.version:
        args.command = "version"
        return args
    flags = {
        "discover": args.discover,
        "check": args.test,
        "about": args.about,
    }
    asked = [command for command, given in flags.items() if given]
    if len(asked) > 1:
        raise UsageError("--discover, --test and --about exclude each other")
    if asked and args.command not in (None, asked[0]):
        raise UsageError(f"the command {args.command} does not go with --{'test' if args.test else asked[0]}")
    if args.format and not args.about:
        raise UsageError("--format goes with --about")
    args.singer = args.singer or args.command is None or bool(asked)
    args.command = asked[0] if asked else args.command or "read"
    return args
