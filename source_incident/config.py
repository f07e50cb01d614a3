"""The settings, declared once.

The Airbyte spec, the environment variables, the checks, `--about` and the tables in the docs are all made from
`SETTINGS`. Nothing here imports the CDK, so that `spec` and `--help` answer at once.
"""

import difflib
import ipaddress
import json
import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import orjson

from source_incident.timestamps import EARLIEST, parse_timestamp

DOCUMENTATION_URL = "https://api-docs.incident.io/"
DEFAULT_ENDPOINT = "https://api.incident.io"
DEFAULT_MODES = ("standard", "retrospective")
MAX_CONFIG_BYTES = 1_000_000
# What to do about a file that can't be used.
ADVICE = {
    "config": "Make one with tap-incident --init",
    "catalog": "Make one with tap-incident --discover",
    "state": "Start without it, or with an older one",
}
HOST_NAME = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*")


class ConfigError(Exception):
    """What the user gave can't be used. The message is one line: what is wrong, where, what to do."""


@dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes:
        name: the key in the config; `INCIDENT_<NAME>` is its environment variable.
        kind: JSON Schema type: string, integer or array (of strings).
        title: what the Airbyte UI shows above the field.
        description: what it does and when to change it, for the UI and the docs.
        default: what holds where it is not given; None: nothing.
        schema: further JSON Schema keywords.
        secret: never shown.
        required: there is no sync without it.
    """

    name: str
    kind: str
    title: str
    description: str
    default: Any = None
    schema: Mapping[str, Any] | None = None
    secret: bool = False
    required: bool = False

    @property
    def environment(self) -> str:
        return f"INCIDENT_{self.name.upper()}"

    def json_schema(self, order: int) -> dict[str, Any]:
        """The setting's property in the spec, at `order` in the UI."""
        schema: dict[str, Any] = {
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "order": order,
            **(self.schema or {}),
        }
        if self.secret:
            schema["airbyte_secret"] = True
        if self.default is not None:
            schema["default"] = self.default
        return schema


SETTINGS = (
    Setting(
        "api_key",
        "string",
        "API key",
        "Make one in incident.io under Settings, API keys. Give it the scopes to view data, catalog types and "
        "entries; add the one for private incidents if those shall come too.",
        secret=True,
        required=True,
    ),
    Setting(
        "start_date",
        "string",
        "Start date",
        "The first sync of an incremental stream reads what changed on or after this moment (UTC). Leave it out to "
        "read everything.",
        schema={
            "format": "date-time",
            "pattern": r"^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}:\d{2}(\.\d+)?Z)?$",
            "pattern_descriptor": "YYYY-MM-DD or YYYY-MM-DDTHH:mm:ssZ",
            "examples": ["2024-01-01T00:00:00Z"],
        },
    ),
    Setting(
        "incident_modes",
        "array",
        "Incident modes",
        "The kinds of incident to read, with their actions and follow-ups.",
        default=list(DEFAULT_MODES),
        schema={
            "items": {
                "type": "string",
                "enum": ["standard", "retrospective", "test", "tutorial", "stream"],
            },
            "minItems": 1,
            "uniqueItems": True,
        },
    ),
    Setting(
        "lookback_window",
        "integer",
        "Lookback window (minutes)",
        "How far before its bookmark an incremental stream reads again: the API can show a change a little later "
        "than the time it stamps on it.",
        default=5,
        schema={"minimum": 0, "maximum": 525_600},
    ),
    Setting(
        "schedule_entries_past_days",
        "integer",
        "Schedule entries: days back",
        "The stream schedule_entries starts this many days before now.",
        default=30,
        schema={"minimum": 0, "maximum": 3650},
    ),
    Setting(
        "schedule_entries_future_days",
        "integer",
        "Schedule entries: days ahead",
        "The stream schedule_entries ends this many days after now.",
        default=30,
        schema={"minimum": 0, "maximum": 3650},
    ),
    Setting(
        "num_workers",
        "integer",
        "Workers",
        "How many requests may be under way at once. The API's rate limit is respected whatever the number.",
        default=10,
        schema={"minimum": 1, "maximum": 20},
    ),
    Setting(
        "request_timeout",
        "integer",
        "Request timeout (seconds)",
        "The longest that one request may take, its body included, before it is tried again.",
        default=60,
        schema={"minimum": 1, "maximum": 3600},
    ),
    Setting(
        "max_retries",
        "integer",
        "Retries",
        "How often a request that failed for a passing reason is tried again before its stream gives up.",
        default=8,
        schema={"minimum": 0, "maximum": 100},
    ),
    Setting(
        "endpoint",
        "string",
        "API endpoint",
        "Where the API is. Change it only for a proxy in front of the API, or a stand-in.",
        default=DEFAULT_ENDPOINT,
        schema={"examples": [DEFAULT_ENDPOINT]},
    ),
)
BY_NAME = {setting.name: setting for setting in SETTINGS}

