"""Projection of records onto the columns of a catalog, undeclared fields, credentials, and unexpected types."""

import copy
import json
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from source_incident.credentials import names_credential
from source_incident.projection import MAX_LOGGED, UNDECLARED, Projection

Schema = dict[str, Any]

STRING: Schema = {"type": ["null", "string"]}
DECLARED: Schema = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "name": STRING,
        "rank": {"type": ["null", "integer"]},
        "share": {"type": ["null", "number"]},
        "lead": {
            "type": ["null", "object"],
            "properties": {"name": STRING, "email": STRING, "api_key": {"type": ["null", "object"]}},
        },
        "notes": {
            "type": ["null", "array"],
            "items": {"type": "object", "properties": {"text": STRING, "by": STRING}},
        },
        "webhook": {"type": ["null", "object"], "properties": {"state": STRING}},
        "labels": {"type": ["null", "object"], "additionalProperties": STRING},
        "bindings": {
            "type": ["null", "object"],
            "additionalProperties": {"type": ["null", "object"], "properties": {"literal": STRING}},
        },
        "free": {"type": ["null", "object"], "additionalProperties": True},
        UNDECLARED: {"type": ["null", "object"], "additionalProperties": True},
    },
}


def without(*columns: str) -> Schema:
    """The declared schema without some columns, nested ones with a dot."""
    schema = copy.deepcopy(DECLARED)
    for column in columns:
        *parents, last = column.split(".")
        properties = schema["properties"]
        for parent in parents:
            inner = properties[parent]
            properties = inner.get("items", inner)["properties"]
        del properties[last]
    return schema


# As in a catalog of incident.io's own tap.
KEPT_CATALOG = without(UNDECLARED)


def project(record: dict[str, Any], configured: Schema = DECLARED, declared: Schema = DECLARED) -> dict[str, Any]:
    return Projection("things", configured, declared).project([record])[0]


def warnings(caplog: pytest.LogCaptureFixture, *records: dict[str, Any], configured: Schema = DECLARED) -> list[str]:
    """The warnings of two pages that both have the records."""
    projection = Projection("things", configured, DECLARED)
    with caplog.at_level(logging.WARNING, "airbyte"):
        for _ in range(2):
            projection.project([copy.deepcopy(record) for record in records])
    return [entry.getMessage() for entry in caplog.records]


# Columns


def test_a_page_with_nothing_to_change_is_not_copied() -> None:
    page: list[dict[str, Any]] = [
        {"id": "1", "lead": {"name": "a"}, "notes": [{"text": "t"}], "name": None, "labels": {"a": "b"}},
        {"id": "2", "free": {"a": [{"b": 1}]}, "rank": 1, "share": 0.5},
    ]
    assert Projection("things", DECLARED, DECLARED).project(page) is page


@pytest.mark.parametrize("configured", [{}, {"type": "object"}, {"properties": {}}])
def test_a_schema_without_columns_selects_everything(configured: Schema) -> None:
    record = {"id": "1", "lead": {"name": "a", "new": 2}, "new": 1}
    assert project(record, configured) == {"id": "1", "lead": {"name": "a", "new": 2}, UNDECLARED: {"new": 1}}


def test_a_column_that_is_not_selected_is_removed_in_silence(caplog: pytest.LogCaptureFixture) -> None:
    configured = without("name", "lead.email", "notes.by")
    record = {"id": "1", "name": "n", "lead": {"name": "a", "email": "e"}, "notes": [{"text": "t", "by": "b"}, {}]}
    assert project(record, configured) == {"id": "1", "lead": {"name": "a"}, "notes": [{"text": "t"}, {}]}
    assert warnings(caplog, record, configured=configured) == []


def test_an_object_without_selected_columns_is_empty() -> None:
    configured = without("lead.name", "lead.email", "lead.api_key")
    assert project({"id": "1", "lead": {"name": "a"}}, configured) == {"id": "1", "lead": {}}


def test_an_object_that_lists_no_columns_in_an_old_catalog_is_kept() -> None:
    configured = {"properties": {"id": {"type": "string"}, "lead": {"type": ["null", "object"]}}}
    record = {"id": "1", "lead": {"name": "a", "new": 1}}
    assert project(record, configured) is record
    assert project({"id": "1", "lead": {"token": "t"}}, configured) == {"id": "1", "lead": {}}


def test_a_column_that_only_the_catalog_has_is_kept() -> None:
    configured = copy.deepcopy(DECLARED)
    configured["properties"]["old"] = {"type": "object", "properties": {"a": STRING}}
    record = {"id": "1", "old": {"a": "x"}}
    assert project(record, configured) is record


