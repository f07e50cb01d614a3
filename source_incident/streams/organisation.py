"""The organisation: users, teams, policies, workflows, announcements, access."""

from __future__ import annotations

from datetime import timedelta

from source_incident.streams.kinds import FullTableStream, IncrementalStream


class Users(FullTableStream):
    """The organisation's users, including deactivated ones."""

    endpoint = "/v2/users"
    records_key = "users"
    primary_key = ["id"]
    page_size = 10000
    # Without it, the list has no deactivated users, and old incidents refer to them (docs/api.md, filters).
    query = {"include_inactive": "true"}


class Teams(FullTableStream):
    """Teams, with their members."""

    endpoint = "/v3/teams"
    records_key = "teams"
    primary_key = ["id"]
    page_size = 250


class Workflows(FullTableStream):
    """Workflows, with their trigger, conditions, form fields and steps.

    `steps` has the name of each step, `step_details` also the bindings of its parameters.
    """

    endpoint = "/v2/workflows"
    records_key = "workflows"
    primary_key = ["id"]
    detail_endpoint = "/v2/workflows/{id}"
    detail_columns = {
        "form_fields": "workflow.form_fields",
        "management_meta": "management_meta",
        "step_details": "workflow.steps",
    }
    # A binding has no name that tells a webhook's URL from other values.
    credential_urls = {
        f"step_details.param_bindings.{values}.{field}": "a webhook's URL is often enough to call it"
        for values in ("value", "array_value")
        for field in ("literal", "label")
    }


class WorkflowRuns(IncrementalStream):
    """Runs of workflows, with the progress of their steps."""

    endpoint = "/v2/workflow_runs"
    records_key = "workflow_runs"
    primary_key = ["id"]
    # The list has no other filter for time (docs/api.md, filters).
    cursor_field = "created_at"
    filter_by_date = True
    # A run changes after it was created, and no filter finds the runs that changed.
    minimum_lookback = timedelta(days=7)
    page_size = 50
    # `GET /v2/workflow_runs/{id}` is not read. It has the requests and responses of webhooks: free text in which
    # nothing tells a credential from other values.
    credentials = {"progress.webhook_delivery.endpoint": "a webhook's URL is often enough to call it"}


class AnnouncementRules(FullTableStream):
    """Rules that announce incidents in channels."""

    endpoint = "/v2/announcement_rules"
    records_key = "announcement_rules"
    primary_key = ["id"]
    page_size = 250


class AnnouncementTemplates(FullTableStream):
    """Templates of incident announcements."""

    endpoint = "/v2/announcement_templates"
    records_key = "announcement_templates"
    primary_key = ["id"]


class GlossaryEntries(FullTableStream):
    """Terms that the organisation has defined."""

    endpoint = "/v2/glossary_entries"
    records_key = "glossary_entries"
    primary_key = ["id"]
    page_size = 250


class Policies(FullTableStream):
    """Policies of the organisation, such as when follow-ups are due."""

    endpoint = "/v2/policies"
    records_key = "policies"
    primary_key = ["id"]
    page_size = 50


class PolicyFindings(FullTableStream):
    """Findings of a policy: where it is or was not met, with the responsible users."""

    endpoint = "/v2/policy_findings"
    records_key = "policy_findings"
    primary_key = ["id"]
    page_size = 250


class ApiKeys(FullTableStream):
    """API keys, with their name and roles, without the key itself."""

    endpoint = "/v1/api_keys"
    records_key = "api_keys"
    primary_key = ["id"]
    page_size = 250
    selected_by_default = False


class Secrets(FullTableStream):
    """Secrets that workflows can use, with their name and versions, without the value."""

    endpoint = "/v2/secrets"
    records_key = "secrets"
    primary_key = ["id"]
    page_size = 250
    credentials = {"last_four_chars": "a piece of the secret itself"}
    selected_by_default = False


class IpAllowlists(FullTableStream):
    """The IP addresses that the organisation allows its users to connect from."""

    endpoint = "/v1/ip_allowlists"
    records_key = "ip_allowlist"
    # The value in the body is one object, not a list.
    single_record = True
    primary_key = ["version"]
    selected_by_default = False


class IpRanges(FullTableStream):
    """The IP ranges from which incident.io sends requests."""

    endpoint = "/v1/ip_ranges"
    records_key = "ip_ranges"
    primary_key = ["cidr"]
    selected_by_default = False
