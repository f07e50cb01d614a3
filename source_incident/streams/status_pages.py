"""Status pages, and the incidents and maintenances that they publish."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from source_incident.streams.kinds import ChildStream, FullTableStream, parent_ids
from source_incident.streams.months import months
from source_incident.streams.page import Record, Slice


class StatusPages(FullTableStream):
    """The organisation's status pages."""

    endpoint = "/v2/status_pages"
    records_key = "status_pages"
    primary_key = ["id"]
    page_size = 250


class StatusPageComponents(FullTableStream):
    """The components whose status is shown on status pages."""

    endpoint = "/v2/status_page_components"
    records_key = "status_page_components"
    primary_key = ["id"]


class StatusPageStructures(ChildStream):
    """The arrangement of a status page's components in groups."""

    endpoint = "/v2/status_page_structures/{status_page_id}"
    records_key = None
    primary_key = ["status_page_id"]
    parent = StatusPages
    parent_key = "status_page_id"
    required_fields = ("current_structure",)


class StatusPageComponentAvailability(ChildStream):
    """The availability of each component of a status page, by calendar month in UTC.

    A sync reads the last 12 months, and the current month up to the last midnight. That is up to 13 requests per
    component and page.
    """

    endpoint = "/v2/status_pages/{status_page_id}/components/{component_id}/availability"
    records_key = "availability"
    single_record = True
    # The bounds are timestamps of the API, which can have another form at the next sync.
    primary_key = ["status_page_id", "component_id", "month"]
    parent = StatusPageStructures
    parent_key = "component_id"
    month_parameters = ("start_at", "end_at")
    selected_by_default = False

    def child_slice(self, parent_record: Record, parent_slice: Slice) -> Slice | None:
        return next(iter(self.child_slices(parent_record, parent_slice)), None)

    def child_slices(self, parent_record: Record, parent_slice: Slice) -> list[Slice]:
        ids = parent_ids(parent_slice)
        components = dict.fromkeys(component_ids(parent_record.get("current_structure")))
        return [
            {**ids, "component_id": component, "month": month}
            for component in components
            for month in months(self._created_at)
        ]


def component_ids(structure: Any) -> Iterator[str]:
    """The ids of the components in the structure of a status page: in its items, groups and sub-pages."""
    if isinstance(structure, list):
        for element in structure:
            yield from component_ids(element)
    elif isinstance(structure, dict):
        if isinstance(id_ := structure.get("component_id"), str) and id_:
            yield id_
        for value in structure.values():
            yield from component_ids(value)


class StatusPageIncidents(ChildStream):
    """Incidents that a status page published, with their updates."""

    endpoint = "/v2/status_page_incidents"
    records_key = "status_page_incidents"
    primary_key = ["id"]
    parent = StatusPages
    parent_key = "status_page_id"
    page_size = 250


class StatusPageMaintenances(ChildStream):
    """Maintenances that a status page announced, with their updates."""

    endpoint = "/v2/status_page_maintenances"
    records_key = "status_page_maintenances"
    primary_key = ["id"]
    parent = StatusPages
    parent_key = "status_page_id"
    page_size = 250


class StatusPageResponseIncidents(ChildStream):
    """The incidents that an incident on a status page refers to."""

    # `status_page_id` comes from the parent's slice.
    endpoint = "/v1/status-pages/{status_page_id}/incidents/{status_page_incident_id}/response-incidents"
    records_key = "incidents"
    primary_key = ["status_page_incident_id", "id"]
    parent = StatusPageIncidents
    parent_key = "status_page_incident_id"
    selected_by_default = False