def test_a_column_whose_schema_is_true_is_kept() -> None:
    configured = {"properties": {"id": {"type": "string"}, "lead": True, "new": True}}
    record = {"id": "1", "lead": {"name": "a"}, "new": [{"b": 1}]}
    assert project(record, configured) is record


# Undeclared fields


def test_an_undeclared_field_goes_into_the_column_for_them() -> None:
    record = {"id": "1", "colour": {"hue": 7}, "name": "n", "size": None}
    projected = project(record)
    assert projected == {"id": "1", "name": "n", UNDECLARED: {"colour": {"hue": 7}, "size": None}}
    assert list(projected) == ["id", "name", UNDECLARED]


def test_a_record_without_undeclared_fields_does_not_have_the_column() -> None:
    page = Projection("things", DECLARED, DECLARED).project([{"id": "1"}, {"id": "2", "new": 1}])
    assert page == [{"id": "1"}, {"id": "2", UNDECLARED: {"new": 1}}]


def test_a_nested_undeclared_field_stays_in_its_column(caplog: pytest.LogCaptureFixture) -> None:
    record = {"id": "1", "lead": {"name": "a", "new": 1}, "notes": [{"newer": [{"newest": 2}]}]}
    assert project(record) is record
    assert warnings(caplog, record) == []


def test_without_the_column_undeclared_fields_are_dropped_with_one_warning_each(
    caplog: pytest.LogCaptureFixture,
) -> None:
    record = {"id": "1", "new": 1, "lead": {"name": "a", "newer": 2}, "notes": [{"newest": 3}, {"newest": 4}]}
    assert project(record, KEPT_CATALOG) == {"id": "1", "lead": {"name": "a"}, "notes": [{}, {}]}
    caplog.clear()
    assert sorted(warnings(caplog, record, record, configured=KEPT_CATALOG)) == [
        f"things.{field} is not in the catalog's schema and is dropped. Run discover again to include it"
        for field in ("lead.newer", "new", "notes.newest")
    ]


def test_a_field_of_the_api_with_the_columns_name_is_merged() -> None:
    assert project({"id": "1", UNDECLARED: {"a": 1}, "b": 2}) == {"id": "1", UNDECLARED: {"a": 1, "b": 2}}


# Credentials


@pytest.mark.parametrize("configured", [DECLARED, KEPT_CATALOG])
def test_undeclared_credentials_are_withheld_at_any_depth(configured: Schema) -> None:
    record = {
        "id": "1",
        "signing_secret": "x",
        "lead": {"password": "x", "api_key": {"id": "k"}},
        "notes": [{"text": "t", "access_token": "x"}],
        "webhook": {"state": "on", "url": "x"},
        "labels": {"team": "a", "api-token": "x"},
        "bindings": {"first": {"literal": "l", "secret": "x"}, "second": {"literal": "m"}},
        "free": {"a": {"b": [[{"private_key": "x", "c": 1}]]}},
        "name": {"token": "x"},
    }
    assert project(record, configured) == {
        "id": "1",
        "lead": {"api_key": {"id": "k"}},
        "notes": [{"text": "t"}],
        "webhook": {"state": "on"},
        "labels": {"team": "a"},
        "bindings": {"first": {"literal": "l"}, "second": {"literal": "m"}},
        "free": {"a": {"b": [[{"c": 1}]]}},
        "name": {},
    }


def test_credentials_inside_undeclared_fields_are_withheld() -> None:
    record = {"id": "1", "hook": {"webhook_config": {"url": "x", "kind": "k"}, "list": [{"token": "x"}, 1]}}
    assert project(record) == {"id": "1", UNDECLARED: {"hook": {"webhook_config": {"kind": "k"}, "list": [{}, 1]}}}


def test_a_withheld_field_is_named_once_and_its_value_never(caplog: pytest.LogCaptureFixture) -> None:
    record = {
        "id": "1",
        "token": "hush",
        "new": {"secret": "hush"},
        "lead": {"password": "hush"},
        "bindings": {"any": {"secret": "hush"}},
    }
    found = warnings(caplog, record, record)
    assert sorted(found) == [
        f"things.{field} is withheld, because its name says that it holds a credential"
        for field in ("bindings.*.secret", "lead.password", "new.secret", "token")
    ]


def test_a_declared_field_is_emitted_whatever_its_name() -> None:
    record = {"id": "1", "lead": {"api_key": {"id": "k", "name": "n"}}}
    assert project(record) is record


# Types


