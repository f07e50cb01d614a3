"""The program: tells an Airbyte command from Singer flags, writes lines to stdout, sets the exit code.

Exit codes: 0 done; 1 the run failed; 2 the command line, config, catalog or state can't be used; 130 and 143 stopped
by SIGINT and SIGTERM, 129 by SIGHUP; 141 whoever read stdout has gone.
"""

import gc
import json
import logging
import os
import signal
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from source_incident import cli, config, stderr
from source_incident.config import ConfigError
from source_incident.version import version

if TYPE_CHECKING:
    import argparse

    from airbyte_cdk.models import AirbyteMessage, ConfiguredAirbyteCatalog

    from source_incident.batches import RecordBatch
    from source_incident.display import Show
    from source_incident.singer import SavedState, Selection
    from source_incident.source import SourceIncident

RUN_FAILED, NOT_USABLE, BROKEN_PIPE = 1, 2, 141
MAX_CATALOG_BYTES = 50_000_000
MAX_STATE_BYTES = 50_000_000
DESCRIPTION = "Moves an organisation's incident.io data into its warehouse"


def run() -> NoReturn:
    """The entry point of the console scripts."""
    stderr.open_if_closed()
    code = main(sys.argv[1:])
    if not stderr.written():
        _exit(code)
    sys.exit(code)


def main(arguments: list[str]) -> int:
    """Runs one command.

    Returns:
        The exit code.
    """
    try:
        args = cli.parse(arguments)
    except cli.UsageError as error:
        return _say(f"{error}. See tap-incident --help")
    if sys.stdout is None:
        return _say("stdout is closed, there is nowhere to write to. Start it with one")
    try:
        match args.command, args.singer:
            case "version", _:
                print(f"tap-incident {version()}")
            case "completion", _:
                called = Path(sys.argv[0]).name
                print(cli.completion(args.print_completion, called if called in cli.PROGRAMS else cli.PROGRAMS[0]))
            case "about", _:
                print(_about(args.format or "json"))
            case "spec", True:
                print(_about("json"))
            case "spec", False:
                print(json.dumps({"type": "SPEC", "spec": _spec()}))
            case _:
                return _Program(args).run()
    except BrokenPipeError:
        return _quiet_end()
    except OSError as error:
        return _cant_write(error)
    except ConfigError as error:
        return _say(str(error))
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0


