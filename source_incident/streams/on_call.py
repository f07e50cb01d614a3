"""On-call: schedules, escalations, call routes, pay, and notifications of users."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from source_incident.streams.kinds import (
    ChildStream,
    FullTableStream,
    IncrementalStream,
)
from source_incident.streams.organisation import Users
from source_incident.streams.page import Record, Slice, cursor_of
from source_incident.streams.schedule_windows import uncut_entries


class Escalations(IncrementalStream):
    """Escalations, with what triggered each one and its events."""

    endpoint = "/v2/escalations"
    records_key = "escalations"
    primary_key = ["id"]
    cursor_field = "updated_at"
    partition_field = "created_at"
    # live: a timestamp in the filter is a 422, "must provide a date in the format yyyy-mm-dd" (docs/api.md, filters).
    filter_by_date = True
    page_size = 50


class EscalationPaths(FullTableStream):
    """Escalation paths: who is paged in which order, with the waiting time of each level."""

    endpoint = "/v2/escalation_paths"
    records_key = "escalation_paths"
    primary_key = ["id"]
    page_size = 25


class EscalationPathTemplates(FullTableStream):
    """Templates for escalation paths."""

    endpoint = "/v2/escalation_path_templates"
    records_key = "escalation_path_templates"
    primary_key = ["id"]
    page_size = 25


class Schedules(FullTableStream):
    """On-call schedules, with their rotations and current shifts."""

    endpoint = "/v2/schedules"
    records_key = "schedules"
    primary_key = ["id"]
    # Only pages of 25 or fewer schedules have `next_shifts` (the document; docs/api.md, page sizes). Larger pages save
    # one request per 25 schedules, and `schedule_entries` has all coming shifts.
    page_size = 10000


class ScheduleEntries(ChildStream):
    """The shifts of each schedule in a window around the time of the sync.

    `list` is `scheduled` for the planned shifts, `overrides` for the overrides, and `final` for the result of both.
    """

    endpoint = "/v2/schedule_entries"
    records_key = "schedule_entries"
    record_lists = ("final", "overrides", "scheduled")
    record_list_field = "list"
    # Entries that are computed from a rotation have no `entry_id` (the document; docs/api.md, schedule entries).
    primary_key = ["schedule_id", "list", "fingerprint"]
    # The document does not require a fingerprint, and a key must not be empty.
    key_fallback = {"fingerprint": ("entry_id", "rotation_id", "user.id", "start_at")}
    parent = Schedules
    parent_key = "schedule_id"
    window_parameters = ("entry_window_start", "entry_window_end")
    # There is no `after`. The next page's cursor is sent as the window's start (docs/api.md, schedule entries).
    after_parameter = "entry_window_start"
    selected_by_default = False
    # The requested window starts earlier than the emitted one, so that shifts of up to this length are never cut.
    margin = timedelta(days=31)

    def window(self) -> tuple[datetime, datetime]:
        start, end = super().window()
        return start - self.margin, end

    def select_records(self, records: list[Record], params: Mapping[str, Any]) -> list[Record]:
        start, _ = self.window()
        requested_from = cursor_of({"start": params.get(self.after_parameter)}, "start")
        return uncut_entries(records, requested_from, start + self.margin)


class ScheduleOverrides(ChildStream):
    """One-off changes to a schedule, for example when one person covers for another."""

    endpoint = "/v2/schedule_overrides"
    records_key = "overrides"
    primary_key = ["id"]
    parent = Schedules
    parent_key = "schedule_id"
    page_size = 250


class ScheduleReplicas(ChildStream):
    """Copies of a schedule in another on-call provider."""

    endpoint = "/v2/schedules/{schedule_id}/replicas"
    records_key = "schedule_replicas"
    primary_key = ["id"]
    parent = Schedules
    parent_key = "schedule_id"
    selected_by_default = False


class ScheduleSyncRules(ChildStream):
    """Rules that add a schedule's users to a user group."""

    endpoint = "/v2/schedules/{schedule_id}/sync_rules"
    records_key = "schedule_sync_rules"
    primary_key = ["id"]
    parent = Schedules
    parent_key = "schedule_id"
    page_size = 250
    selected_by_default = False


