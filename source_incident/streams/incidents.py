"""Incidents, their child streams, and the organisation's configuration of incidents."""

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
    """Incidents, with their attachments, updates and actions as nested columns.

    A nested column costs extra requests, so it is read only if it is selected.
    """

    endpoint = "/v2/incidents"
    records_key = "incidents"
    primary_key = ["id"]
    cursor_field = "updated_at"
    # live: a timestamp in the filter is a 422, "must provide a date in the format yyyy-mm-dd" (docs/api.md, filters).
    filter_by_date = True
    # live: the maximum is 250, although the document says 500 (docs/api.md, page sizes).
    page_size = 250
    # live: without the filter, the list has no declined, canceled or merged incidents (docs/api.md, incident filters).
    query = {"status_category[one_of]": list(STATUS_CATEGORIES)}
    filter_values_from = "incident_statuses"
    # `call_url` is emitted, although some providers admit anyone who has it to the call. It is a column of
    # incident.io's own tap.
    nested = {
        "attachments": "incident_attachments",
        "updates": "incident_updates",
        "actions": "actions",
    }
    # These incidents can get new children while their own updated_at stays the same.
    open_parent_query = {"status_category[one_of]": ["triage", "live", "paused", "learning"]}
    mode_parameter = "mode[one_of]"
    modes_in_one_request = True
    # The API may refuse this mode (docs/api.md, what is not known). It must not cost the incidents of the others.
    uncertain_modes = frozenset({"stream"})


class Actions(IncrementalStream):
    """Actions to take during an incident, with their assignee and status."""

    # /v2/actions is deprecated.
    endpoint = "/v3/actions"
    records_key = "actions"
    primary_key = ["id", "incident_id"]
    cursor_field = "updated_at"
    page_size = 250
    # live: takes one value per request. Without it, the list has the actions of standard and retrospective incidents
    # only (docs/api.md, incident filters).
    mode_parameter = "incident_mode"
    modes_in_one_request = False


class FollowUps(IncrementalStream):
    """Follow-up work after an incident, with the issue that it was exported to."""

    # /v2/follow_ups is deprecated.
    endpoint = "/v3/follow_ups"
    records_key = "follow_ups"
    primary_key = ["id", "incident_id"]
    cursor_field = "updated_at"
    page_size = 250
    # live: takes one value per request. Without it, the list has the follow-ups of standard and retrospective incidents
    # only (docs/api.md, incident filters).
    mode_parameter = "incident_mode"
    modes_in_one_request = False


class IncidentUpdates(ClientFilteredStream):
    """Updates that responders post, with the message and the new status and severity."""

    endpoint = "/v2/incident_updates"
    records_key = "incident_updates"
    primary_key = ["id", "incident_id"]
    # The list has no filter for time (docs/api.md, filters), and an update has no updated_at.
    cursor_field = "created_at"
    page_size = 250


class IncidentRoles(FullTableStream):
    """The roles that responders can have in an incident, such as the incident lead."""

    # /v1/incident_roles is deprecated.
    endpoint = "/v2/incident_roles"
    records_key = "incident_roles"
    primary_key = ["id"]


class IncidentStatuses(FullTableStream):
    """The statuses that an incident can have, each in one of the fixed categories."""

    endpoint = "/v1/incident_statuses"
    records_key = "incident_statuses"
    primary_key = ["id"]
    # The stream incidents asks for each category by name
    known_values = {"category": frozenset(STATUS_CATEGORIES)}


class IncidentTimestamps(FullTableStream):
    """The timestamps that the organisation records for each incident, such as when it was fixed."""

    endpoint = "/v2/incident_timestamps"
    records_key = "incident_timestamps"
    primary_key = ["id"]


class IncidentTypes(FullTableStream):
    """The types of incidents, with the settings of each type."""

    endpoint = "/v1/incident_types"
    records_key = "incident_types"
    primary_key = ["id"]


class Severities(FullTableStream):
    """The severities that an incident can have, with their ranks."""

    endpoint = "/v1/severities"
    records_key = "severities"
    primary_key = ["id"]


class CustomFields(FullTableStream):
    """The custom fields of the organisation's incidents."""

    # /v1/custom_fields is deprecated.
    endpoint = "/v2/custom_fields"
    records_key = "custom_fields"
    primary_key = ["id"]