class _Program:
    """A command that needs the source."""

    def __init__(self, args: "argparse.Namespace") -> None:
        _import_source()
        from source_incident.output import Output

        self._args = args
        self._singer: bool = args.singer
        self._out = Output(singer=args.singer, debug=args.debug)

    def run(self) -> int:
        from airbyte_cdk.models import FailureType
        from airbyte_cdk.utils.traced_exception import AirbyteTracedException

        from source_incident.api import ApiError
        from source_incident.singer import CatalogError, StateFormatError
        from source_incident.sync import Interrupted

        code = 0
        try:
            given = config.load("ENV" if self._args.command == "init" else self._args.config)
            self._out.hide(given.get("api_key"))
            for warning in config.unknown_settings(given):
                self._out.logger.warning(warning)
            commands = {"init": self._init, "check": self._check, "discover": self._discover, "read": self._read}
            code = commands[self._args.command](given)
        except (ConfigError, CatalogError, StateFormatError) as error:
            self._out.failed(str(error), FailureType.config_error)
            code = NOT_USABLE
        except AirbyteTracedException as error:
            unusable = str(error.message).startswith(("config:", "catalog:", "state:"))
            self._out.failed(str(error.message), error.failure_type)
            code = NOT_USABLE if unusable else RUN_FAILED
        except ApiError as error:
            self._out.failed(str(error))
            code = RUN_FAILED
        except Interrupted:
            code = 128 + (self._signal or signal.SIGTERM)
        except KeyboardInterrupt:
            self._signal = signal.SIGINT
            code = 128 + self._signal
        except BrokenPipeError:
            return _quiet_end()
        except OSError as error:
            return _cant_write(error)
        except Exception as error:
            self._out.logger.debug("unexpected", exc_info=True)
            self._out.failed(f"the connector failed, please report it: {type(error).__name__}: {error}")
            code = RUN_FAILED
        try:
            self._out.flush()
        except BrokenPipeError:
            return _quiet_end()
        except OSError as error:
            return _cant_write(error)
        if self._signal:
            # Requests under way may take until their timeout; nobody waits for their answers any more.
            _exit(code)
        return code

    _signal: int | None = None

    def _init(self, given: Mapping[str, Any]) -> int:
        from source_incident import init

        def say(text: str) -> None:
            stderr.say(self._out.scrub(text))

        init.init(self._args.config or init.DEFAULT_FILE, given, say, self._out.hide)
        return 0

    def _check(self, given: Mapping[str, Any]) -> int:
        from airbyte_cdk.models import AirbyteMessage, Status, Type

        status = self._source().check(self._out.logger, given)
        failed = status.status == Status.FAILED
        if not self._singer:
            self._out.message(AirbyteMessage(type=Type.CONNECTION_STATUS, connectionStatus=status))
            return 0
        if failed:
            self._out.failed(str(status.message))
            return RUN_FAILED
        self._out.logger.info("The key works")
        return 0

    def _discover(self, given: Mapping[str, Any]) -> int:
        from airbyte_cdk.models import AirbyteMessage, Type

        from source_incident.singer import singer_catalog

        source = self._source()
        catalog = source.discover(self._out.logger, given)
        if self._singer:
            document = singer_catalog(catalog, source.off_by_default())
            self._out.write(json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n")
        else:
            self._out.message(AirbyteMessage(type=Type.CATALOG, catalog=catalog))
        return 0

    def _read(self, given: Mapping[str, Any]) -> int:
        from source_incident.singer import SingerMessages, read_state

        source = self._source()
        selection = self._selection(source, given)
        for warning in selection.warnings:
            self._out.logger.warning(warning)
        cursors = source.bookmark_keys(given)
        document = config.read_json(self._args.state, "state", MAX_STATE_BYTES) if self._args.state else None
        state = read_state(document, cursors)
        self._warn_of_unused(state, cursors, source.names())
        catalog = _in_order(selection.catalog, state.currently_syncing)
        source = self._source({item.stream.name for item in catalog.streams} - selection.chosen, self._show())
        self._stop_on_signals(source)
        messages: Iterable[AirbyteMessage | RecordBatch] = source.read_in_batches(
            self._out.logger, given, catalog, state.messages()
        )
        if self._singer:
            adapter = SingerMessages(catalog, selection.schemas, state, cursors)
            for line in adapter.lines(self._tell_failures(messages)):
                self._out.write(line)
        else:
            for message in messages:
                self._out.message(message)
        return 0

    def _selection(self, source: "SourceIncident", given: Mapping[str, Any]) -> "Selection":
        from source_incident.singer import Selection, read_catalog

        if not self._args.catalog:
            catalog = source.default_catalog(given)
            return Selection(
                catalog,
                frozenset(),
                {item.stream.name: item.stream.json_schema for item in catalog.streams},
            )
        document = config.read_json(self._args.catalog, "catalog", MAX_CATALOG_BYTES)
        return read_catalog(document, source.discover(self._out.logger, given))

    def _warn_of_unused(self, state: "SavedState", cursors: Mapping[str, str], names: Collection[str]) -> None:
        from source_incident.source import NO_CURSOR_STATE

        for name, of_stream in state.streams.items():
            if name not in names:
                self._out.logger.warning("state: there is no stream %r, its state is not used. Take it out", name)
            elif name not in cursors and of_stream and of_stream != NO_CURSOR_STATE:
                self._out.logger.warning("state: %r is read in full, its state is not used. Take it out", name)

    def _tell_failures(
        self, messages: Iterable["AirbyteMessage | RecordBatch"]
    ) -> Iterator["AirbyteMessage | RecordBatch"]:
        """Says on stderr what the Airbyte protocol says in traces, and Singer has no message for."""
        from airbyte_cdk.models import AirbyteMessage, TraceType

        for message in messages:
            trace = message.trace if isinstance(message, AirbyteMessage) else None
            if trace and trace.type == TraceType.ERROR and trace.error:
                self._out.logger.error(trace.error.message)
            else:
                yield message

    def _source(self, optional: Iterable[str] = (), show: "Show | None" = None) -> "SourceIncident":
        from source_incident.display import nothing
        from source_incident.source import SourceIncident

        return SourceIncident(frozenset(optional), show or nothing)

    def _show(self) -> "Show":
        """What shows how far a read is: a live display where only people read stderr, else lines in the log."""
        from source_incident.display import live, log_lines, nothing

        if self._args.no_progress:
            return nothing
        if os.isatty(2) and not self._out.stdout_is_terminal and os.environ.get("TERM", "dumb") != "dumb":
            logging.getLogger("airbyte.incident.metrics").setLevel(logging.WARNING)
            # Singer's log goes to the terminal too, with a line that sums up.
            return partial(live, stays=not self._singer)
        return partial(log_lines, logger=self._out.logger)

    def _stop_on_signals(self, source: "SourceIncident") -> None:
        def stop(number: int, _frame: FrameType | None) -> None:
            if self._signal:
                _exit(128 + number)  # asked twice: at once
            self._signal = number
            source.stop()

        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            # nohup and shells without job control start a program that is to ignore some.
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, stop)


def _import_source() -> None:
    """Imports all that a command needs. Nothing of it is ever garbage: looking for some takes a sixth of the start."""
    collects = gc.isenabled()
    gc.disable()
    try:
        import source_incident.output
        import source_incident.singer
        import source_incident.source  # noqa: F401
    finally:
        if collects:
            gc.freeze()
            gc.enable()


def _in_order(catalog: "ConfiguredAirbyteCatalog", first: str | None) -> "ConfiguredAirbyteCatalog":
    """The catalog with the stream that an interrupted run was reading in front."""
    catalog.streams.sort(key=lambda item: item.stream.name != first)
    return catalog


def _spec() -> dict[str, Any]:
    return {
        "documentationUrl": config.DOCUMENTATION_URL,
        "connectionSpecification": config.connection_specification(),
    }


def _about(form: str) -> str:
    from source_incident.singer import about, about_markdown

    described = about("tap-incident", DESCRIPTION, version(), config.connection_specification())
    return about_markdown(described) if form == "markdown" else json.dumps(described, indent=2)


def _say(text: str) -> int:
    stderr.say(f"tap-incident: {text}")
    return NOT_USABLE


def _quiet_end() -> NoReturn:
    # Python would complain at exit when it flushes what nobody reads.
    _exit(BROKEN_PIPE)


def _cant_write(error: OSError) -> NoReturn:
    text = f"can't write to stdout: {error.strerror or error}. Put that right, and go on from the last state written"
    stderr.say(f"tap-incident: {text}")
    _exit(RUN_FAILED)


def _exit(code: int) -> NoReturn:
    """Ends the process where it is."""
    if "source_incident.display" in sys.modules:
        from source_incident.display import give_back_terminal

        give_back_terminal()
    os._exit(code)
