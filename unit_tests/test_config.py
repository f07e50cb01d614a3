"""Settings: the spec, the environment, and the error for each value that can't be used."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from airbyte_cdk.models import ConnectorSpecification
from airbyte_cdk.test.standard_tests import _spec_lint
from hypothesis import given
from hypothesis import strategies as st

from source_incident.config import (
    BY_NAME,
    DEFAULT_ENDPOINT,
    SETTINGS,
    Config,
    connection_specification,
    load,
    unknown_settings,
)
from source_incident.errors import InputError
from source_incident.timestamps import parse_timestamp
from source_incident.version import version
from unit_tests.singer.strategies import json_values

KEY = "inc_5ecret_key_0123456789abcdef"


def parsed(**given_settings: Any) -> Config:
    return Config.parse({"api_key": KEY, **given_settings})


def rejected(given_settings: Any) -> str:
    with pytest.raises(InputError) as caught:
        Config.parse(given_settings)
    return one_line(caught.value)


def one_line(error: InputError) -> str:
    """Check that the error's text is one line without the API key, and return it."""
    message = str(error)
    assert message.startswith(("config", "environment: "))
    assert "\n" not in message
    assert len(message) < 300
    assert KEY not in message
    assert error.__cause__ is None
    return message


# Accepted values


def test_only_the_key_is_required() -> None:
    assert parsed() == Config(
        api_key=KEY,
        endpoint=DEFAULT_ENDPOINT,
        start_date=None,
        incident_modes=("standard", "retrospective"),
        lookback_window=timedelta(minutes=5),
        schedule_entries_past=timedelta(days=30),
        schedule_entries_future=timedelta(days=30),
        num_workers=10,
        request_timeout=60,
        max_retries=8,
        full_read_days=7,
        activate_versions=True,
    )


@pytest.mark.parametrize("name", [setting.name for setting in SETTINGS if not setting.required])
def test_null_means_the_default(name: str) -> None:
    assert parsed(**{name: None}) == parsed()


@pytest.mark.parametrize(
    ("name", "value", "attribute", "expected"),
    [
        ("api_key", f"  {KEY}\n", "api_key", KEY),
        ("start_date", "2024-01-01", "start_date", datetime(2024, 1, 1, tzinfo=UTC)),
        ("start_date", "2024-01-01T12:00:00Z", "start_date", datetime(2024, 1, 1, 12, tzinfo=UTC)),
        ("start_date", "2024-01-01T12:00:00.5Z", "start_date", datetime(2024, 1, 1, 12, 0, 0, 500_000, UTC)),
        ("start_date", "2024-01-01T12:00:00+02:00", "start_date", datetime(2024, 1, 1, 10, tzinfo=UTC)),
        ("start_date", "0001-01-01", "start_date", datetime(2020, 1, 1, tzinfo=UTC)),
        ("start_date", " ", "start_date", None),
        ("incident_modes", ["test", "stream", "test"], "incident_modes", ("test", "stream")),
        ("lookback_window", 0, "lookback_window", timedelta(0)),
        ("lookback_window", 525_600, "lookback_window", timedelta(minutes=525_600)),
        ("schedule_entries_past_days", 3650, "schedule_entries_past", timedelta(days=3650)),
        ("request_timeout", 3600, "request_timeout", 3600),
        ("max_retries", 100, "max_retries", 100),
        ("lookback_window", 10.0, "lookback_window", timedelta(minutes=10)),
        ("schedule_entries_past_days", 0, "schedule_entries_past", timedelta(0)),
        ("schedule_entries_future_days", 3650, "schedule_entries_future", timedelta(days=3650)),
        ("num_workers", 20, "num_workers", 20),
        ("request_timeout", 1, "request_timeout", 1),
        ("max_retries", 0, "max_retries", 0),
        ("full_read_days", 0, "full_read_days", 0),
        ("full_read_days", 365, "full_read_days", 365),
        ("activate_versions", False, "activate_versions", False),
        ("endpoint", "https://proxy.example/incident/", "endpoint", "https://proxy.example/incident"),
        ("endpoint", "http://127.0.0.1:8080", "endpoint", "http://127.0.0.1:8080"),
        ("endpoint", "http://127.0.0.2", "endpoint", "http://127.0.0.2"),
        ("endpoint", "http://[::1]:80", "endpoint", "http://[::1]:80"),
        ("endpoint", "http://localhost:1", "endpoint", "http://localhost:1"),
    ],
)
def test_parses_a_setting(name: str, value: Any, attribute: str, expected: Any) -> None:
    assert getattr(parsed(**{name: value}), attribute) == expected


