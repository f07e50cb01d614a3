"""The settings, declared once in `SETTINGS`.

The Airbyte spec, the environment variables, the validation, `--about` and the tables in the docs are generated from
them. This module does not import the CDK: `spec` and `--about` must start fast.
"""

import difflib
import ipaddress
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from source_incident import clock
from source_incident.errors import InputError
from source_incident.files import json_type, read_json_object
from source_incident.timestamps import EARLIEST, parse_timestamp

DOCUMENTATION_URL = "https://api-docs.incident.io/"
DEFAULT_ENDPOINT = "https://api.incident.io"
DEFAULT_MODES = ("standard", "retrospective")
HOST_NAME = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*")


@dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes:
        name: the key in the config; `INCIDENT_<NAME>` is its environment variable.
        kind: JSON Schema type: string, integer or array (of strings).
        title: label of the field in the Airbyte UI.
        description: what it does and when to change it, for the UI and the docs.
        default: the value of a missing or null setting; None: no value.
        schema: more JSON Schema keywords.
        secret: never shown or logged.
        required: a sync needs it.
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
        """Return the setting's property in the spec.

        Args:
            order: the position of its field in the UI.
        """
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
        "Create one in incident.io under Settings, API keys. Give it the scopes to view data, catalog types and "
        "entries, and the one for private incidents if you want to read those.",
        secret=True,
        required=True,
    ),
    Setting(
        "start_date",
        "string",
        "Start date",
        "The first sync of an incremental stream reads the records that changed at or after this time (UTC). Leave it "
        "empty to read all records.",
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
        "The modes of the incidents to read. It also applies to their actions and follow-ups.",
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
        "An incremental stream starts this long before its bookmark, because the API can show a change some time "
        "after the change's own timestamp.",
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
        "The maximum number of concurrent requests. The API's rate limit is respected with any number.",
        default=10,
        schema={"minimum": 1, "maximum": 20},
    ),
    Setting(
        "request_timeout",
        "integer",
        "Request timeout (seconds)",
        "The maximum time of one request, its body included. A request that takes longer is retried.",
        default=60,
        schema={"minimum": 1, "maximum": 3600},
    ),
    Setting(
        "max_retries",
        "integer",
        "Retries",
        "How often a request is retried after a transient error before its stream fails.",
        default=8,
        schema={"minimum": 0, "maximum": 100},
    ),
    Setting(
        "endpoint",
        "string",
        "API endpoint",
        "The base URL of the API. Change it only to use a proxy or a mock API.",
        default=DEFAULT_ENDPOINT,
        schema={"examples": [DEFAULT_ENDPOINT]},
    ),
    Setting(
        "full_read_days",
        "integer",
        "Full read interval (days)",
        "How often an incremental stream is read in full again, in days. A full read finds changes that the API does "
        "not report by time. 0 turns it off.",
        default=7,
        schema={"minimum": 0, "maximum": 365},
    ),
    Setting(
        "activate_versions",
        "boolean",
        "Remove deleted rows (Singer)",
        "Send ACTIVATE_VERSION after a full read, so that the target removes rows that the API no longer has. It has "
        "no effect in Airbyte. Turn it off for a target that does not support the message.",
        default=True,
    ),
)
BY_NAME = {setting.name: setting for setting in SETTINGS}

# Keys that the Airbyte platform or another tap puts into the same file. They get no warning.
FOREIGN_KEYS = frozenset({"__injected_declarative_manifest", "__test_read_config", "user_agent"})


@dataclass(frozen=True)
class Config:
    """The validated settings of one run. `Config.parse` makes one."""

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
    full_read_days: int
    activate_versions: bool

    @classmethod
    def parse(cls, settings: Mapping[str, Any]) -> "Config":
        """Validate settings.

        Args:
            settings: values by name; a missing or null one gets its default.

        Raises:
            InputError: a setting is missing, has the wrong type or is out of range.
        """
        values = {setting.name: _validate(setting, settings.get(setting.name)) for setting in SETTINGS}
        return cls(
            api_key=_parse_api_key(values["api_key"]),
            endpoint=_parse_endpoint(values["endpoint"]),
            start_date=_parse_start_date(values["start_date"]),
            incident_modes=tuple(dict.fromkeys(values["incident_modes"])),
            lookback_window=timedelta(minutes=values["lookback_window"]),
            schedule_entries_past=timedelta(days=values["schedule_entries_past_days"]),
            schedule_entries_future=timedelta(days=values["schedule_entries_future_days"]),
            num_workers=values["num_workers"],
            request_timeout=values["request_timeout"],
            max_retries=values["max_retries"],
            full_read_days=values["full_read_days"],
            activate_versions=values["activate_versions"],
        )


