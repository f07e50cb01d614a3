"""What a key can read: the check of a key, and the survey."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from airbyte_cdk.models import Status

from source_incident.api import AuthenticationError, Client, ForbiddenError, UnreachableError
from source_incident.check import ListLength, check_key, survey
from source_incident.errors import InputError
from unit_tests.api.server import FORBIDDEN, NOT_FOUND, ScriptedServer, answer

KEY = "inc_5ecret_key_0123456789"
LOGGER = logging.getLogger("airbyte")


class Account:
    """Answers by the last part of the path; every other list is missing (404)."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[Any, int]] = {
            "identity": ({"identity": {"name": f"Warehouse {KEY}"}}, 200),
            "incidents": ({"incidents": [{"id": "i1"}], "pagination_meta": {"total_record_count": 5}}, 200),
            "severities": ({"severities": [{"id": "s1"}]}, 200),
        }

    def __call__(self, path: str) -> bytes:
        name = path.partition("?")[0].rpartition("/")[2]
        return answer(*self.answers.get(name, (NOT_FOUND, 404)))


@pytest.fixture
def account() -> Account:
    return Account()


@pytest.fixture
def server(account: Account) -> Iterator[ScriptedServer]:
    with ScriptedServer(default=account) as started:
        yield started


@pytest.fixture
def settings(server: ScriptedServer) -> dict[str, Any]:
    return {"api_key": KEY, "endpoint": server.url, "max_retries": 0}


Log = Callable[[int], list[str]]


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Log:
    """Return the messages with a level."""
    caplog.set_level(logging.INFO, "airbyte")
    return lambda level: [record.getMessage() for record in caplog.records if record.levelno == level]


def test_check_succeeds_and_logs_the_redacted_name_of_the_key(settings: dict[str, Any], log: Log) -> None:
    assert check_key(LOGGER, settings).status == Status.SUCCEEDED
    host = settings["endpoint"].removeprefix("http://")
    assert log(logging.INFO) == [
        f"The API key is sent to {host} (the setting endpoint), not to api.incident.io",
        "The API key is 'Warehouse ****'",
    ]
    assert log(logging.WARNING) == []


def test_check_warns_of_lists_that_cannot_be_read(account: Account, settings: dict[str, Any], log: Log) -> None:
    account.answers["severities"] = (FORBIDDEN, 403)
    account.answers["incident_types"] = ({}, 422)
    assert check_key(LOGGER, settings).status == Status.SUCCEEDED
    warnings = sorted(log(logging.WARNING))
    assert len(warnings) == 2
    assert warnings[0].startswith("incident_types could not be checked: ")
    assert warnings[1].startswith("severities can't be read, a sync leaves it out unless the catalog selects it: ")


def test_check_fails_if_the_key_cannot_read_incidents(account: Account, settings: dict[str, Any]) -> None:
    account.answers["incidents"] = account.answers["severities"] = (FORBIDDEN, 403)
    status = check_key(LOGGER, settings)
    assert status.status == Status.FAILED
    message = str(status.message)
    assert "some.scope" in message
    streams = message.partition("It can't read these streams either: ")[2].split(", ")
    assert "severities" in streams
    assert "incidents" not in streams


def test_check_fails_with_an_unusable_config() -> None:
    status = check_key(LOGGER, {"api_key": ""})
    assert status.status == Status.FAILED
    assert str(status.message).startswith("config: api_key is empty")


@pytest.mark.parametrize(("max_retries", "tries"), [(8, 3), (1, 2), (0, 1)])
def test_check_makes_at_most_three_requests_for_a_list_that_is_unavailable(
    account: Account,
    server: ScriptedServer,
    settings: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    max_retries: int,
    tries: int,
) -> None:
    """Someone waits for the result, so check retries less often than a sync."""
    monkeypatch.setattr(Client, "sleep", lambda *_: None)
    # Several streams need the first status page.
    for path in ("workflows", "users", "severities", "status_pages"):
        account.answers[path] = ({}, 503)
    assert check_key(LOGGER, {**settings, "max_retries": max_retries}).status == Status.SUCCEEDED
    paths = Counter(line.split()[1].partition("?")[0] for line in server.lines())
    assert {paths[path] for path in ("/v2/workflows", "/v2/users", "/v1/severities", "/v2/status_pages")} == {tries}
    server.requests.clear()
    account.answers["identity"] = ({}, 503)
    assert check_key(LOGGER, {**settings, "max_retries": max_retries}).status == Status.FAILED
    assert [line.split()[1] for line in server.lines()] == ["/v1/identity"] * tries


def test_survey_has_lengths_and_errors(account: Account, settings: dict[str, Any]) -> None:
    account.answers["workflows"] = (FORBIDDEN, 403)
    found = survey(settings)
    assert found.key_name == "Warehouse ****"
    assert found.lengths == {"incidents": ListLength(5, True), "severities": ListLength(1, True)}
    assert list(found.errors) == ["workflows"]
    assert isinstance(found.errors["workflows"], ForbiddenError)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"api_key": ""}, InputError),
        ({"endpoint": "http://127.0.0.1:1"}, UnreachableError),
    ],
)
def test_survey_raises_if_it_cannot_ask(
    settings: dict[str, Any], change: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        survey({**settings, **change})


def test_survey_raises_if_the_key_is_rejected(account: Account, settings: dict[str, Any]) -> None:
    account.answers["identity"] = ({}, 401)
    with pytest.raises(AuthenticationError):
        survey(settings)
