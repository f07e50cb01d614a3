"""Pages of a list: what a stream returns for one request, and how its parts are found in the body."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from source_incident.api import PageMemory, UnexpectedAnswerError
from source_incident.timestamps import parse_timestamp

Record = dict[str, Any]
Slice = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list.

    Attributes:
        records: the records, ready to be emitted.
        after: the cursor of the next page; None: this is the last page.
        requested_at: the moment of the request by the server's clock; None: the answer had no Date.
        total: how many records the list has; None: the API does not report it.
        complete_until: the moment up to which the records are complete; None: the API does not report it.
        ends_early: this is the last page, and the list has far fewer records than its total.
        is_short: the page has fewer records than its size allows.
        memory: counts the memory of the records as long as the page exists.
    """

    records: list[Record]
    after: str | None
    requested_at: datetime | None = None
    total: int | None = None
    complete_until: datetime | None = None
    ends_early: bool = False
    is_short: bool = False
    memory: PageMemory | None = field(default=None, compare=False, repr=False)


def record_list(value: Any, name: str) -> list[Record]:
    """Check that a value of a body is a list of objects.

    Raises:
        UnexpectedAnswerError: it is something else.
    """
    if not isinstance(value, list):
        raise UnexpectedAnswerError(f"{name!r} in the answer is not a list")
    if not set(map(type, value)) <= {dict}:
        raise UnexpectedAnswerError(f"{name!r} in the answer has an element that is not an object")
    return value


def record_object(value: Any, name: str) -> Record:
    """Check that a value of a body is an object.

    Raises:
        UnexpectedAnswerError: it is something else.
    """
    if not isinstance(value, dict):
        raise UnexpectedAnswerError(f"{name!r} in the answer is not an object")
    return value


def total_records(body: Mapping[str, Any]) -> int | None:
    """The list's length as `pagination_meta.total_record_count` reports it; None: the body does not have it."""
    meta = body.get("pagination_meta")
    total = meta.get("total_record_count") if isinstance(meta, dict) else None
    return total if type(total) is int and total >= 0 else None


def value_at(value: Any, path: str) -> Any:
    """The value at a dotted path of an object; None where the path ends early."""
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def remove_field(value: Any, path: list[str], applies: Callable[[Any], bool] = lambda value: True) -> None:
    """Remove the field at `path` from an object, in every element of the lists on the way.

    Args:
        value: the object, or a list of objects.
        path: the names of the fields that lead to the field.
        applies: whether the field is removed, from its value.
    """
    if isinstance(value, list):
        for element in value:
            remove_field(element, path, applies)
    elif isinstance(value, dict):
        if len(path) > 1:
            remove_field(value.get(path[0]), path[1:], applies)
        elif applies(value.get(path[0])):
            value.pop(path[0], None)


def is_url(value: Any) -> bool:
    """Whether a value is the text of an http or https URL."""
    return isinstance(value, str) and value.strip().lower().startswith(("http://", "https://"))


def cursor_of(record: Record, field: str) -> datetime | None:
    """The value of a record's cursor field; None where it is missing or not a timestamp."""
    value = record.get(field)
    try:
        return parse_timestamp(value) if isinstance(value, str) else None
    except (ValueError, OverflowError):
        return None