class CustomFieldOptions(ChildStream):
    """The options of each select custom field."""

    endpoint = "/v1/custom_field_options"
    records_key = "custom_field_options"
    primary_key = ["id", "custom_field_id"]
    parent = CustomFields
    parent_key = "custom_field_id"
    page_size = 250


class IncidentAttachments(IncidentChildStream):
    """Attachments of an incident: pull requests, alerts, and issues in other systems."""

    endpoint = "/v1/incident_attachments"
    records_key = "incident_attachments"
    primary_key = ["id"]
    parent = Incidents
    selected_by_default = False


class IncidentParticipants(IncidentChildStream):
    """The people in an incident, as active or passive participants."""

    endpoint = "/v2/incident_participants"
    records_key = "incident_participants"
    record_lists = ("active", "passive")
    record_list_field = "involvement"
    primary_key = ["incident_id", "user_id"]
    parent = Incidents
    extra_fields = {"user_id": "user.id"}
    selected_by_default = False


class IncidentParticipantWorkloads(IncidentChildStream):
    """The minutes that each participant worked on an incident, by time of day."""

    endpoint = "/v2/incident_participant_workloads"
    records_key = "incident_participant_workloads"
    primary_key = ["incident_id", "user_id"]
    parent = Incidents
    extra_fields = {"user_id": "user.id"}
    complete_until = "metadata.data_synced_at"
    # The figures are calculated periodically. The body has the time up to which they are complete, the records do not
    # (docs/api.md, workloads).
    body_fields = {"data_synced_at": "metadata.data_synced_at"}
    selected_by_default = False


class IncidentRelationships(IncidentChildStream):
    """Relationships between two incidents."""

    endpoint = "/v1/incident_relationships"
    records_key = "incident_relationships"
    # The list of each of the two incidents has the relationship.
    primary_key = ["id", "incident_id"]
    parent = Incidents
    page_size = 250
    selected_by_default = False


class IncidentTimelineItems(IncidentChildStream):
    """Items of an incident's timeline, as curated by its responders."""

    endpoint = "/v2/incident_timeline_items"
    records_key = "incident_timeline_items"
    primary_key = ["id"]
    parent = Incidents
    page_size = 250
    selected_by_default = False


class IncidentActivityLogEntries(IncidentChildStream):
    """Entries of an incident's activity log, which has all events, curated or not."""

    endpoint = "/v2/incident_activity_log_entries"
    records_key = "incident_activity_log_entries"
    primary_key = ["id"]
    parent = Incidents
    page_size = 250
    selected_by_default = False


class CallSessions(IncidentChildStream):
    """The transcribed calls of an incident, with their start and end."""

    endpoint = "/v2/call_sessions"
    records_key = "call_sessions"
    primary_key = ["id"]
    parent = Incidents
    page_size = 250
    selected_by_default = False


class CallTranscriptEntries(ChildStream):
    """Entries of the transcripts of an incident's calls, with their speaker."""

    endpoint = "/v2/call_transcript_entries"
    records_key = "call_transcript_entries"
    primary_key = ["id"]
    parent = CallSessions
    parent_key = "call_session_id"
    uses_root_cursor = True
    page_size = 250
    selected_by_default = False


class IncidentTemplates(FullTableStream):
    """Templates for declaring incidents."""

    endpoint = "/v1/incident_templates"
    records_key = "incident_templates"
    primary_key = ["id"]
    page_size = 250


class IncidentForms(FullTableStream):
    """The forms that responders fill in during an incident, with their elements."""

    endpoint = "/v3/incident_forms"
    records_key = "incident_forms"
    primary_key = ["id"]
    page_size = 250


class PostmortemDocuments(ClientFilteredStream):
    """The post-mortem documents of incidents, with their location and status."""

    endpoint = "/v1/postmortem_documents"
    records_key = "postmortem_documents"
    primary_key = ["id"]
    # The list has no filter for time (docs/api.md, filters).
    cursor_field = "updated_at"
    page_size = 250


class PostmortemDocumentContents(ChildStream):
    """The text of each post-mortem document, as Markdown."""

    endpoint = "/v1/postmortem_documents/{postmortem_document_id}/content"
    records_key = None
    primary_key = ["postmortem_document_id"]
    parent = PostmortemDocuments
    parent_key = "postmortem_document_id"
    uses_root_cursor = True
    required_fields = ("markdown",)
    selected_by_default = False
