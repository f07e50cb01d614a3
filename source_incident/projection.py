"""Projects records onto the columns that a catalog selects, once per page and for both protocols.

- A record keeps the columns of the configured schema, at any depth.
- Fields that the connector does not declare go into the column `_undeclared`, or stay inside the column that they
  are in. Without `_undeclared` in the configured schema, they are dropped and logged once.
- Undeclared fields whose name says that they hold a credential are withheld and logged once.
- Values of a type that the schema does not allow pass unchanged and are logged once.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from types import NoneType
from typing import Any

from source_incident.credentials import names_credential

logger = logging.getLogger("airbyte.incident.projection")

UNDECLARED = "_undeclared"

Record = dict[str, Any]
Schema = Mapping[str, Any]
Path = tuple[str, ...]

TYPES: Mapping[str, frozenset[type]] = {
    "null": frozenset({NoneType}),
    "boolean": frozenset({bool}),
    "integer": frozenset({int}),
    "number": frozenset({int, float}),
    "string": frozenset({str}),
    "array": frozenset({list}),
    "object": frozenset({dict}),
}
JSON_TYPES = {
    NoneType: "null", bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"
}  # fmt: skip
ANY_TYPE = frozenset(JSON_TYPES)
# Without float, whose values are looked at.
SCALARS = frozenset({NoneType, bool, int, str})
# A float of this size is an integer that did not fit into 64 bits, or a number that JSON wrote with an exponent.
FIRST_INEXACT = 2.0**63
WITHHELD = "is withheld, because its name says that it holds a credential"
NOT_IN_SCHEMA = "is not in the catalog's schema and is dropped. Run discover again to include it"
# More undeclared fields at one path of a page, the keys of a map too, are dropped: they would take too much memory.
MAX_FIELDS = 50_000
TOO_MANY_FIELDS = f"has more than {MAX_FIELDS:,} different undeclared fields on one page. They are dropped"
# More fields of one stream are not logged: the names can be data.
MAX_LOGGED = 50
MAX_LOGGED_LENGTH = 200
# A record that is nested more deeply can't be serialized.
MAX_LEVELS = 255
# Stands in a path for the keys of a map.
MAP_KEY = "*"


@dataclass(frozen=True, slots=True)
class _Objects:
    """What the schemas say about the objects at one path.

    Attributes:
        columns: the selected columns.
        declared: the names of the declared fields, selected or not.
        is_open: the configured schema lists no columns, so every field is kept.
        map_values: for a map, what its values are; None: this is no map.
        groups: the columns of scalars by their types. The columns of a group are checked together.
    """

    columns: Mapping[str, "_Values"]
    declared: frozenset[str]
    is_open: bool
    map_values: "_Values | None"
    groups: Mapping[frozenset[type], frozenset[str]]


@dataclass(frozen=True, slots=True)
class _Values:
    """What the schemas say about the values of one column.

    Attributes:
        types: the allowed types: of the values, then of the elements of a list, and so on.
        objects: the objects among the values, in lists too.
    """

    types: tuple[frozenset[type], ...]
    objects: _Objects


FREE_OBJECTS = _Objects({}, frozenset(), True, None, {})
FREE_VALUES = _Values((), FREE_OBJECTS)


@dataclass(frozen=True, slots=True)
class _Edit:
    """What changes in all objects at one path of a page.

    Attributes:
        removed: the fields that the objects lose.
        moved: the fields that go into the column `_undeclared`.
        fields: by field, what changes in its objects.
    """

    removed: Set[str]
    moved: frozenset[str]
    fields: Mapping[str, "_Edit"]

    def apply(self, record: Record) -> Record:
        """Return a changed copy of an object."""
        kept: Record = {}
        undeclared: Record = {}
        for name, value in record.items():
            if name not in self.removed:
                edit = self.fields.get(name)
                (undeclared if name in self.moved else kept)[name] = edit.apply_to_value(value) if edit else value
        if undeclared:
            column = kept.pop(UNDECLARED, None)
            kept[UNDECLARED] = {**column, **undeclared} if isinstance(column, dict) else undeclared
        return kept

    def apply_to_value(self, value: Any) -> Any:
        """Return a changed copy of an object, or of the objects of a list. Other values are returned as they are."""
        if type(value) is list:
            return [self.apply_to_value(element) for element in value]
        return self.apply(value) if type(value) is dict else value


class Projection:
    """Projects the records of one stream.

    Args:
        stream: the stream's name, for the log.
        configured: the schema in the configured catalog. One without columns selects all of them.
        declared: the schema that the connector declares.
    """

    def __init__(self, stream: str, configured: Schema, declared: Schema) -> None:
        self._stream = stream
        configured = configured if _properties(configured) else declared
        self._keeps_undeclared = UNDECLARED in _properties(configured)
        self._record = _objects(configured, declared)
        self._logged: set[str] = set()

    def project(self, records: list[Record]) -> list[Record]:
        """Project a page of records. Records are copied if they change, and the page is returned if none does."""
        edit = self._inspect(records, self._record, (), 0)
        return records if edit is None else [edit.apply(record) for record in records]

    def _inspect(self, objects: list[Record], schema: _Objects, path: Path, level: int) -> _Edit | None:
        """Compare all objects at one path with their schema. Return what has to change; None: nothing.

        Each column is compared for all objects at once; object by object would be slower.
        """
        names: set[str] = set().union(*objects)
        columns = names.intersection(schema.columns)
        names -= columns
        for types, group in schema.groups.items():
            present = group & columns
            if present and _fit(objects, present, types):
                columns -= present
        fields: dict[str, _Edit] = {}
        for name in sorted(columns):
            values = [record[name] for record in objects if name in record]
            if edit := self._inspect_values(values, schema.columns[name], (*path, name), level):
                fields[name] = edit
        if len(names) > MAX_FIELDS:
            self._log(path or (UNDECLARED,), TOO_MANY_FIELDS)
            return _Edit(names, frozenset(), fields)
        if not names:
            return _Edit(frozenset(), frozenset(), fields) if fields else None
        removed = frozenset(self._removed_fields(names, schema, path))
        kept = names - removed
        # The keys of a map are data: there can be many, so their values are inspected together.
        for name, values in _values_by_field(objects, kept, MAP_KEY if schema.map_values else None).items():
            if edit := self._inspect_values(values, schema.map_values or FREE_VALUES, (*path, name), level):
                fields |= dict.fromkeys(kept if schema.map_values else [name], edit)
        moved = frozenset(kept if not path else ())
        return _Edit(removed, moved, fields) if removed or moved or fields else None

    def _inspect_values(self, values: list[Any], schema: _Values, path: Path, level: int) -> _Edit | None:
        """Compare the values of one column with their schema, and the elements of lists too.

        Args:
            values: the values that the column has.
            schema: their schema.
            path: the column's path.
            level: how many objects and lists are around the values.
        """
        objects: list[Record] = []
        depth = 0
        while values and level + depth < MAX_LEVELS:
            types = {type(value) for value in values if type(value) is not dict}
            found = [value for value in values if type(value) is dict] if types else values
            objects = [*objects, *found] if objects else found
            allowed = schema.types[depth] if depth < len(schema.types) else ANY_TYPE
            if not types <= allowed or (found and dict not in allowed):
                self._log_types({*types, dict} if found else types, allowed, path, depth)
            if float in types:
                self._log_inexact(values, path, depth)
            if list not in types:
                break
            values = list(chain.from_iterable(value for value in values if type(value) is list))
            depth += 1
        return self._inspect(objects, schema.objects, path, level + depth + 1) if objects else None

    def _removed_fields(self, undeclared: set[str], schema: _Objects, path: Path) -> Iterator[str]:
        parent = next((name for name in reversed(path) if name != MAP_KEY), "")
        for name in sorted(undeclared):
            if name in schema.declared:
                yield name  # Not selected.
            elif names_credential(name, parent):
                self._log((*path, name), WITHHELD)
                yield name
            elif not (self._keeps_undeclared or schema.is_open):
                self._log((*path, name), NOT_IN_SCHEMA)
                yield name

    def _log_types(self, found: set[type], allowed: frozenset[type], path: Path, depth: int) -> None:
        self._log(
            path,
            f"has values of type {_type_names(found - allowed)}, and the schema allows {_type_names(allowed)}. They "
            "are emitted unchanged",
            "[]" * depth,
        )

    def _log_inexact(self, values: list[Any], path: Path, depth: int) -> None:
        if any(type(value) is float and abs(value) >= FIRST_INEXACT for value in values):
            self._log(path, "has a number beyond 64 bits. Its last digits may be lost", "[]" * depth)

    def _log(self, path: Path, problem: str, suffix: str = "") -> None:
        """Log a warning about a field, once."""
        field = f"{self._stream}.{'.'.join(path)}{suffix}"
        line = f"{field[:MAX_LOGGED_LENGTH]} {problem}"
        if line in self._logged or len(self._logged) > MAX_LOGGED:
            return
        self._logged.add(line)
        if len(self._logged) > MAX_LOGGED:
            line = f"{self._stream}: further fields that are withheld, dropped or of another type are not logged"
        logger.warning(line)


def _objects(configured: Schema, declared: Schema) -> _Objects:
    configured_columns, declared_columns = _properties(configured), _properties(declared)
    # An object that lists no columns is open, unless the selection removed them all.
    is_open = not configured_columns and not (configured.get("properties") == {} and declared_columns)
    columns = {
        name: _values(schema, declared_columns.get(name, schema))
        for name, schema in (declared_columns if is_open else configured_columns).items()
    }
    value_schema = declared.get("additionalProperties", configured.get("additionalProperties"))
    return _Objects(
        columns,
        frozenset(columns) | frozenset(declared_columns),
        is_open,
        _values(value_schema, value_schema) if isinstance(value_schema, Mapping) else None,
        _groups(columns),
    )


def _groups(columns: Mapping[str, _Values]) -> dict[frozenset[type], frozenset[str]]:
    groups: dict[frozenset[type], set[str]] = defaultdict(set)
    for name, values in columns.items():
        if values.types[0] <= SCALARS:
            groups[values.types[0]].add(name)
    return {types: frozenset(group) for types, group in groups.items()}


def _fit(objects: list[Record], names: Set[str], types: frozenset[type]) -> bool:
    """Return whether the values of some columns have the types of their group."""
    # Most values have one type. A comparison with it is cheaper than an addition to a set.
    usual = str if str in types else next(iter(types))
    try:
        rows = map(itemgetter(*names), objects)
        values: Iterable[Any] = rows if len(names) == 1 else chain.from_iterable(rows)
        return {type(value) for value in values if type(value) is not usual} <= types
    except KeyError:
        # Some objects lack some of the columns.
        items = chain.from_iterable(map(dict.items, objects))
        return {type(value) for name, value in items if type(value) is not usual and name in names} <= types


def _values_by_field(objects: list[Record], names: Set[str], common_name: str | None) -> Mapping[str, list[Any]]:
    """Return the values of some fields; under one name if it is given."""
    values: dict[str, list[Any]] = defaultdict(list)
    for record in objects if names else ():
        for name in names & record.keys():
            values[common_name or name].append(record[name])
    return values


def _values(configured: Any, declared: Any) -> _Values:
    if not isinstance(declared, Mapping):
        declared = {}
    if not isinstance(configured, Mapping):
        configured = declared
    types, elements = [_allowed_types(configured)], configured.get("items")
    while isinstance(elements, Mapping):
        types.append(_allowed_types(elements))
        elements = elements.get("items")
    return _Values(tuple(types), _objects(_innermost(configured), _innermost(declared)))


def _allowed_types(schema: Schema) -> frozenset[type]:
    names = schema.get("type")
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, list) or not set(TYPES).issuperset(map(str, names)):
        return ANY_TYPE
    return frozenset(chain.from_iterable(TYPES[name] for name in names))


def _type_names(types: Iterable[type]) -> str:
    return " or ".join(sorted(JSON_TYPES[type_] for type_ in types))


def _properties(schema: Schema) -> Mapping[str, Any]:
    properties = schema.get("properties")
    return properties if isinstance(properties, Mapping) else {}


def _innermost(schema: Schema) -> Schema:
    """Return the schema of what a column holds: itself, or for a list the schema of its elements."""
    while isinstance(schema.get("items"), Mapping):
        schema = schema["items"]
    return schema
