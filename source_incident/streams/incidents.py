"""Incidents, what hangs below them, and how the organisation has set its incidents up."""

from __future__ import annotations

from source_incident.streams.kinds import (
    ChildStream,
    ClientFilteredStream,
    FullTableStream,
    IncidentChildStream,
    IncrementalStream,
)

STATUS_CATEGORIES = ("triage", "live", "learning", "paused", "closed", "declined", "canceled", "merged")


class Incidents(IncrementalStream):
    """Every incident, with its attachments, updates and actions nested in it.

    A nested column costs requests of its own, so it is read only where it is selected.
    """

    endpoint = "/v2/incidents"
    records_key = "incidents"
    primary_key = ["id"]
    cursor_field = "updated_at"
    # (live) a timestamp in the filter is a 422: "must provide a date in the format yyyy-mm-dd"
    filter_by_date = True
    # (live) capped at 250, though the document says 500
    page_size = 250
    # (live) without the filter, declined, canceled and merged incidents are left out
    query = {"status_category[one_of]": list(STATUS_CATEGORIES)}
    # `call_url` stays, although some providers let anyone with it into the call: it is a column of
    # incident.io's own tap
    nested = {
        "attachments": "incident_attachments",
        "updates": "incident_updates",
        "actions": "actions",
    }
    # These can get children without their own updated_at moving
    open_parent_query = {"status_category[one_of]": ["triage", "live", "paused", "learning"]}
    mode_parameter = "mode[one_of]"
    modes_in_one_request = True


class Actions(IncrementalStream):
    """The things to do while an incident is going on, each with who does it and its status."""

    # /v2/actions is deprecated
    endpoint = "/v3/actions"
    records_key = "actions"
    primary_key = ["id", "incident_id"]
    cursor_field = "updated_at"
    page_size = 250
    # (live) one value a request; without it only standard and retrospective incidents' actions come
    mode_parameter = "incident_mode"
    modes_in_one_request = False


class FollowUps(IncrementalStream):
    """The work left to do after an incident, and the issue that it was exported to."""

    # /v2/follow_ups is deprecated
    endpoint = "/v3/follow_ups"
    records_key = "follow_ups"
    primary_key = ["id", "incident_id"]
    cursor_field = "updated_at"
    page_size = 250
    # (live) one value a request; without it only standard and retrospective ones' follow-ups come
    mode_parameter = "incident_mode"
    modes_in_one_request = False


class IncidentUpdates(ClientFilteredStream):
    """The updates that responders post: the message, and the status and severity they set."""

    endpoint = "/v2/incident_updates"
    records_key = "incident_updates"
    primary_key = ["id", "incident_id"]
    # The list takes no filter by time, and an update has no updated_at
    cursor_field = "created_at"
    page_size = 250


class IncidentRoles(FullTableStream):
    """The roles that responders can take in an incident, such as the incident lead."""

    # /v1/incident_roles is deprecated
    endpoint = "/v2/incident_roles"
    records_key = "incident_roles"
    primary_key = ["id"]


class IncidentStatuses(FullTableStream):
    """The statuses that an incident goes through, each in one of the fixed categories."""

    endpoint = "/v1/incident_statuses"
    records_key = "incident_statuses"
    primary_key = ["id"]
    # The stream incidents asks for each category by name
    known_values = {"category": frozenset(STATUS_CATEGORIES)}


class IncidentTimestamps(FullTableStream):
    """The moments that the organisation records for each incident, such as when it was fixed."""

    endpoint = "/v2/incident_timestamps"
    records_key = "incident_timestamps"
    primary_key = ["id"]


class IncidentTypes(FullTableStream):
    """The types of incident, with what is particular to each."""

    endpoint = "/v1/incident_types"
    records_key = "incident_types"
    primary_key = ["id"]


class Severities(FullTableStream):
    """The severities that an incident can have, with their ranks."""

    endpoint = "/v1/severities"
    records_key = "severities"
    primary_key = ["id"]


class CustomFields(FullTableStream):
    """The custom fields that the organisation keeps on its incidents."""

    # /v1/custom_fields is deprecated
    endpoint = "/v2/custom_fields"
    records_key = "custom_fields"
    primary_key = ["id"]