def connection_specification() -> dict[str, Any]:
    """Return the JSON Schema of the settings for the Airbyte protocol's `spec`."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "incident.io",
        "type": "object",
        "required": [setting.name for setting in SETTINGS if setting.required],
        "additionalProperties": True,
        "properties": {setting.name: setting.json_schema(order) for order, setting in enumerate(SETTINGS)},
    }


def load(path: str | None, environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Load settings, without validation. A setting that the file lacks is taken from the environment.

    Args:
        path: a JSON file; None or `ENV`: use only the environment.
        environment: has `INCIDENT_<NAME>` (which the Go tap uses too) or `TAP_INCIDENT_<NAME>` (which Meltano sets).

    Raises:
        InputError: the file can't be read or holds no JSON object, or a variable can't be parsed.
    """
    settings = {} if path is None or path == "ENV" else read_json_object(path, "config")
    for setting in SETTINGS:
        for variable in (setting.environment, f"TAP_{setting.environment}"):
            if settings.get(setting.name) is None and environment.get(variable):
                settings[setting.name] = _parse_variable(setting, variable, environment[variable])
    return settings


def unknown_settings(settings: Mapping[str, Any]) -> list[str]:
    """Return a warning for each key that is not a setting, with the most similar name if there is one."""
    warnings = []
    for key in settings:
        if key in BY_NAME or key in FOREIGN_KEYS or key.startswith("__"):
            continue
        similar = difflib.get_close_matches(key, BY_NAME, n=1)
        hint = f" Did you mean {similar[0]!r}?" if similar else ""
        warnings.append(f"config: unknown setting {key!r} is ignored.{hint}")
    return warnings


def endpoint_notice(settings: Mapping[str, Any]) -> str | None:
    """Return a line that names the host that gets the API key, unless it is the default one."""
    endpoint = settings.get("endpoint")
    default_host = urlsplit(DEFAULT_ENDPOINT).netloc
    host = urlsplit(_parse_endpoint(endpoint)).netloc if isinstance(endpoint, str) else default_host
    return (
        None if host == default_host else f"The API key is sent to {host} (the setting endpoint), not to {default_host}"
    )


def _validate(setting: Setting, value: Any) -> Any:
    """Return the setting's value with the right type, or its default.

    Raises:
        InputError: the value has the wrong type or is out of range.
    """
    if value is None:
        if setting.required:
            raise InputError(
                "config", f"{setting.name} is missing", f"Add it to the config file, or set {setting.environment}"
            )
        return setting.default
    if setting.kind == "integer":
        return _validate_integer(setting, value)
    if setting.kind == "boolean":
        if not isinstance(value, bool):
            raise InputError("config", f"{setting.name} must be true or false, but it is {json_type(value)}")
        return value
    if setting.kind == "array":
        allowed = (setting.schema or {})["items"]["enum"]
        if not isinstance(value, list) or not value or not all(item in allowed for item in value):
            raise InputError("config", f"{setting.name} must be a list of one or more of {', '.join(allowed)}")
    elif not isinstance(value, str):
        raise InputError("config", f"{setting.name} must be a string, but it is {json_type(value)}")
    return value


def _validate_integer(setting: Setting, value: Any) -> int:
    # A UI can send 10.0. A boolean is an int in Python, but a mistake here.
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError("config", f"{setting.name} must be a whole number, but it is {json_type(value)}")
    schema = setting.schema or {}
    if not schema["minimum"] <= value <= schema["maximum"]:
        found = f", but it is {value}" if abs(value) < 10**12 else ""
        raise InputError("config", f"{setting.name} must be from {schema['minimum']} to {schema['maximum']}{found}")
    return value


def _parse_api_key(value: str) -> str:
    key = value.strip()
    if not key:
        raise InputError("config", "api_key is empty", "Create a key in incident.io under Settings, API keys")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise InputError(
            "config", "api_key has a space, a line break or another character that no key has", "Copy the key again"
        )
    return key


def _parse_endpoint(value: str) -> str:
    endpoint = value.strip().rstrip("/")
    try:
        parts = urlsplit(endpoint)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if parts.scheme not in ("http", "https") or not host or not _is_valid_url(endpoint, host):
        raise InputError("config", f"endpoint must be a URL such as {DEFAULT_ENDPOINT}")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise InputError("config", f"endpoint must be a URL such as {DEFAULT_ENDPOINT}, without user, ? or #")
    if parts.scheme == "http" and not _is_loopback(host):
        raise InputError("config", f"endpoint must use https: http would send the API key unencrypted to {host}")
    return endpoint


def _is_valid_url(endpoint: str, host: str) -> bool:
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


def _parse_start_date(value: str | None) -> datetime | None:
    if value is None or not value.strip():
        return None
    try:
        start = parse_timestamp(value)
    except (ValueError, OverflowError):
        raise InputError("config", "start_date must be a date such as 2024-01-01 or 2024-01-01T00:00:00Z") from None
    if start > clock.now():
        raise InputError("config", f"start_date {start:%Y-%m-%d} is in the future", "Set an earlier date")
    return max(start, EARLIEST)


def _parse_variable(setting: Setting, variable: str, text: str) -> Any:
    if setting.kind == "integer":
        try:
            return int(text)
        except ValueError:
            raise InputError("environment", f"{variable} must be a whole number") from None
    if setting.kind == "boolean":
        if text.strip().lower() not in ("true", "false"):
            raise InputError("environment", f"{variable} must be true or false")
        return text.strip().lower() == "true"
    if setting.kind == "array":
        if text.lstrip().startswith("["):
            try:
                return json.loads(text)
            except (RecursionError, ValueError):
                raise InputError("environment", f'{variable} must be a list such as a,b or ["a", "b"]') from None
        return [item.strip() for item in text.split(",")]
    return text