# Kept by the Airbyte platform or by other taps in the same file; saying anything about them would be noise.
FOREIGN_KEYS = frozenset({"__injected_declarative_manifest", "__test_read_config", "user_agent"})


@dataclass(frozen=True)
class Config:
    """The settings of one run, checked. Build one with `Config.parse`."""

    api_key: str
    endpoint: str
    start_date: datetime | None
    incident_modes: tuple[str, ...]
    lookback_window: timedelta
    schedule_entries_past: timedelta
    schedule_entries_future: timedelta
    num_workers: int
    request_timeout: int
    max_retries: int

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> "Config":
        """Checks the settings of a config file or of the platform.

        Args:
            given: the settings by name; a missing or null one has its default.

        Raises:
            ConfigError: a setting is missing, of the wrong type or out of range.
        """
        values = {setting.name: _checked(setting, given.get(setting.name)) for setting in SETTINGS}
        return cls(
            api_key=_api_key(values["api_key"]),
            endpoint=_endpoint(values["endpoint"]),
            start_date=_start_date(values["start_date"]),
            incident_modes=tuple(dict.fromkeys(values["incident_modes"])),
            lookback_window=timedelta(minutes=values["lookback_window"]),
            schedule_entries_past=timedelta(days=values["schedule_entries_past_days"]),
            schedule_entries_future=timedelta(days=values["schedule_entries_future_days"]),
            num_workers=values["num_workers"],
            request_timeout=values["request_timeout"],
            max_retries=values["max_retries"],
        )


def connection_specification() -> dict[str, Any]:
    """The JSON Schema of the settings, as the Airbyte protocol's `spec` carries it."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "incident.io",
        "type": "object",
        "required": [setting.name for setting in SETTINGS if setting.required],
        "additionalProperties": True,
        "properties": {setting.name: setting.json_schema(order) for order, setting in enumerate(SETTINGS)},
    }


def load(path: str | None, environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """The settings as given, unchecked: those of the file, and from the environment those that it lacks.

    Args:
        path: a JSON file; None or `ENV`: the environment alone.
        environment: `INCIDENT_<NAME>` (as the Go tap reads) or `TAP_INCIDENT_<NAME>` (as Meltano sets).

    Raises:
        ConfigError: the file can't be read, or is not a JSON object.
    """
    given = {} if path is None or path == "ENV" else read_json_object(path, "config", MAX_CONFIG_BYTES)
    for setting in SETTINGS:
        for variable in (setting.environment, f"TAP_{setting.environment}"):
            if given.get(setting.name) is None and environment.get(variable):
                given[setting.name] = _from_environment(setting, variable, environment[variable])
    return given


def unknown_settings(given: Mapping[str, Any]) -> list[str]:
    """One warning line for each key of the config that is not a setting, with the near name if there is one."""
    warnings = []
    for key in given:
        if key in BY_NAME or key in FOREIGN_KEYS or key.startswith("__"):
            continue
        near = difflib.get_close_matches(key, BY_NAME, n=1)
        hint = f", did you mean {near[0]!r}?" if near else "."
        warnings.append(f"config: there is no setting {key!r}{hint} It is ignored.")
    return warnings


def read_json_object(path: str, what: str, most_bytes: int) -> dict[str, Any]:
    """The JSON object in a file that the user named.

    Raises:
        ConfigError: it can't be read, is too large, or holds no JSON object.
    """
    document = read_json(path, what, most_bytes)
    if not isinstance(document, dict):
        raise ConfigError(f"{what} {path}: a JSON object is wanted, it holds {_type_name(document)}. {ADVICE[what]}")
    return document


def read_json(path: str, what: str, most_bytes: int) -> Any:
    """The JSON document in a file that the user named.

    Args:
        path: the file.
        what: what it is for the user: config, catalog or state.
        most_bytes: of a larger file, or a pipe that goes on, no more than that is read.

    Raises:
        ConfigError: it can't be read, is too large, or is not JSON in UTF-8.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(most_bytes + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"{what} {path}: can't be read: {reason}. {ADVICE[what]}") from None
    if len(content) > most_bytes:
        raise ConfigError(f"{what} {path}: larger than {most_bytes:,} bytes, is it the right file?")
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise ConfigError(f"{what} {path}: is in UTF-16, save it as UTF-8")
    try:
        # Strict, so that whatever was read can be written again: no NaN, no half of a surrogate pair.
        return orjson.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise ConfigError(f"{what} {path}: is not UTF-8 text, save it as UTF-8") from None
    except orjson.JSONDecodeError as error:
        if what == "state" and _ends_with_a_state(content):
            raise ConfigError(
                f"state {path}: holds several lines, and the last one is the state. Take that: "
                f"tail -n 1 {shlex.quote(path)} > state.json"
            ) from None
        raise ConfigError(
            f"{what} {path}: is not JSON: {error.msg} at line {error.lineno} column {error.colno}. {ADVICE[what]}"
        ) from None


