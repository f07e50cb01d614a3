"""Runs one command that needs the API; maps errors to messages and exit codes."""

import argparse
import logging
import os
import signal
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial
from types import FrameType
from typing import Any, NoReturn

import orjson
from airbyte_protocol_dataclasses.models import AirbyteTraceMessage, FailureType, Status

from source_incident import config, display, init, stderr
from source_incident.api import ApiError
from source_incident.batches import Message
from source_incident.cancellation import CancellationToken
from source_incident.check import check_key
from source_incident.connector import Connector
from source_incident.errors import INPUT_ERROR, RUN_FAILED, InputError
from source_incident.files import read_json
from source_incident.messages import ReadFailed
from source_incident.output import Output
from source_incident.singer.catalog import singer_catalog
from source_incident.singer.messages import SingerMessages
from source_incident.singer.selection import Selection, read_catalog
from source_incident.singer.state import SavedState, read_state
from source_incident.sync import Interrupted

# How a STATE line of Singer begins. It is flushed at once: a target may wait for it.
STATE_LINE = b'{"type":"STATE"'


def run(args: argparse.Namespace) -> int:
    """Run a command.

    Args:
        args: what `cli.parse` returned; the command is init, check, discover, verify or read.

    Returns:
        The exit code.

    Raises:
        OSError: stdout can't be written to.
    """
    try:
        return _App(args).run()
    finally:
        display.restore_terminal()


