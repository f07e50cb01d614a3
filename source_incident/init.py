"""`--init`: asks for the API key, shows what it can read and how much there is, writes the config."""

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

from source_incident import config
from source_incident.api import ApiError, AuthenticationError, ForbiddenError
from source_incident.config import ConfigError
from source_incident.source import SourceIncident, Survey
from source_incident.streams.base import Page

TRIES = 3
DEFAULT_FILE = "config.json"

Say = Callable[[str], None]


def init(path: str, given: Mapping[str, Any], say: Say, hide: Say) -> None:
    """Holds the dialogue on the terminal.

    Args:
        path: the file to write; the other settings of one that is there already are kept.
        given: the settings of the environment.
        say: shows a line.
        hide: keeps a key out of everything that is shown from now on.

    Raises:
        ConfigError: there is no terminal, no key was accepted, or the file can't be written.
        ApiError: the API can't be asked.
        KeyboardInterrupt: the user ended it.
    """
    if not sys.stdin.isatty():
        raise ConfigError(
            "--init asks for the key, it needs a terminal. Without one, set INCIDENT_API_KEY, or write the file "
            'yourself: {"api_key": "..."}'
        )
    try:
        kept = _kept(path)
        key, survey = _accepted_key({**given, **kept}, say, hide)
        for line in described(survey):
            say(line)
        _write(path, {**_elsewhere(given), **kept, "api_key": key})
    except EOFError:
        say("")
        raise ConfigError("--init ended without a key, nothing was written. Run it again when you have one") from None
    except KeyboardInterrupt:
        say("\nNothing was written.")
        raise
    name = shlex.quote(path)
    say(f"\nWrote {path}, which only you can read. Next, choose streams, or read all of these:\n")
    say(f"  tap-incident --config {name} --discover > catalog.json")
    say(f"  tap-incident --config {name} > messages.jsonl")


def described(survey: Survey) -> list[str]:
    """What a key can read, in lines."""
    name = f" {survey.key!r}" if survey.key else ""
    lines = [f"\nThe key{name} works. It can read these, and what hangs on them:\n"]
    filled = {name: page for name, page in survey.first_pages.items() if page.records}
    width = max((len(name) for name in (*filled, *survey.refused)), default=0)
    lines += [f"  {name:{width}}  {_extent(page)}" for name, page in filled.items()]
    if empty := sorted(survey.first_pages.keys() - filled.keys()):
        lines.append(f"\nThese are empty: {', '.join(empty)}.")
    if survey.refused:
        lines.append(
            "\nIt can't read these. A sync leaves out what the key lacks the scope for; grant it in incident.io:\n"
        )
        lines += [f"  {name:{width}}  {_reason(error)}" for name, error in survey.refused.items()]
    return lines


def _extent(page: Page) -> str:
    count = len(page.records) if page.total is None else page.total
    return f"{count:>7,}{' or more' if page.total is None and page.after else ''}"


def _reason(error: ApiError) -> str:
    return error.scope or error.message if isinstance(error, ForbiddenError) else error.message


def _kept(path: str) -> dict[str, Any]:
    """The settings of a file that is there already.

    Raises:
        ConfigError: it can't be used, or shall be left alone.
    """
    parent = Path(path).resolve().parent
    if not os.access(parent, os.W_OK | os.X_OK):
        raise ConfigError(f"config {path}: no file can be written in {parent}. Name another one with --config")
    if not os.path.lexists(path):
        return {}
    kept = config.read_json_object(path, "config", config.MAX_CONFIG_BYTES)
    if input(
        f"{path} is there already. Replace the key in it, and keep its other settings? [y/N] "
    ).strip().lower() not in ("y", "yes"):
        raise ConfigError(f"config {path}: left as it is. Name another file with --config")
    return kept


def _elsewhere(given: Mapping[str, Any]) -> dict[str, Any]:
    """The endpoint that the key is for, where it is not the default one: in another environment it works there only."""
    endpoint = given.get("endpoint")
    return {} if endpoint in (None, config.DEFAULT_ENDPOINT) else {"endpoint": endpoint}


def _accepted_key(settings: Mapping[str, Any], say: Say, hide: Say) -> tuple[str, Survey]:
    """Asks until a key is accepted.

    Raises:
        ConfigError: none was, or the other settings can't be used.
        ApiError: the API can't be asked.
    """
    config.Config.parse({**settings, "api_key": "not-known-yet"})
    for _ in range(TRIES):
        key = getpass.getpass("API key, from incident.io under Settings, API keys (it is not shown): ").strip()
        hide(key)
        try:
            config.Config.parse({**settings, "api_key": key})
            say("Asking what it can read ...")
            return key, SourceIncident().survey({**settings, "api_key": key})
        except (AuthenticationError, ConfigError) as error:
            say(str(error))
    raise ConfigError(f"no key was accepted in {TRIES} tries, nothing was written. Run --init again with a new one")


def _write(path: str, settings: Mapping[str, Any]) -> None:
    """Writes a config that only its owner can read, whole or not at all."""
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
        raise ConfigError(
            f"config {path}: can't be written: {error.strerror}. Name another file with --config"
        ) from None