# Rejected values


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "api_key is missing"),
        ("", "api_key is empty"),
        (" \n", "api_key is empty"),
        (5, "must be a string, but it is a number"),
        ([KEY], "must be a string, but it is a list"),
        ({"key": KEY}, "must be a string, but it is an object"),
        (True, "must be a string, but it is a boolean"),
        (f"{KEY}\n{KEY}", "a line break"),
        (f"Bearer {KEY}", "a space"),
        (KEY + "é", "no key has"),
        (KEY + "\x00", "no key has"),
        (KEY + "\x7f", "no key has"),
    ],
)
def test_rejects_an_invalid_key_without_showing_it(value: Any, text: str) -> None:
    assert text in rejected({"api_key": value})


def test_a_missing_key_is_reported_with_the_environment_variable() -> None:
    assert "INCIDENT_API_KEY" in rejected({})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("start_date", value) for value in ("soon", "2024-13-01", "2024-02-30", 20240101, ["2024-01-01"], {}, True)),
        *(("start_date", value) for value in ("0001-01-01T00:00:00+14:00", "2999-01-01", "\n2999-01-01\n", "9" * 5000)),
        *(("incident_modes", value) for value in ([], "standard", {}, [1], ["Standard"], ["standard", None], [[]])),
        *(("endpoint", value) for value in ("", "api.incident.io", "ftp://api.incident.io", "https://", "//x", 5, [])),
        *(("endpoint", value) for value in ("http://api.incident.io", "http://10.0.0.1", "http://127.0.0.1.nip.io")),
        *(("endpoint", value) for value in ("http://localhost.evil.example", "https://user:password@api.incident.io")),
        *(("endpoint", value) for value in ("https://api.incident.io?x=1", "https://api.incident.io#x", "https://[::1")),
        *(("endpoint", value) for value in ("https://api.incident.io:port", "https://api.incident.io:99999")),
        *(("endpoint", value) for value in ("https://api.incident.io\n/v1", "https://api .incident.io", "https://a\tb")),
        *(("endpoint", value) for value in ("https://api.incident.io/a b", "https://.example", "https://a..b")),
        *(("endpoint", value) for value in ("https://-x.example", "https://münchen.example", "https://[fe80::1%eth0")),
        *(("endpoint", value) for value in ("https://*x", "https://a.example\\@b.example", "https://" + "a" * 99)),
        *(
            (name, value)
            for name in ("lookback_window", "num_workers", "request_timeout", "max_retries")
            for value in (-1, 1.5, "5", "many", True, [], {}, 10**300, float("inf"), float("nan"), 1e300)
        ),
        # One below the minimum and one above the maximum, written out.
        ("lookback_window", 525_601),
        ("schedule_entries_past_days", -1),
        ("schedule_entries_past_days", 3651),
        ("schedule_entries_future_days", -1),
        ("schedule_entries_future_days", 3651),
        ("num_workers", 0),
        ("num_workers", 21),
        ("request_timeout", 0),
        ("request_timeout", 3601),
        ("max_retries", 101),
        ("full_read_days", -1),
        ("full_read_days", 366),
        *(("activate_versions", value) for value in ("true", 1, 0, [], {})),
    ],
)  # fmt: skip
def test_rejects_an_invalid_value_and_names_the_setting(name: str, value: Any) -> None:
    assert name in rejected({"api_key": KEY, name: value})


def test_reports_the_range_of_a_number() -> None:
    assert rejected({"api_key": KEY, "num_workers": 21}) == "config: num_workers must be from 1 to 20, but it is 21"


@given(
    st.dictionaries(
        st.sampled_from(sorted(BY_NAME)) | st.text(max_size=5),
        json_values
        | st.text(max_size=40)
        | st.sampled_from(["2024-01-01", "https://x.example", "http://[", "standard", ["standard"], 10**400, -1])
        | st.integers()
        | st.floats(),
    ),
    st.booleans(),
)
def test_any_json_is_parsed_or_rejected(given_settings: dict[str, Any], with_key: bool) -> None:
    if with_key:
        given_settings["api_key"] = KEY
    given_settings["user_agent"] = KEY
    try:
        config = Config.parse(given_settings)
    except InputError as error:
        one_line(error)
    else:
        assert config.api_key
        assert config.endpoint.startswith(("https://", "http://"))
    for warning in unknown_settings(given_settings):
        assert "\n" not in warning
        assert KEY not in warning


