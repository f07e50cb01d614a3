"""On-call: schedules, escalations, call routes, pay, and how users are notified."""

from __future__ import annotations

from source_incident.streams.kinds import (
    ChildStream,
    FullTableStream,
    IncrementalStream,
)
from source_incident.streams.organisation import Users


class Escalations(IncrementalStream):
    """Every time that people were paged, with what led to it and what happened since."""

    endpoint = "/v2/escalations"
    records_key = "escalations"
    primary_key = ["id"]
    cursor_field = "updated_at"
    split_by = "created_at"
    # (live) a timestamp in the filter is a 422: "must provide a date in the format yyyy-mm-dd"
    filter_by_date = True
    page_size = 50


class EscalationPaths(FullTableStream):
    """Who is paged in which order, and for how long each level is waited for."""

    endpoint = "/v2/escalation_paths"
    records_key = "escalation_paths"
    primary_key = ["id"]
    page_size = 25


class EscalationPathTemplates(FullTableStream):
    """The templates that escalation paths are made from."""

    endpoint = "/v2/escalation_path_templates"
    records_key = "escalation_path_templates"
    primary_key = ["id"]
    page_size = 25


class Schedules(FullTableStream):
    """The on-call schedules, with their rotations and who is on call now."""

    endpoint = "/v2/schedules"
    records_key = "schedules"
    primary_key = ["id"]
    # `next_shifts` comes only with pages of 25 or fewer (the document). It is given up for one
    # request instead of one every 25 schedules: `schedule_entries` has the coming shifts in full
    page_size = 10000


class ScheduleEntries(ChildStream):
    """Who is on call when: the shifts of each schedule in a window around the time of the sync.

    `list` tells the shifts as planned (`scheduled`), the overrides (`overrides`) and what holds
    after both (`final`) apart.
    """

    endpoint = "/v2/schedule_entries"
    records_key = "schedule_entries"
    record_lists = ("final", "overrides", "scheduled")
    record_list_field = "list"
    # `entry_id` is missing from entries that are computed from a rotation (the document)
    primary_key = ["schedule_id", "list", "fingerprint"]
    # The document does not require a fingerprint, and a key must not be empty
    key_fallback = {"fingerprint": ("entry_id", "rotation_id", "user.id", "start_at")}
    parent = Schedules
    parent_key = "schedule_id"
    window_parameters = ("entry_window_start", "entry_window_end")
    # There is no `after`: the next page's cursor goes into the window's start (the document)
    after_parameter = "entry_window_start"
    selected_by_default = False


class ScheduleOverrides(ChildStream):
    """The one-off changes to a schedule: somebody covers for somebody else."""

    endpoint = "/v2/schedule_overrides"
    records_key = "overrides"
    primary_key = ["id"]
    parent = Schedules
    parent_key = "schedule_id"
    page_size = 250


class ScheduleReplicas(ChildStream):
    """The copies of a schedule that are kept in another on-call provider."""

    endpoint = "/v2/schedules/{schedule_id}/replicas"
    records_key = "schedule_replicas"
    primary_key = ["id"]
    parent = Schedules
    parent_key = "schedule_id"
    selected_by_default = False


class ScheduleSyncRules(ChildStream):
    """Which of a schedule's people are kept in which user group."""

    endpoint = "/v2/schedules/{schedule_id}/sync_rules"
    records_key = "schedule_sync_rules"
    primary_key = ["id"]
    parent = Schedules
    parent_key = "schedule_id"
    page_size = 250
    selected_by_default = False


class ScheduleSyncTargets(FullTableStream):
    """The Slack user groups that schedules are kept in step with."""

    endpoint = "/v2/schedule_sync_targets"
    records_key = "schedule_sync_targets"
    primary_key = ["id"]
    page_size = 250


class OnCallNotificationPauses(FullTableStream):
    """The times in which somebody is not to be notified although on call."""

    endpoint = "/v2/on_call_notification_pauses"
    records_key = "on_call_notification_pauses"
    primary_key = ["id"]
    page_size = 250
    # The default is now, which leaves out the pauses that are over (the document)
    from_parameter = "from"


class CallRoutes(FullTableStream):
    """The phone numbers that people can call to reach whoever is on call."""

    endpoint = "/v2/call_routes"
    records_key = "call_routes"
    primary_key = ["id"]
    page_size = 250


class CallRouteOptions(ChildStream):
    """The choices that a call route reads out, and where each leads."""

    endpoint = "/v2/call_routes/{call_route_id}/options"
    records_key = "options"
    primary_key = ["id", "call_route_id"]
    parent = CallRoutes
    parent_key = "call_route_id"
    selected_by_default = False


class CallRouteAllowedCallers(ChildStream):
    """The phone numbers that may call a call route."""

    endpoint = "/v2/call_routes/{call_route_id}/allowed_callers"
    records_key = "allowed_callers"
    primary_key = ["id", "call_route_id"]
    parent = CallRoutes
    parent_key = "call_route_id"
    selected_by_default = False


class PayConfigs(FullTableStream):
    """What being on call is paid: the base rate and the rules that change it."""

    endpoint = "/v2/pay_configs"
    records_key = "pay_configs"
    primary_key = ["id"]
    page_size = 250


class PayConfigWeeklyRules(ChildStream):
    """The rates that hold at certain hours of the week."""

    endpoint = "/v2/pay_configs/{pay_config_id}/weekly_rules"
    records_key = "weekly_rules"
    primary_key = ["id", "pay_config_id"]
    parent = PayConfigs
    parent_key = "pay_config_id"
    # Where rules overlap, their order decides
    position_field = "position"
    selected_by_default = False


class PayConfigOneOffRules(ChildStream):
    """The rates that hold on certain days, such as public holidays."""

    endpoint = "/v2/pay_configs/{pay_config_id}/one_off_rules"
    records_key = "one_off_rules"
    primary_key = ["id", "pay_config_id"]
    parent = PayConfigs
    parent_key = "pay_config_id"
    selected_by_default = False


class PayReports(FullTableStream):
    """The reports of what is owed for on-call, with their totals by currency."""

    endpoint = "/v2/pay_reports"
    records_key = "pay_reports"
    primary_key = ["id"]
    page_size = 50


class UserNotificationMethods(ChildStream):
    """The addresses, phone numbers and apps that a user can be notified by."""

    endpoint = "/v2/users/{user_id}/notification_methods"
    records_key = "notification_methods"
    primary_key = ["id", "user_id"]
    parent = Users
    parent_key = "user_id"
    selected_by_default = False


class UserNotificationRules(ChildStream):
    """By which method a user is notified, and after what delay."""

    endpoint = "/v2/users/{user_id}/notification_rules"
    records_key = "notification_rules"
    primary_key = ["id", "user_id"]
    parent = Users
    parent_key = "user_id"
    selected_by_default = False


class UserPagingProviders(ChildStream):
    """The provider that pages a user: incident.io itself, or another one."""

    endpoint = "/v2/users/{user_id}/paging_provider"
    records_key = None
    primary_key = ["user_id"]
    parent = Users
    parent_key = "user_id"
    selected_by_default = False
