"""Drops from records the fields that a schema does not have."""

from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any


class Projection:
    """Reduces records to the columns of a schema, at any depth.

    Args:
        schema: the selected columns.
        full_schema: the same schema with the unselected columns too.
        report_unknown: called with the path of each field that is not in `full_schema`.
        path: the path of the object that the schema describes, with a dot at its end; empty for a record.
    """

    def __init__(
        self,
        schema: Mapping[str, Any],
        full_schema: Mapping[str, Any],
        report_unknown: Callable[[str], None],
        path: str = "",
    ) -> None:
        full_properties = _properties(full_schema)
        self._columns = frozenset(schema["properties"])
        self._known_columns = self._columns | frozenset(full_properties)
        self._report_unknown = report_unknown
        self._path = path
        self._nested: list[tuple[str, Projection]] = []
        for column, column_schema in schema["properties"].items():
            innermost = _innermost(column_schema)
            full_innermost = _innermost(full_properties.get(column, column_schema))
            # An object without properties is emitted as it is, unless the selection removed them all.
            all_removed = innermost.get("properties") == {} and _properties(full_innermost)
            if _properties(innermost) or all_removed:
                nested = Projection(innermost, full_innermost, report_unknown, f"{path}{column}.")
                self._nested.append((column, nested))

    def project(self, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the records without fields that the schema lacks. Nothing is copied if there are none."""
        return records if self._covers(records) else [self._project_record(record) for record in records]

    def _covers(self, records: list[dict[str, Any]]) -> bool:
        """Return whether the schema has all fields of the records, which is the usual case.

        Each column is compared for all records at once; this is faster than record by record.
        """
        if not self._columns.issuperset(chain.from_iterable(records)):
            return False
        for column, nested in self._nested:
            values = [value for record in records if (value := record.get(column))]
            while list in (types := set(map(type, values))):
                values = list(chain.from_iterable(value if type(value) is list else (value,) for value in values))
            objects = values if types <= {dict} else [value for value in values if type(value) is dict]
            if objects and not nested._covers(objects):
                return False
        return True

    def _project_record(self, record: dict[str, Any]) -> dict[str, Any]:
        projected = {column: value for column, value in record.items() if column in self._columns}
        for column in record.keys() - self._known_columns:
            self._report_unknown(self._path + column)
        for column, nested in self._nested:
            if value := projected.get(column):
                projected[column] = nested._project_value(value)
        return projected

    def _project_value(self, value: Any) -> Any:
        """Project an object, or the objects of a list. Other values are returned as they are."""
        if type(value) is list:
            return [self._project_value(element) for element in value]
        return self._project_record(value) if type(value) is dict else value


def _properties(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    properties = schema.get("properties")
    return properties if isinstance(properties, Mapping) else {}


def _innermost(schema: Any) -> Mapping[str, Any]:
    """Return the schema of what a column holds: itself, or for a list the schema of its elements."""
    while isinstance(schema, Mapping) and isinstance(schema.get("items"), Mapping):
        schema = schema["items"]
    return schema if isinstance(schema, Mapping) else {}