@given(st.text() | st.from_regex(r"https?://[^/]{1,12}(/.{0,5})?", fullmatch=True))
def test_an_accepted_endpoint_makes_a_valid_url(endpoint: str) -> None:
    import requests

    try:
        accepted = parsed(endpoint=endpoint).endpoint
    except InputError as error:
        one_line(error)
        return
    prepared = requests.Request("GET", f"{accepted}/v1/identity").prepare()
    assert prepared.url is not None
    assert prepared.url.endswith("/v1/identity")


# Unknown settings


@pytest.mark.parametrize(
    ("key", "similar"), [("apikey", "api_key"), ("start-date", "start_date"), ("incident_mode", "incident_modes")]
)
def test_warns_of_an_unknown_setting_with_a_similar_name(key: str, similar: str) -> None:
    (warning,) = unknown_settings({"api_key": KEY, key: KEY})
    assert warning == f"config: unknown setting {key!r} is ignored. Did you mean {similar!r}?"


def test_warns_of_an_unknown_setting_without_a_similar_name() -> None:
    assert unknown_settings({"zzz": 1}) == ["config: unknown setting 'zzz' is ignored."]


def test_does_not_warn_of_settings_and_of_the_platforms_keys() -> None:
    names = {setting.name: None for setting in SETTINGS}
    assert unknown_settings({**names, "__injected_declarative_manifest": {}, "__x": 1, "user_agent": "me"}) == []


# The environment


def test_reads_a_file(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"api_key": KEY}))
    assert load(str(path), {}) == {"api_key": KEY}


@pytest.mark.parametrize("path", [None, "ENV"])
@pytest.mark.parametrize("prefix", ["INCIDENT_", "TAP_INCIDENT_"])
def test_reads_every_setting_from_the_environment(path: str | None, prefix: str) -> None:
    environment = {
        "API_KEY": KEY,
        "START_DATE": "2024-01-01",
        "INCIDENT_MODES": "standard, test",
        "LOOKBACK_WINDOW": "7",
        "SCHEDULE_ENTRIES_PAST_DAYS": "1",
        "SCHEDULE_ENTRIES_FUTURE_DAYS": "2",
        "NUM_WORKERS": "3",
        "REQUEST_TIMEOUT": "4",
        "MAX_RETRIES": "0",
        "ENDPOINT": "https://proxy.example",
        "FULL_READ_DAYS": "1",
        "ACTIVATE_VERSIONS": "false",
    }
    assert environment.keys() == {setting.name.upper() for setting in SETTINGS}
    found = Config.parse(load(path, {prefix + name: value for name, value in environment.items()}))
    assert found == Config(
        api_key=KEY,
        endpoint="https://proxy.example",
        start_date=datetime(2024, 1, 1, tzinfo=UTC),
        incident_modes=("standard", "test"),
        lookback_window=timedelta(minutes=7),
        schedule_entries_past=timedelta(days=1),
        schedule_entries_future=timedelta(days=2),
        num_workers=3,
        request_timeout=4,
        max_retries=0,
        full_read_days=1,
        activate_versions=False,
    )


def test_the_file_overrides_the_environment(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"endpoint": "https://file.example", "max_retries": 0, "start_date": null}')
    environment = {
        "INCIDENT_ENDPOINT": "https://environment.example",
        "INCIDENT_MAX_RETRIES": "5",
        "INCIDENT_START_DATE": "2024-01-01",
        "INCIDENT_API_KEY": KEY,
        "INCIDENT_NUM_WORKERS": "",
    }
    assert load(str(path), environment) == {
        "endpoint": "https://file.example",
        "max_retries": 0,
        "start_date": "2024-01-01",
        "api_key": KEY,
    }


def test_the_go_taps_variables_override_meltanos() -> None:
    found = load(None, {"TAP_INCIDENT_API_KEY": "meltano", "INCIDENT_API_KEY": KEY})
    assert found == {"api_key": KEY}


