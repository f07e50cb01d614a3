"""The console entry point: prints help, version, spec and completion; `app.py` runs the other commands.

Exit codes are listed in `cli.EXIT_CODES`.
"""

import gc
import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from source_incident import cli, config, stderr
from source_incident.errors import INPUT_ERROR, RUN_FAILED, InputError
from source_incident.singer.about import about, about_markdown
from source_incident.version import version

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

BROKEN_PIPE = 141
DESCRIPTION = "Reads an organisation's incident.io data, as an Airbyte source or a Singer tap"


def run() -> NoReturn:
    """Run the program: the entry point of the console scripts."""
    stderr.open_if_closed()
    code = main(sys.argv[1:])
    if not stderr.flush():
        os._exit(code)
    sys.exit(code)


def main(arguments: list[str]) -> int:
    """Run one command.

    Returns:
        The exit code.
    """
    try:
        args = cli.parse(arguments)
        if sys.stdout is None:
            raise InputError("", "stdout is closed, so nothing can be written", "Start the program with a stdout")
        text = _text(args)
        if text is None:
            return import_app()(args)
        print(text, flush=True)
    except InputError as error:
        stderr.write_line(f"tap-incident: {error}")
        return INPUT_ERROR
    except BrokenPipeError:
        # Without a normal exit: there Python flushes stdout again, and prints the error.
        os._exit(BROKEN_PIPE)
    except OSError as error:
        reason = error.strerror or error
        stderr.write_line(
            f"tap-incident: can't write to stdout: {reason}. Fix that, then run again with the last state written"
        )
        os._exit(RUN_FAILED)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0


def import_app() -> "Callable[[argparse.Namespace], int]":
    """Import `app`, and with it all that a sync needs, and return `app.run`.

    The garbage collector is off meanwhile. It would find nothing to free, and slow the start.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        from source_incident import app
    finally:
        if was_enabled:
            gc.freeze()
            gc.enable()
    return app.run


def _text(args: "argparse.Namespace") -> str | None:
    """Return what a command prints that needs no API; None: it is another command."""
    match args.command:
        case "version":
            return f"tap-incident {version()}"
        case "completion":
            program = Path(sys.argv[0]).name
            return cli.completion(args.print_completion, program if program in cli.PROGRAMS else cli.PROGRAMS[0])
        case "spec" if not args.singer:
            return json.dumps({"type": "SPEC", "spec": _spec()})
        case "spec" | "about":
            description = about("tap-incident", DESCRIPTION, version(), config.connection_specification())
            return about_markdown(description) if args.format == "markdown" else json.dumps(description, indent=2)
    return None


def _spec() -> dict[str, Any]:
    return {
        "documentationUrl": config.DOCUMENTATION_URL,
        "connectionSpecification": config.connection_specification(),
    }