@pytest.mark.parametrize("value", [None, "text", 5, [], {}, [None], [1, {"text": "t"}], [[{"text": "t"}]], True])
def test_a_value_of_an_unexpected_type_is_kept(value: Any) -> None:
    record = {"id": value, "lead": value, "notes": value, "name": value, "rank": value, "free": value}
    assert project(copy.deepcopy(record)) == record


@pytest.mark.parametrize(
    ("record", "line"),
    [
        ({"id": None}, "things.id has values of type null, and the schema allows string"),
        ({"name": 5}, "things.name has values of type integer, and the schema allows null or string"),
        ({"name": {"a": 1}}, "things.name has values of type object, and the schema allows null or string"),
        ({"rank": 1.5}, "things.rank has values of type number, and the schema allows integer or null"),
        ({"rank": True}, "things.rank has values of type boolean, and the schema allows integer or null"),
        ({"lead": "a"}, "things.lead has values of type string, and the schema allows null or object"),
        ({"lead": {"name": []}}, "things.lead.name has values of type array, and the schema allows null or string"),
        ({"notes": {}}, "things.notes has values of type object, and the schema allows array or null"),
        ({"notes": [None]}, "things.notes[] has values of type null, and the schema allows object"),
        ({"notes": [{"by": 1}]}, "things.notes.by has values of type integer, and the schema allows null or string"),
        ({"labels": {"a": 1}}, "things.labels.* has values of type integer, and the schema allows null or string"),
    ],
)
def test_a_value_of_an_unexpected_type_is_named_once(
    record: dict[str, Any], line: str, caplog: pytest.LogCaptureFixture
) -> None:
    good = {"id": "1", "name": "n", "rank": 1, "lead": {"name": "a"}, "notes": [{"by": "b"}], "labels": {"b": "c"}}
    assert warnings(caplog, good, {**good, **record}, {"id": "2"}) == [f"{line}. They are emitted unchanged"]