def _ends_with_a_state(content: bytes) -> bool:
    """Whether the last of several lines is a Singer state: what a target prints."""
    _, several, last = content.rstrip().rpartition(b"\n")
    try:
        document = orjson.loads(last)
    except orjson.JSONDecodeError:
        return False
    return bool(several) and isinstance(document, dict) and not document.keys().isdisjoint(("bookmarks", "value"))


def _checked(setting: Setting, value: Any) -> Any:
    if value is None:
        if setting.required:
            raise ConfigError(
                f"config: {setting.name} is missing: put it into the config file, or set {setting.environment}"
            )
        return setting.default
    schema = setting.schema or {}
    if setting.kind == "integer":
        # A UI or an environment may hand over 10.0 or "10"; a boolean is an int to Python and a mistake here.
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise ConfigError(f"config: {setting.name} must be a whole number, it is {_type_name(value)}")
        if not schema["minimum"] <= value <= schema["maximum"]:
            found = f", it is {value}" if abs(value) < 10**12 else ""
            raise ConfigError(f"config: {setting.name} must be from {schema['minimum']} to {schema['maximum']}{found}")
        return value
    if setting.kind == "array":
        allowed = schema["items"]["enum"]
        if not isinstance(value, list) or not value or not all(item in allowed for item in value):
            raise ConfigError(f"config: {setting.name} must be a list of one or more of {', '.join(allowed)}")
        return value
    if not isinstance(value, str):
        raise ConfigError(f"config: {setting.name} must be a string, it is {_type_name(value)}")
    return value


def _api_key(value: str) -> str:
    key = value.strip()
    if not key:
        raise ConfigError("config: api_key is empty: make a key in incident.io under Settings, API keys")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigError(
            "config: api_key holds a space, a line break or another character that no key has: copy it again"
        )
    return key


def _endpoint(value: str) -> str:
    endpoint = value.strip().rstrip("/")
    try:
        parts = urlsplit(endpoint)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if parts.scheme not in ("http", "https") or not host or not _can_be_asked(endpoint, host):
        raise ConfigError(f"config: endpoint must be a URL such as {DEFAULT_ENDPOINT}")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigError(f"config: endpoint must be a plain URL such as {DEFAULT_ENDPOINT}, without user, ? or #")
    if parts.scheme == "http" and not _is_loopback(host):
        raise ConfigError(f"config: endpoint must be https, the key would cross the network in the clear to {host}")
    return endpoint


def _can_be_asked(endpoint: str, host: str) -> bool:
    if not endpoint.isascii() or not endpoint.isprintable() or re.search(r"[\s\\]", endpoint):
        return False
    try:
        return ipaddress.ip_address(host).version in (4, 6)
    except ValueError:
        return HOST_NAME.fullmatch(host) is not None and len(host) <= 253


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _start_date(value: str | None) -> datetime | None:
    if value is None or not value.strip():
        return None
    try:
        moment = parse_timestamp(value)
    except (ValueError, OverflowError):
        raise ConfigError("config: start_date must be a date such as 2024-01-01 or 2024-01-01T00:00:00Z") from None
    if moment > datetime.now(UTC):
        raise ConfigError(f"config: start_date {moment:%Y-%m-%d} is in the future, nothing would be read")
    return max(moment, EARLIEST)


def _from_environment(setting: Setting, variable: str, text: str) -> Any:
    if setting.kind == "integer":
        try:
            return int(text)
        except ValueError:
            raise ConfigError(f"environment: {variable} must be a whole number") from None
    if setting.kind == "array":
        if text.lstrip().startswith("["):
            try:
                return json.loads(text)
            except (RecursionError, ValueError):
                raise ConfigError(f'environment: {variable} must be a list, a,b or ["a", "b"]') from None
        return [item.strip() for item in text.split(",")]
    return text


def _type_name(value: Any) -> str:
    names = {
        dict: "an object",
        list: "a list",
        str: "a string",
        bool: "a boolean",
        type(None): "null",
    }
    return names.get(type(value), "a number")