class _App:
    """One command."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args
        self._output = Output(singer=args.singer, debug=args.debug)
        self._logger = self._output.logger
        self._cancellation = CancellationToken()
        self._signal: int | None = None

    def run(self) -> int:
        try:
            code = self._run_command()
        except KeyboardInterrupt:
            self._signal = signal.SIGINT
            code = 128 + self._signal
        except OSError:
            raise
        except Exception as error:
            code = self._report(error)
        self._output.flush()
        if self._signal:
            # Requests in progress can take until their timeout. Nothing waits for their answers.
            _exit_now(code)
        return code

    def _run_command(self) -> int:
        command = self._args.command
        settings = config.load("ENV" if command == "init" else self._args.config)
        self._output.add_secret(settings.get("api_key"))
        for warning in config.unknown_settings(settings):
            self._logger.warning(warning)
        match command:
            case "init":
                self._init(settings)
            case "check":
                return self._check(settings)
            case "discover":
                self._discover(settings)
            case "verify":
                return self._verify(settings)
            case "read":
                self._read(settings)
        return 0

    def _report(self, error: Exception) -> int:
        """Report why the command failed, and return the exit code."""
        match error:
            case InputError():
                self._output.report_failure(str(error), FailureType.config_error)
                return INPUT_ERROR
            case Interrupted():
                return 128 + (self._signal or signal.SIGTERM)
            case ReadFailed():
                self._output.report_failure(error.message, error.failure_type)
            case ApiError():
                self._output.report_failure(str(error))
            case _:
                self._logger.debug("unexpected error", exc_info=error)
                self._output.report_failure(f"the connector failed, please report it: {type(error).__name__}: {error}")
        return RUN_FAILED

    def _init(self, settings: Mapping[str, Any]) -> None:
        def write_line(text: str) -> None:
            stderr.write_line(self._output.safe(text))

        init.init(self._args.config or init.DEFAULT_FILE, settings, write_line, self._output.add_secret)

    def _check(self, settings: Mapping[str, Any]) -> int:
        status = check_key(self._logger, settings)
        if not self._args.singer:
            self._output.write_message(status)
            return 0
        if status.status == Status.FAILED:
            self._output.report_failure(str(status.message))
            return RUN_FAILED
        self._logger.info("The key works")
        return 0

    def _discover(self, settings: Mapping[str, Any]) -> None:
        connector = Connector()
        catalog = connector.discover(settings)
        if self._args.singer:
            document = singer_catalog(catalog, connector.deselected_by_default())
            self._output.write(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
        else:
            self._output.write_message(catalog)

    def _verify(self, settings: Mapping[str, Any]) -> int:
        """Check the assumptions about the API: of the streams that the catalog selects, or of all streams."""
        # Only this command needs the module.
        from source_incident.verify import MAX_REQUESTS, verify

        selected = None
        if self._args.catalog:
            selected = {item.stream.name for item in self._select(Connector(), settings).catalog.streams}
        with display.request_count("Verifying", MAX_REQUESTS, shown=not self._args.no_progress) as count:
            report = verify(settings, selected, count)
        if self._args.format == "json":
            text = report.to_json()
        elif self._args.format == "markdown" or not self._output.stdout_is_terminal:
            text = report.to_markdown()
        else:
            text = report.to_table(self._output.width)
        self._output.write(text.encode())
        return 0 if report.holds else RUN_FAILED

    def _read(self, settings: Mapping[str, Any]) -> None:
        connector = Connector()
        selection = self._select(connector, settings)
        for warning in selection.warnings:
            self._logger.warning(warning)
        cursors = connector.bookmark_keys(settings)
        state = read_state(read_json(self._args.state, "state") if self._args.state else None, cursors)
        self._warn_of_unused_state(state, connector.stream_names())
        catalog = selection.catalog
        # An interrupted run continues with the stream that it was reading.
        catalog.streams.sort(key=lambda item: item.stream.name != state.currently_syncing)

        optional = {item.stream.name for item in catalog.streams} - selection.chosen
        connector = Connector(optional, self._show(), self._cancellation)
        self._cancel_on_signals()
        messages = connector.read(self._logger, settings, catalog, state.streams)
        if self._args.singer:
            activate_versions = config.Config.parse(settings).activate_versions
            adapter = SingerMessages(catalog, state, cursors, activate_versions)
            for line in adapter.lines(self._log_errors(messages)):
                self._output.write(line)
                if line.startswith(STATE_LINE):
                    self._output.flush()
        else:
            for message in messages:
                self._output.write_message(message)

    def _select(self, connector: Connector, settings: Mapping[str, Any]) -> Selection:
        """Read the catalog file; without one, select all default streams."""
        if self._args.catalog:
            document = read_json(self._args.catalog, "catalog")
            return read_catalog(document, connector.discover(settings))
        return Selection(connector.default_catalog(settings), frozenset())

    def _warn_of_unused_state(self, state: SavedState, names: Collection[str]) -> None:
        for name in state.streams.keys() - names:
            self._logger.warning("state: there is no stream %r, its state is not used. Remove it", name)

    def _log_errors(self, messages: Iterable[Message]) -> Iterator[Message]:
        """Log the errors among the messages, because Singer has no message for them, and pass the others on."""
        for message in messages:
            if isinstance(message, AirbyteTraceMessage) and message.error:
                self._logger.error(message.error.message)
            else:
                yield message

    def _show(self) -> display.Show:
        """Choose how to show progress: live if only stderr is a terminal, otherwise in the log."""
        if self._args.no_progress:
            return display.no_display
        if os.isatty(2) and not self._output.stdout_is_terminal and os.environ.get("TERM", "dumb") != "dumb":
            logging.getLogger("airbyte.incident.metrics").setLevel(logging.WARNING)
            # In Singer mode the log is on the terminal too, and its last line has the totals.
            return partial(display.live, keep_totals=not self._args.singer)
        return partial(display.log_lines, logger=self._logger)

    def _cancel_on_signals(self) -> None:
        def cancel(number: int, _frame: FrameType | None) -> None:
            if self._signal:
                _exit_now(128 + number)  # the second signal
            self._signal = number
            self._cancellation.cancel()

        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            # nohup, and shells without job control, start a program with some signals ignored.
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, cancel)


def _exit_now(code: int) -> NoReturn:
    display.restore_terminal()
    os._exit(code)