class CustomFieldOptions(ChildStream):
    """The options that a select custom field offers."""

    endpoint = "/v1/custom_field_options"
    records_key = "custom_field_options"
    primary_key = ["id", "custom_field_id"]
    parent = CustomFields
    parent_key = "custom_field_id"
    page_size = 250


class IncidentAttachments(IncidentChildStream):
    """What is attached to an incident: pull requests, alerts and issues of other systems."""

    endpoint = "/v1/incident_attachments"
    records_key = "incident_attachments"
    primary_key = ["id"]
    parent = Incidents
    selected_by_default = False


class IncidentParticipants(IncidentChildStream):
    """Who takes part in an incident, and whether by acting in it or by following it."""

    endpoint = "/v2/incident_participants"
    records_key = "incident_participants"
    record_lists = ("active", "passive")
    record_list_field = "involvement"
    primary_key = ["incident_id", "user_id"]
    parent = Incidents
    extra_fields = {"user_id": "user.id"}
    selected_by_default = False


class IncidentParticipantWorkloads(IncidentChildStream):
    """The minutes that each participant worked on an incident, by when they fell in the day."""

    endpoint = "/v2/incident_participant_workloads"
    records_key = "incident_participant_workloads"
    primary_key = ["incident_id", "user_id"]
    parent = Incidents
    extra_fields = {"user_id": "user.id"}
    complete_until = "metadata.data_synced_at"
    # The figures lag behind: the body says up to when they are complete, no record does
    body_fields = {"data_synced_at": "metadata.data_synced_at"}
    selected_by_default = False


class IncidentRelationships(IncidentChildStream):
    """Which incidents are related to which."""

    endpoint = "/v1/incident_relationships"
    records_key = "incident_relationships"
    # One relationship is listed under both of its incidents
    primary_key = ["id", "incident_id"]
    parent = Incidents
    page_size = 250
    selected_by_default = False


class IncidentTimelineItems(IncidentChildStream):
    """The timeline of an incident, as its responders curate it."""

    endpoint = "/v2/incident_timeline_items"
    records_key = "incident_timeline_items"
    primary_key = ["id"]
    parent = Incidents
    page_size = 250
    selected_by_default = False


class IncidentActivityLogEntries(IncidentChildStream):
    """Everything that was recorded as happening in an incident, curated or not."""

    endpoint = "/v2/incident_activity_log_entries"
    records_key = "incident_activity_log_entries"
    primary_key = ["id"]
    parent = Incidents
    page_size = 250
    selected_by_default = False


class CallSessions(IncidentChildStream):
    """The transcribed calls of an incident, with when they began and ended."""

    endpoint = "/v2/call_sessions"
    records_key = "call_sessions"
    primary_key = ["id"]
    parent = Incidents
    page_size = 250
    selected_by_default = False


class CallTranscriptEntries(ChildStream):
    """What was said in an incident's calls, and by whom."""

    endpoint = "/v2/call_transcript_entries"
    records_key = "call_transcript_entries"
    primary_key = ["id"]
    parent = CallSessions
    parent_key = "call_session_id"
    by_parent = True
    page_size = 250
    selected_by_default = False


class IncidentTemplates(FullTableStream):
    """The templates that incidents can be declared from."""

    endpoint = "/v1/incident_templates"
    records_key = "incident_templates"
    primary_key = ["id"]
    page_size = 250


class IncidentForms(FullTableStream):
    """The forms that responders fill in as an incident goes on, with their elements."""

    endpoint = "/v3/incident_forms"
    records_key = "incident_forms"
    primary_key = ["id"]
    page_size = 250


class PostmortemDocuments(ClientFilteredStream):
    """The post-mortem documents of incidents: where each is and how far it has got."""

    endpoint = "/v1/postmortem_documents"
    records_key = "postmortem_documents"
    primary_key = ["id"]
    # The list takes no filter by time
    cursor_field = "updated_at"
    page_size = 250


class PostmortemDocumentContents(ChildStream):
    """The text of each post-mortem document, as Markdown."""

    endpoint = "/v1/postmortem_documents/{postmortem_document_id}/content"
    records_key = None
    primary_key = ["postmortem_document_id"]
    parent = PostmortemDocuments
    parent_key = "postmortem_document_id"
    by_parent = True
    required_fields = ("markdown",)
    selected_by_default = False
