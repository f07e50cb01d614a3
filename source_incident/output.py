"""stdout and the log: writes whole protocol lines to stdout, routes the log, redacts the API key in both.

Texts for people are made safe here: the key is redacted first, then the text is shortened, then escaped.
"""

import logging
import os
import re
import sys
import threading
from typing import Any

import orjson
from airbyte_protocol_dataclasses.models import (
    AirbyteCatalog,
    AirbyteConnectionStatus,
    AirbyteTraceMessage,
    FailureType,
    Type,
)

from source_incident import stderr
from source_incident.batches import CompleteVersion, Message, RecordBatch, StateUpdate
from source_incident.messages import error_trace
from source_incident.protocol import to_json
from source_incident.text import escape, shorten

# Airbyte's log levels by Python's.
LEVELS = {
    logging.CRITICAL: "FATAL",
    logging.ERROR: "ERROR",
    logging.WARNING: "WARN",
    logging.INFO: "INFO",
    logging.DEBUG: "DEBUG",
}
BUFFER_BYTES = 64 * 1024
# For a terminal that does not know its width.
DEFAULT_WIDTH = 80
# No API key is shorter. Redacting a shorter text could break the JSON of the lines.
MIN_SECRET_LENGTH = 8
REDACTED = "****"
# Lines are searched in parts of this size: the search copies a part.
SEARCH_BYTES = 1024 * 1024


class Output:
    """stdout and the log of a run.

    It takes over the process's stdout: anything else that prints to stdout prints to stderr instead.

    Args:
        singer: log to stderr as text; otherwise log to stdout as Airbyte messages.
        debug: log debug messages too.

    Attributes:
        logger: the logger of the connector.
        stdout_is_terminal: whether stdout is a terminal.
    """

    def __init__(self, *, singer: bool, debug: bool) -> None:
        sys.stdout.flush()
        self._stream = os.fdopen(os.dup(1), "wb", buffering=BUFFER_BYTES)
        self.stdout_is_terminal = self._stream.isatty()
        os.dup2(2, 1)
        self._lock = threading.Lock()
        self._singer = singer
        self._secrets: list[re.Pattern[str]] = []
        # In lower case, as they are in JSON.
        self._json_secrets: list[bytes] = []
        self.logger = logging.getLogger("airbyte")
        self._set_up_logging(debug)

    @property
    def width(self) -> int:
        """The width of stdout's terminal in characters."""
        return os.get_terminal_size(self._stream.fileno()).columns or DEFAULT_WIDTH

    def add_secret(self, secret: Any) -> None:
        """Redact a secret, in upper and lower case, in everything that is written from now on."""
        if isinstance(secret, str) and len(secret.strip()) >= MIN_SECRET_LENGTH:
            text = _to_utf8(secret.strip())
            self._secrets.append(re.compile(re.escape(text), re.IGNORECASE | re.ASCII))
            self._json_secrets.append(orjson.dumps(text)[1:-1].lower())

    def redact(self, text: str) -> str:
        """Return the text without the secrets."""
        for secret in self._secrets:
            text = secret.sub(REDACTED, text)
        return text

    def safe(self, text: str) -> str:
        """Return a text of any origin in one line that can be printed and logged."""
        return escape(shorten(self.redact(_to_utf8(text))))

    def write(self, lines: bytes) -> None:
        """Write whole lines to stdout. They can stay in the buffer until `flush`."""
        for secret in self._json_secrets:
            if _contains(lines, secret):
                lines = re.sub(re.escape(secret), REDACTED.encode(), lines, flags=re.IGNORECASE)
        with self._lock:
            self._stream.write(lines)

    def write_message(self, message: Message | AirbyteCatalog | AirbyteConnectionStatus) -> None:
        """Write a message, or a batch of records, of the Airbyte protocol."""
        match message:
            case CompleteVersion():
                return  # The Airbyte protocol has no message for it.
            case RecordBatch():
                self.write(message.lines())
                return
            case StateUpdate():
                self.write(message.line())
            case AirbyteTraceMessage():
                self._make_safe(message)
                self._write_object(Type.TRACE, "trace", message)
            case AirbyteCatalog():
                self._write_object(Type.CATALOG, "catalog", message)
            case AirbyteConnectionStatus():
                message.message = message.message and self.safe(message.message)
                self._write_object(Type.CONNECTION_STATUS, "connectionStatus", message)
        self.flush()

    def _write_object(self, type_: Type, field: str, value: Any) -> None:
        line = {"type": type_.value, field: to_json(value)}
        self.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))

    def flush(self) -> None:
        with self._lock:
            self._stream.flush()

    def report_failure(self, text: str, failure_type: FailureType = FailureType.system_error) -> None:
        """Write to stderr why the run fails, in one line, and to stdout an Airbyte trace if not in Singer mode.

        Args:
            text: the reason; line breaks become spaces.
            failure_type: the kind of failure that the trace names.
        """
        text = self.safe(" ".join(text.split()))
        if not self._singer:
            self.write_message(error_trace(text, failure_type))
        stderr.write_line(f"tap-incident: {text}")

    def _make_safe(self, trace: AirbyteTraceMessage) -> None:
        """Make the texts of an error safe that a platform shows to people."""
        if error := trace.error:
            error.message = self.safe(error.message)
            error.internal_message = error.internal_message and self.safe(error.internal_message)

    def safe_lines(self, text: str) -> str:
        """Return a text of several lines, such as a stack trace. No line but the first starts at the margin."""
        return "\n    ".join(self.safe(line) for line in text.split("\n"))

    def _set_up_logging(self, debug: bool) -> None:
        handler: logging.Handler = _StderrHandler(self) if self._singer else _MessageHandler(self)
        root = logging.getLogger()
        root.handlers = [handler]
        root.setLevel(logging.WARNING)
        self.logger.handlers = []
        self.logger.propagate = True
        self.logger.setLevel(logging.DEBUG if debug else logging.INFO)


class _MessageHandler(logging.Handler):
    """Writes log records to stdout as LOG messages of the Airbyte protocol."""

    def __init__(self, output: Output) -> None:
        super().__init__()
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        message = {
            "type": "LOG",
            "log": {"level": LEVELS.get(record.levelno, "INFO"), "message": _log_text(self._output, record)},
        }
        self._output.write(orjson.dumps(message, option=orjson.OPT_APPEND_NEWLINE))
        self._output.flush()


class _StderrHandler(logging.Handler):
    """Writes log records to stderr as text. Singer's tools look for lines such as `INFO METRIC: {...}`."""

    def __init__(self, output: Output) -> None:
        super().__init__()
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        stderr.write_lines(f"{record.levelname} {_log_text(self._output, record)}")


def _log_text(output: Output, record: logging.LogRecord) -> str:
    """The text of a log record: a line, and the stack trace if there is one."""
    try:
        text = record.getMessage()
    except Exception:
        text = str(record.msg)
    text = output.safe(text)
    if record.exc_info:
        text += "\n    " + output.safe_lines(logging.Formatter().formatException(record.exc_info))
    return text


def _contains(lines: bytes, secret: bytes) -> bool:
    """Whether a secret in lower case is in the lines in any case."""
    return any(
        secret in lines[start : start + SEARCH_BYTES + len(secret)].lower()
        for start in range(0, len(lines), SEARCH_BYTES)
    )


def _to_utf8(text: str) -> str:
    """Escape what UTF-8 can't encode, such as undecodable bytes in a file's name."""
    return text.encode("utf-8", "backslashreplace").decode()
