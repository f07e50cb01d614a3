"""Status pages, and the incidents and maintenances that they publish."""

from __future__ import annotations

from source_incident.streams.kinds import ChildStream, FullTableStream


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
