"""The organisation: its people and teams, its rules, its automation and its access."""

from __future__ import annotations

from datetime import timedelta

from source_incident.streams.kinds import FullTableStream, IncrementalStream


class Users(FullTableStream):
    """The organisation's users, deactivated ones included."""

    endpoint = "/v2/users"
    records_key = "users"
    primary_key = ["id"]
    page_size = 10000
    # Without it, deactivated users are left out, whose names old incidents still bear
    query = {"include_inactive": "true"}


class Teams(FullTableStream):
    """The teams and who is in them."""

    endpoint = "/v3/teams"
    records_key = "teams"
    primary_key = ["id"]
    page_size = 250


class Workflows(FullTableStream):
    """The workflows: what sets each off, its conditions and its steps."""

    endpoint = "/v2/workflows"
    records_key = "workflows"
    primary_key = ["id"]


class WorkflowRuns(IncrementalStream):
    """Every run of a workflow, with how far its steps have got."""

    endpoint = "/v2/workflow_runs"
    records_key = "workflow_runs"
    primary_key = ["id"]
    # The list can be filtered by this alone
    cursor_field = "created_at"
    filter_by_date = True
    # A run goes on after it was created, and no filter finds the runs that changed
    minimum_lookback = timedelta(days=7)
    page_size = 50
    credentials = {"progress.webhook_delivery.endpoint": "a webhook's address often is all it takes to call it"}


class AnnouncementRules(FullTableStream):
    """Which incidents are announced in which channels."""

    endpoint = "/v2/announcement_rules"
    records_key = "announcement_rules"
    primary_key = ["id"]
    page_size = 250


class AnnouncementTemplates(FullTableStream):
    """What an announcement of an incident looks like."""

    endpoint = "/v2/announcement_templates"
    records_key = "announcement_templates"
    primary_key = ["id"]


class GlossaryEntries(FullTableStream):
    """The words that the organisation has explained."""

    endpoint = "/v2/glossary_entries"
    records_key = "glossary_entries"
    primary_key = ["id"]
    page_size = 250


class Policies(FullTableStream):
    """The policies that the organisation holds itself to, such as when follow-ups are due."""

    endpoint = "/v2/policies"
    records_key = "policies"
    primary_key = ["id"]
    page_size = 50


class PolicyFindings(FullTableStream):
    """Where a policy is or was not kept, and who is to see to it."""

    endpoint = "/v2/policy_findings"
    records_key = "policy_findings"
    primary_key = ["id"]
    page_size = 250


class ApiKeys(FullTableStream):
    """The API keys that exist, with their roles; never a key itself."""

    endpoint = "/v1/api_keys"
    records_key = "api_keys"
    primary_key = ["id"]
    page_size = 250
    selected_by_default = False


class Secrets(FullTableStream):
    """The secrets that workflows can use: their names and versions, never a value."""

    endpoint = "/v2/secrets"
    records_key = "secrets"
    primary_key = ["id"]
    page_size = 250
    credentials = {"last_four_chars": "a piece of the secret itself"}
    selected_by_default = False


class IpAllowlists(FullTableStream):
    """The addresses that the organisation lets its users come from."""

    endpoint = "/v1/ip_allowlists"
    records_key = "ip_allowlist"
    # The key in the body holds one object, not a list
    single_record = True
    primary_key = ["version"]
    selected_by_default = False


class IpRanges(FullTableStream):
    """The addresses that incident.io itself calls from."""

    endpoint = "/v1/ip_ranges"
    records_key = "ip_ranges"
    primary_key = ["cidr"]
    selected_by_default = False
