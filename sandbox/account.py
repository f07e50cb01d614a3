"""What the API serves: an invented company or a recorded account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from sandbox.contract import Contract, Endpoint
from sandbox.lists import ChildList, Record, RecordList

_EMBEDDED_USER_FIELDS = ("id", "name", "email", "role", "slack_user_id")


class Body(Protocol):
    """An endpoint that answers with one object."""

    def get(self, parent_ids: tuple[str, ...]) -> Record | None:
        """The body; None when a parent does not exist."""


class Account(Protocol):
    """The lists and the single objects of an account, by name."""

    contract: Contract
    lists: dict[str, RecordList | ChildList]
    bodies: dict[str, Body]

    def extra_keys(self, endpoint: Endpoint, parent_ids: tuple[str, ...]) -> Record:
        """Keys that a body has next to its records and `pagination_meta`."""

    def has_notes(self, alert_id: str) -> bool:
        """Whether an alert has notes."""

    def group_has_notes(self, group_id: str) -> bool:
        """Whether an alert group has notes."""


def record_list(account: Account, name: str) -> RecordList:
    """A list that has no parents."""
    records = account.lists[name]
    assert isinstance(records, RecordList)
    return records


def changed_count(lists: Mapping[str, RecordList | ChildList], name: str, parent_id: str) -> int | None:
    """Number of a parent's children; None: none of them was added, replaced or deleted."""
    children = lists.get(name)
    changed = children.changed_children((parent_id,)) if isinstance(children, ChildList) else None
    return None if changed is None else len(changed)


def extra_keys(account: Account, endpoint: Endpoint, parent_ids: tuple[str, ...], metadata: Record) -> Record:
    """`catalog_type` and `metadata`, for an endpoint whose body has them."""
    extra: Record = {}
    if "catalog_type" in endpoint.keys:
        types = record_list(account, "catalog_types")
        handle = types.find(parent_ids[0])
        extra["catalog_type"] = None if handle is None else types.record(handle)
    if "metadata" in endpoint.keys:
        extra["metadata"] = metadata
    return extra


def parents_exist(parents: list[tuple[str, RecordList | ChildList]], parent_ids: tuple[str, ...]) -> bool:
    """Whether every parent of an object exists."""
    return all(parent.find(parent_id) is not None for parent_id, (_, parent) in zip(parent_ids, parents, strict=True))


def embedded_user(user: Record) -> Record:
    """A user as other records embed it."""
    return {field: user[field] for field in _EMBEDDED_USER_FIELDS if field in user}