@pytest.mark.parametrize("record", [{"share": 1}, {"share": 0.5}, {"share": None}, {"rank": 2**63}, {"name": ""}])
def test_an_allowed_value_is_not_named(record: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    assert warnings(caplog, {"id": "1", **record}) == []


@pytest.mark.parametrize(
    ("record", "field"),
    [
        ({"rank": 2.0**64}, "rank"),
        ({"share": -(2.0**70)}, "share"),
        ({"new": {"sizes": [1, 2.0**64]}}, "new.sizes[]"),
        ({"free": {"size": 2.0**64}}, "free.size"),
    ],
)
def test_a_number_beyond_64_bits_is_named(record: dict[str, Any], field: str, caplog: pytest.LogCaptureFixture) -> None:
    line = f"things.{field} has a number beyond 64 bits. Its last digits may be lost"
    assert warnings(caplog, {"id": "1", **record}).count(line) == 1


def test_the_number_of_warnings_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    records = [{"id": "1", "free": {f"token-{number}a": "x" * 999}} for number in range(MAX_LOGGED + 20)]
    found = warnings(caplog, *records, {"id": "1", "free": {"b" * 9999 + "-token": 1}})
    assert len(found) == MAX_LOGGED + 1
    assert found[-1] == "things: further fields that are withheld, dropped or of another type are not logged"
    assert max(map(len, found)) < 400


def test_deeply_nested_values_do_not_exhaust_the_stack() -> None:
    value: Any = {"token": "x"}
    for _ in range(900):
        value = {"a": value}
    project({"id": "1", "new": value})


# Properties

NAMES = ("a", "b", "id", "url", "state", "webhook_config", UNDECLARED)
CREDENTIALS = ("token", "api_key", "webhook", "client_secret")
names = st.sampled_from(NAMES)
any_name = st.sampled_from(NAMES + CREDENTIALS)
scalars = st.none() | st.booleans() | st.integers(0, 3) | st.text("xy", max_size=2) | st.just(0.5)
json_values = st.recursive(
    scalars,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(any_name, children, max_size=4),
    max_leaves=12,
)
column_schemas = st.recursive(
    st.sampled_from([STRING, {"type": "integer"}, {"type": ["null", "object"]}]).map(copy.deepcopy),
    lambda children: (
        st.builds(
            lambda properties: {"type": ["null", "object"], "properties": properties},
            st.dictionaries(names, children, min_size=1, max_size=4),
        )
        | st.builds(lambda items: {"type": ["null", "array"], "items": items}, children)
        | st.builds(lambda values: {"type": ["null", "object"], "additionalProperties": values}, children)
    ),
    max_leaves=8,
)
declared_schemas = st.builds(
    lambda columns: {"type": "object", "properties": {**columns, UNDECLARED: {"type": ["null", "object"]}}},
    st.dictionaries(names, column_schemas, min_size=1, max_size=5),
)


@st.composite
def configured_schemas(draw: st.DrawFn, declared: Schema) -> Schema:
    """A selection of the columns of a schema, at any depth."""
    schema = dict(declared)
    if "properties" in schema:
        columns = draw(st.lists(st.sampled_from(sorted(schema["properties"])), unique=True))
        schema["properties"] = {name: draw(configured_schemas(schema["properties"][name])) for name in columns}
    if "items" in schema:
        schema["items"] = draw(configured_schemas(schema["items"]))
    return schema


@st.composite
def pages(draw: st.DrawFn, schema: Schema) -> list[dict[str, Any]]:
    return draw(st.lists(values_near(schema).filter(lambda value: isinstance(value, dict)), max_size=4))


def values_near(schema: Schema) -> st.SearchStrategy[Any]:
    """Values that fit the schema or nearly so: with undeclared or missing fields, or of another type."""
    if schema.get("properties"):
        fields = {key: values_near(column) for key, column in schema["properties"].items()}
        return st.one_of(
            json_values,
            st.builds(
                lambda known, other: {**other, **known},
                st.fixed_dictionaries({}, optional=fields),
                st.dictionaries(any_name, json_values, max_size=3),
            ),
        )
    if "items" in schema:
        return json_values | st.lists(values_near(schema["items"]), max_size=3)
    if "additionalProperties" in schema:
        return json_values | st.dictionaries(any_name, values_near(schema["additionalProperties"]), max_size=3)
    return json_values


def reference_projection(configured: Schema, declared: Schema, record: dict[str, Any]) -> dict[str, Any]:
    """The expected result, record by record and field by field."""
    configured = configured if configured["properties"] else declared
    keeps = UNDECLARED in configured["properties"]
    projected, undeclared = {}, {}
    for name, value in record.items():
        if name in configured["properties"]:
            column = configured["properties"][name]
            projected[name] = reference_value(column, declared["properties"][name], value, keeps, name)
        elif keeps and name not in declared["properties"] and not names_credential(name):
            undeclared[name] = reference_value({}, {}, value, keeps, name)
    if undeclared:
        column = projected.pop(UNDECLARED, None)
        projected[UNDECLARED] = {**column, **undeclared} if isinstance(column, dict) else undeclared
    return projected


def reference_value(configured: Schema, declared: Schema, value: Any, keeps: bool, parent: str) -> Any:
    if isinstance(value, list):
        return [reference_value(configured, declared, element, keeps, parent) for element in value]
    if not isinstance(value, dict):
        return value
    while "items" in configured:
        configured, declared = configured["items"], declared["items"]
    columns, all_columns = configured.get("properties", {}), declared.get("properties", {})
    projected = {}
    for name, field in value.items():
        if name in columns:
            projected[name] = reference_value(columns[name], all_columns[name], field, keeps, name)
        elif name in all_columns or names_credential(name, parent):
            continue
        elif "additionalProperties" in declared:
            map_values = declared["additionalProperties"]
            projected[name] = reference_value(map_values, map_values, field, keeps, parent)
        elif keeps or not all_columns:
            projected[name] = reference_value({}, {}, field, keeps, name)
    return projected


@given(st.data())
def test_equals_a_slow_projection_of_each_record(data: st.DataObject) -> None:
    declared = data.draw(declared_schemas)
    configured = data.draw(configured_schemas(declared))
    page = data.draw(pages(declared))
    before = copy.deepcopy(page)
    projection = Projection("things", configured, declared)
    projected = projection.project(page)
    assert page == before
    # As text, because the order of the fields matters too.
    assert json.dumps(projected) == json.dumps([reference_projection(configured, declared, record) for record in page])
    if projected == page:
        assert projected is page
    assert projection.project(projected) is projected


@given(st.data())
def test_no_undeclared_credential_is_left(data: st.DataObject) -> None:
    """The names of the declared columns are no credentials, so no credential is declared."""
    declared = data.draw(declared_schemas)
    configured = data.draw(configured_schemas(declared))
    for record in Projection("things", configured, declared).project(data.draw(pages(declared))):
        assert not credentials_in(record)


def credentials_in(value: Any, parent: str = "") -> list[str]:
    if isinstance(value, list):
        return [name for element in value for name in credentials_in(element, parent)]
    if not isinstance(value, dict):
        return []
    return [
        found
        for name, field in value.items()
        for found in ([name] if name in CREDENTIALS else credentials_in(field, name))
    ]