class ScheduleSyncTargets(FullTableStream):
    """The Slack user groups that schedules are synced to."""

    endpoint = "/v2/schedule_sync_targets"
    records_key = "schedule_sync_targets"
    primary_key = ["id"]
    page_size = 250


class OnCallNotificationPauses(FullTableStream):
    """Periods in which a user on call gets no notifications."""

    endpoint = "/v2/on_call_notification_pauses"
    records_key = "on_call_notification_pauses"
    primary_key = ["id"]
    page_size = 250
    # The default is now, which excludes the pauses that have ended (the document; docs/api.md, filters).
    from_parameter = "from"


class CallRoutes(FullTableStream):
    """Phone numbers that callers can use to reach the person on call."""

    endpoint = "/v2/call_routes"
    records_key = "call_routes"
    primary_key = ["id"]
    page_size = 250
    credentials = {
        "allowed_callers.name": "a private person's name, in `call_route_allowed_callers`, which is off by default",
        "allowed_callers.phone_number": "a private number that gets through to the person on call, in the same stream",
    }


class CallRouteOptions(ChildStream):
    """The options that a call route offers to a caller, with the target of each."""

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
    """On-call pay: the base rate and the rules that change it."""

    endpoint = "/v2/pay_configs"
    records_key = "pay_configs"
    primary_key = ["id"]
    page_size = 250


class PayConfigWeeklyRules(ChildStream):
    """Pay rates for certain hours of the week."""

    endpoint = "/v2/pay_configs/{pay_config_id}/weekly_rules"
    records_key = "weekly_rules"
    primary_key = ["id", "pay_config_id"]
    parent = PayConfigs
    parent_key = "pay_config_id"
    # The first rule that covers a shift sets its pay (docs/api.md, order).
    position_field = "position"
    selected_by_default = False


class PayConfigOneOffRules(ChildStream):
    """Pay rates for certain days, such as public holidays."""

    endpoint = "/v2/pay_configs/{pay_config_id}/one_off_rules"
    records_key = "one_off_rules"
    primary_key = ["id", "pay_config_id"]
    parent = PayConfigs
    parent_key = "pay_config_id"
    selected_by_default = False


class PayReports(FullTableStream):
    """Reports of on-call pay, with their totals by currency."""

    endpoint = "/v2/pay_reports"
    records_key = "pay_reports"
    primary_key = ["id"]
    page_size = 50


class PayReportLines(ChildStream):
    """What a pay report says about each person, from its CSV.

    `values` has the cells of a line by column. The API does not document the columns.
    """

    endpoint = "/v2/pay_reports/{pay_report_id}/download"
    # Of the parsed CSV.
    records_key = "rows"
    csv_column = "values"
    # Reports never change, so a line keeps its position. No column is known to identify a person
    # (docs/api.md, pay reports).
    position_field = "position"
    primary_key = ["pay_report_id", "position"]
    parent = PayReports
    parent_key = "pay_report_id"
    selected_by_default = False

    def child_slice(self, parent_record: Record, parent_slice: Slice) -> Slice | None:
        # Only complete reports can be downloaded (docs/api.md, pay reports).
        is_complete = parent_record.get("status", "complete") == "complete"
        return super().child_slice(parent_record, parent_slice) if is_complete else None


class UserNotificationMethods(ChildStream):
    """The email addresses, phone numbers and apps that can notify a user."""

    endpoint = "/v2/users/{user_id}/notification_methods"
    records_key = "notification_methods"
    primary_key = ["id", "user_id"]
    parent = Users
    parent_key = "user_id"
    selected_by_default = False


class UserNotificationRules(ChildStream):
    """Rules for the method and the delay of a user's notifications."""

    endpoint = "/v2/users/{user_id}/notification_rules"
    records_key = "notification_rules"
    primary_key = ["id", "user_id"]
    parent = Users
    parent_key = "user_id"
    selected_by_default = False


class UserPagingProviders(ChildStream):
    """The provider that pages a user: incident.io or another one."""

    endpoint = "/v2/users/{user_id}/paging_provider"
    records_key = None
    primary_key = ["user_id"]
    parent = Users
    parent_key = "user_id"
    selected_by_default = False