@pytest.mark.parametrize("text", ['["standard", "test"]', "standard,test", " standard , test "])
def test_parses_a_list_in_the_environment(text: str) -> None:
    assert load(None, {"INCIDENT_INCIDENT_MODES": text}) == {"incident_modes": ["standard", "test"]}


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("INCIDENT_NUM_WORKERS", "many"),
        ("INCIDENT_NUM_WORKERS", "1.5"),
        ("INCIDENT_NUM_WORKERS", "9" * 5000),
        ("INCIDENT_INCIDENT_MODES", "[standard"),
        ("INCIDENT_INCIDENT_MODES", "[" * 100_000),
        ("INCIDENT_INCIDENT_MODES", f"[{'9' * 5000}]"),
    ],
)
def test_rejects_an_invalid_variable_and_names_it(variable: str, text: str) -> None:
    with pytest.raises(InputError) as caught:
        load(None, {variable: text, "INCIDENT_API_KEY": KEY})
    assert variable in one_line(caught.value)


@given(st.dictionaries(st.sampled_from([setting.environment for setting in SETTINGS]), st.text(max_size=20)))
def test_any_environment_is_parsed_or_rejected(environment: dict[str, str]) -> None:
    try:
        Config.parse(load("ENV", {**environment, "INCIDENT_API_KEY": KEY}))
    except InputError as error:
        one_line(error)


# The spec


def test_the_spec_its_defaults_and_examples_are_valid() -> None:
    spec = connection_specification()
    assert spec["$schema"] == "http://json-schema.org/draft-07/schema#"
    jsonschema.Draft7Validator.check_schema(spec)
    defaults = {name: schema["default"] for name, schema in spec["properties"].items() if "default" in schema}
    jsonschema.Draft7Validator(spec).validate({"api_key": KEY, **defaults})
    assert Config.parse({"api_key": KEY, **defaults}) == parsed()
    for name, schema in spec["properties"].items():
        for example in schema.get("examples", []):
            jsonschema.Draft7Validator(schema).validate(example)
            parsed(**{name: example})


def test_the_spec_has_the_fields_of_the_ui_in_order() -> None:
    spec = connection_specification()
    assert spec["required"] == ["api_key"]
    assert spec["additionalProperties"] is True
    assert [schema["order"] for schema in spec["properties"].values()] == list(range(len(SETTINGS)))
    assert next(iter(spec["properties"])) == "api_key"
    for schema in spec["properties"].values():
        assert schema["title"]
        assert schema["description"].endswith(".")
        assert schema["type"] in ("string", "integer", "array", "boolean")


def test_only_the_key_is_secret() -> None:
    properties = connection_specification()["properties"]
    assert [name for name, schema in properties.items() if schema.get("airbyte_secret")] == ["api_key"]
    assert "default" not in properties["api_key"]
    assert "examples" not in properties["api_key"]


def test_the_spec_passes_airbytes_lint() -> None:
    spec = ConnectorSpecification(connectionSpecification=connection_specification())
    _spec_lint.assert_spec_is_valid(spec, connector_name="source-incident")
    assert _spec_lint.find_config_secrets(connection_specification(), {"api_key": KEY}) == [("/api_key", KEY)]


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "start_date": st.sampled_from(["2024-01-01", "2024-01-01T00:00:00Z", "2024-01-01T00:00:00.123Z"]),
            "incident_modes": st.lists(
                st.sampled_from(["standard", "retrospective", "test", "tutorial", "stream"]), min_size=1, unique=True
            ),
            **{name: st.integers(-2, 5000) for name in BY_NAME if BY_NAME[name].kind == "integer"},
        },
    )
)
def test_the_spec_and_the_validation_agree(given_settings: dict[str, Any]) -> None:
    valid = jsonschema.Draft7Validator(connection_specification()).is_valid({"api_key": KEY, **given_settings})
    try:
        parsed(**given_settings)
    except InputError:
        assert not valid
    else:
        assert valid


@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)))
def test_parses_every_timestamp(moment: datetime) -> None:
    assert parse_timestamp(moment.isoformat()) == moment
    assert parse_timestamp(moment.isoformat().replace("+00:00", "Z")) == moment


def test_the_version_is_that_of_the_installed_package() -> None:
    assert version().count(".") == 2
