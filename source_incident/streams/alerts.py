"""Alerts: sources, attributes, routes, notes, maintenance windows."""

from __future__ import annotations

from source_incident.streams.kinds import (
    ChildStream,
    FullTableStream,
    IncrementalStream,
)


class Alerts(IncrementalStream):
    """Alerts, with their attributes and status."""

    endpoint = "/v2/alerts"
    records_key = "alerts"
    primary_key = ["id"]
    cursor_field = "updated_at"
    partition_field = "created_at"
    page_size = 50


class AlertAttributes(FullTableStream):
    """The attributes that alerts can have."""

    endpoint = "/v2/alert_attributes"
    records_key = "alert_attributes"
    primary_key = ["id"]


class AlertSources(FullTableStream):
    """The systems that send alerts, and how their alerts are parsed."""

    endpoint = "/v2/alert_sources"
    records_key = "alert_sources"
    primary_key = ["id"]
    # `email_options.email_address` is emitted, although an email to it creates an alert. It is a column of
    # incident.io's own tap, and gives no access to data.
    credentials = {
        "secret_token": "the source authenticates with it when it sends an alert",
        "alert_events_url": "alerts can be posted to it",
        "heartbeat_options.ping_url": "a ping to it keeps the heartbeat's alert from firing",
    }


class IncidentAlerts(FullTableStream):
    """The links between alerts and incidents, with the alert route that created each link."""

    endpoint = "/v2/incident_alerts"
    records_key = "incident_alerts"
    primary_key = ["id"]
    page_size = 50


class AlertNotes(ChildStream):
    """Notes on alerts and on alert groups."""

    endpoint = "/v1/alert_notes"
    records_key = "alert_notes"
    primary_key = ["id"]
    parent = Alerts
    parent_key = "alert_id"
    # One request per alert, so only the alerts that have notes are requested (docs/api.md, filters). They are few.
    parent_query = {"has_notes[is]": "true"}
    # A note on a group may not count as a note of the group's alerts (docs/api.md, alert notes).
    group_key = "alert_group_id"
    group_field = "alert_group_ids"
    uses_root_cursor = True
    page_size = 250
    credentials = {"images.url": "a signed URL: it shows the image to anyone who has it, for 10 minutes"}
    selected_by_default = False


class AlertRoutes(FullTableStream):
    """The routes that decide what happens to an alert, with their conditions, grouping, escalation and channels."""

    # /v3 is the newest version. Its list has only the id, the name and whether the route is enabled.
    endpoint = "/v3/alert_routes"
    detail_endpoint = "/v3/alert_routes/{id}"
    detail_columns = {
        column: f"alert_route.{column}"
        for column in (
            "alert_sources", "condition_groups", "created_at", "escalation_config", "expressions", "grouping_config",
            "incident_config", "is_private", "message_config", "owning_team_ids", "updated_at", "version",
        )
    }  # fmt: skip
    records_key = "alert_routes"
    primary_key = ["id"]
    page_size = 50


class AlertTags(FullTableStream):
    """The tags that alerts can have."""

    endpoint = "/v2/alert_tags"
    records_key = "alert_tags"
    primary_key = ["id"]
    page_size = 250


class MaintenanceWindows(FullTableStream):
    """Periods of planned work during which alerts are suppressed, including past ones."""

    endpoint = "/v1/maintenance_windows"
    records_key = "maintenance_windows"
    primary_key = ["id"]
    page_size = 50
