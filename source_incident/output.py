"""stdout and stderr: whole lines of the protocol on one, the log where the protocol wants it, the key on neither."""

import logging
import os
import sys
import threading
from typing import Any

import orjson
from airbyte_cdk.models import AirbyteMessage, AirbyteMessageSerializer, FailureType, Type
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_incident import stderr
from source_incident.batches import RecordBatch

# Airbyte's log levels by Python's.
LEVELS = {
    logging.CRITICAL: "FATAL",
    logging.ERROR: "ERROR",
    logging.WARNING: "WARN",
    logging.INFO: "INFO",
    logging.DEBUG: "DEBUG",
}
BUFFER_BYTES = 64 * 1024
# No key is shorter; hiding a shorter text would break the lines' own words.
SHORTEST_SECRET = 8


class Output:
    """Where a run writes to.

    The process's stdout is taken over: whatever else prints lands on stderr.

    Args:
        singer: logs go to stderr as text; else they are Airbyte messages on stdout.
        debug: log more.

    Attributes:
        stdout_is_terminal: records appear there.
    """

    def __init__(self, *, singer: bool, debug: bool) -> None:
        sys.stdout.flush()
        self._stream = os.fdopen(os.dup(1), "wb", buffering=BUFFER_BYTES)
        self.stdout_is_terminal = self._stream.isatty()
        os.dup2(2, 1)
        self._lock = threading.Lock()
        self._singer = singer
        self._secrets: list[str] = []
        self._secrets_in_json: list[bytes] = []
        self.logger = logging.getLogger("airbyte")
        self._set_up_logging(debug)

    def hide(self, secret: Any) -> None:
        """Keeps a secret out of everything that is written from now on."""
        if isinstance(secret, str) and len(secret.strip()) >= SHORTEST_SECRET:
            text = _whole(secret.strip())
            self._secrets.append(text)
            self._secrets_in_json.append(orjson.dumps(text)[1:-1])

    def write(self, line: bytes) -> None:
        """Writes whole lines; states and what follows a pause are flushed by `flush`."""
        for secret in self._secrets_in_json:
            if secret in line:
                line = line.replace(secret, b"****")
        with self._lock:
            self._stream.write(line)

    def message(self, message: AirbyteMessage | RecordBatch) -> None:
        """Writes a message, or a batch of records, of the Airbyte protocol."""
        if isinstance(message, RecordBatch):
            self.write(message.lines())
            return
        self.write(orjson.dumps(AirbyteMessageSerializer.dump(message), option=orjson.OPT_APPEND_NEWLINE))
        if message.type != Type.LOG:
            self.flush()

    def flush(self) -> None:
        with self._lock:
            self._stream.flush()

    def failed(self, text: str, failure: FailureType = FailureType.system_error) -> None:
        """Says in one line why the run ends.

        Args:
            text: the line.
            failure: what the platform makes of it.
        """
        text = self.scrub(_whole(" ".join(text.split())))
        if not self._singer:
            traced = AirbyteTracedException(message=text, internal_message=text, failure_type=failure)
            self.message(traced.as_airbyte_message())
        stderr.say(f"tap-incident: {text}")

    def scrub(self, text: str) -> str:
        """The text without the secrets."""
        for secret in self._secrets:
            text = text.replace(secret, "****")
        return text

    def _set_up_logging(self, debug: bool) -> None:
        handler: logging.Handler = _StderrHandler(self) if self._singer else _MessageHandler(self)
        root = logging.getLogger()
        root.handlers = [handler]
        root.setLevel(logging.WARNING)
        self.logger.handlers = []
        self.logger.propagate = True
        self.logger.setLevel(logging.DEBUG if debug else logging.INFO)


class _MessageHandler(logging.Handler):
    """Log records as LOG messages of the Airbyte protocol."""

    def __init__(self, output: Output) -> None:
        super().__init__()
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        text = _text(self, record)
        line = {
            "type": "LOG",
            "log": {"level": LEVELS.get(record.levelno, "INFO"), "message": text},
        }
        self._output.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
        self._output.flush()


class _StderrHandler(logging.Handler):
    """Log records as lines of text on stderr: `INFO METRIC: {...}` is what Singer's tools look for."""

    def __init__(self, output: Output) -> None:
        super().__init__()
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        stderr.say(self._output.scrub(f"{record.levelname} {_text(self, record)}"))


def _text(handler: logging.Handler, record: logging.LogRecord) -> str:
    try:
        return _whole(handler.format(record))
    except Exception:
        return _whole(str(record.msg))


def _whole(text: str) -> str:
    """The text as UTF-8 can hold it: the name of a file may have bytes that are none."""
    return text.encode("utf-8", "backslashreplace").decode()
