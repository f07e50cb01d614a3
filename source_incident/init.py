"""`--init`: asks for the API key, shows what it can read, writes the config file."""

import getpass
import json
import os
import shlex
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from source_incident.api import ApiError, AuthenticationError, ForbiddenError
from source_incident.check import ListLength, Survey, survey
from source_incident.config import DEFAULT_ENDPOINT, Config, endpoint_notice
from source_incident.errors import InputError
from source_incident.files import read_json_object

MAX_TRIES = 3
DEFAULT_FILE = "config.json"


def init(
    path: str,
    environment_settings: Mapping[str, Any],
    write_line: Callable[[str], None],
    add_secret: Callable[[str], None],
) -> None:
    """Run the dialogue on the terminal.

    Args:
        path: the file to write. If it exists, its other settings are kept.
        environment_settings: the settings from the environment.
        write_line: shows one line.
        add_secret: redacts a key in everything that is shown from now on.

    Raises:
        InputError: there is no terminal, no key was accepted, or the file can't be written.
        ApiError: the API does not answer.
        KeyboardInterrupt: the user pressed Ctrl-C.
    """
    if not sys.stdin.isatty():
        raise InputError(
            "",
            "--init asks for the key and needs a terminal",
            'Without one, set INCIDENT_API_KEY, or write the file yourself: {"api_key": "..."}',
        )
    try:
        file_settings = _existing_settings(path)
        if notice := endpoint_notice({**environment_settings, **file_settings}):
            write_line(notice)
        key, found = _ask_for_key({**environment_settings, **file_settings}, write_line, add_secret)
        for line in describe_survey(found):
            write_line(line)
        _write_config(path, {**_custom_endpoint(environment_settings), **file_settings, "api_key": key})
    except EOFError:
        write_line("")
        raise InputError(
            "", "--init ended without a key, nothing was written", "Run it again when you have one"
        ) from None
    except KeyboardInterrupt:
        write_line("")
        write_line("Nothing was written.")
        raise
    file_name = shlex.quote(path)
    write_line("")
    write_line(f"Wrote {path}, which only you can read. Next, select streams, or read all of these:")
    write_line("")
    write_line(f"  tap-incident --config {file_name} --discover > catalog.json")
    write_line(f"  tap-incident --config {file_name} > messages.jsonl")


def describe_survey(found: Survey) -> list[str]:
    """Return lines of text: what the key can read, and what not."""
    key_name = f" {found.key_name!r}" if found.key_name else ""
    lines = ["", f"The key{key_name} works. It can read these streams and their child streams:", ""]
    filled = {name: length for name, length in found.lengths.items() if length.records}
    width = max((len(name) for name in (*filled, *found.errors)), default=0)
    lines += [f"  {name:{width}}  {_record_count(length)}" for name, length in filled.items()]
    if empty := sorted(found.lengths.keys() - filled.keys()):
        lines += ["", f"These are empty: {', '.join(empty)}."]
    if found.errors:
        lines += [
            "",
            "It can't read these. A sync leaves out the ones with a missing scope, unless the catalog selects them. "
            "Grant the scope in incident.io to read them:",
            "",
        ]
        lines += [f"  {name:{width}}  {_reason(error)}" for name, error in found.errors.items()]
    return lines


def _record_count(length: ListLength) -> str:
    return f"{length.records:>7,}{'' if length.is_exact else ' or more'}"


def _reason(error: ApiError) -> str:
    return error.scope or error.message if isinstance(error, ForbiddenError) else error.message


def _existing_settings(path: str) -> dict[str, Any]:
    """Read the settings of the file, if it exists and the user agrees to change it.

    Raises:
        InputError: the file can't be used, or the user does not agree.
    """
    place = f"config {path}"
    parent = Path(path).resolve().parent
    if not os.access(parent, os.W_OK | os.X_OK):
        raise InputError(place, f"no file can be written in {parent}", "Name another one with --config")
    if not os.path.lexists(path):
        return {}
    settings = read_json_object(path, "config")
    answer = input(f"{path} exists. Replace the key in it and keep its other settings? [y/N] ")
    if answer.strip().lower() not in ("y", "yes"):
        raise InputError(place, "was not changed", "Name another file with --config")
    return settings


def _custom_endpoint(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the endpoint of the environment unless it is the default: the key is valid only there."""
    endpoint = settings.get("endpoint")
    return {} if endpoint in (None, DEFAULT_ENDPOINT) else {"endpoint": endpoint}


def _ask_for_key(
    settings: Mapping[str, Any], write_line: Callable[[str], None], add_secret: Callable[[str], None]
) -> tuple[str, Survey]:
    """Ask until the API accepts a key.

    Raises:
        InputError: the API accepted no key, or the other settings can't be used.
        ApiError: the API does not answer.
    """
    Config.parse({**settings, "api_key": "not-known-yet"})
    for _ in range(MAX_TRIES):
        key = getpass.getpass("API key, from incident.io under Settings, API keys (it is not shown): ").strip()
        add_secret(key)
        try:
            Config.parse({**settings, "api_key": key})
            write_line("Checking what the key can read ...")
            return key, survey({**settings, "api_key": key})
        except (AuthenticationError, InputError) as error:
            write_line(str(error))
    raise InputError(
        "", f"no key was accepted in {MAX_TRIES} tries, nothing was written", "Run --init again with a new one"
    )


def _write_config(path: str, settings: Mapping[str, Any]) -> None:
    """Write the config file atomically. Only its owner can read it."""
    target = Path(path).resolve()
    temporary = None
    try:
        descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}-")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(settings, file, indent=2, ensure_ascii=False)
            file.write("\n")
        os.replace(temporary, target)
    except OSError as error:
        if temporary:
            with suppress(OSError):
                os.unlink(temporary)
        raise InputError(
            f"config {path}", f"can't be written: {error.strerror}", "Name another file with --config"
        ) from None
