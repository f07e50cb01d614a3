"""Alerts: where they come from, what they carry, and where they are sent."""

from __future__ import annotations

from source_incident.streams.kinds import (
    ChildStream,
    FullTableStream,
    IncrementalStream,
)


class Alerts(IncrementalStream):
    """Every alert that was received, with its attributes and whether it is still firing."""

    endpoint = "/v2/alerts"
    records_key = "alerts"
    primary_key = ["id"]
    cursor_field = "updated_at"
    split_by = "created_at"
    page_size = 50


class AlertAttributes(FullTableStream):
    """The attributes that alerts can carry."""

    endpoint = "/v2/alert_attributes"
    records_key = "alert_attributes"
    primary_key = ["id"]


class AlertSources(FullTableStream):
    """The systems that send alerts, and how what they send is read."""

    endpoint = "/v2/alert_sources"
    records_key = "alert_sources"
    primary_key = ["id"]
    # `email_options.email_address` stays: whoever has it can mail an alert in, but it is a column of
    # incident.io's own tap, and lets nobody read anything
    credentials = {
        "secret_token": "what the source proves itself with when it sends an alert",
        "alert_events_url": "alerts can be posted to it",
        "heartbeat_options.ping_url": "a ping to it keeps the heartbeat's alert from firing",
    }


class IncidentAlerts(FullTableStream):
    """Which alert belongs to which incident, and the alert route that joined them."""

    endpoint = "/v2/incident_alerts"
    records_key = "incident_alerts"
    primary_key = ["id"]
    page_size = 50


class AlertNotes(ChildStream):
    """The notes that people left on alerts."""

    endpoint = "/v1/alert_notes"
    records_key = "alert_notes"
    primary_key = ["id"]
    parent = Alerts
    parent_key = "alert_id"
    # The list is read alert by alert: ask for the few alerts that have a note
    parent_query = {"has_notes[is]": "true"}
    by_parent = True
    # A new note may leave the alert's updated_at alone. The alerts with notes are few, so all of them are read
    reads_all_parents = True
    page_size = 250
    credentials = {"images.url": "a signed address: whoever has it sees the image, for 10 minutes"}
    selected_by_default = False


class AlertRoutes(FullTableStream):
    """The routes that decide what becomes of an alert."""

    # /v3 is the newest list; it has only a route's id, name and whether it is enabled
    endpoint = "/v3/alert_routes"
    records_key = "alert_routes"
    primary_key = ["id"]
    page_size = 50


class AlertTags(FullTableStream):
    """The tags that alerts can be marked with."""

    endpoint = "/v2/alert_tags"
    records_key = "alert_tags"
    primary_key = ["id"]
    page_size = 250


class MaintenanceWindows(FullTableStream):
    """The times of planned work in which alerts are held back, past ones included."""

    endpoint = "/v1/maintenance_windows"
    records_key = "maintenance_windows"
    primary_key = ["id"]
    page_size = 50
