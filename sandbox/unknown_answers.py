"""Answers that are not known of the real API (docs/api.md, what is not known). An option chooses each of them."""

from __future__ import annotations

from sandbox import errors
from sandbox.account import Account, record_list
from sandbox.contract import Endpoint
from sandbox.errors import ApiError
from sandbox.filters import Query
from sandbox.options import Options

ON_CALL = frozenset(
    {
        "call_route_allowed_callers",
        "call_route_options",
        "call_routes",
        "escalation_path_templates",
        "escalation_paths",
        "escalations",
        "on_call_notification_pauses",
        "pay_config_one_off_rules",
        "pay_config_weekly_rules",
        "pay_configs",
        "pay_report_lines",
        "pay_reports",
        "schedule_entries",
        "schedule_overrides",
        "schedule_replicas",
        "schedule_sync_rules",
        "schedule_sync_targets",
        "schedules",
        "user_notification_methods",
        "user_notification_rules",
        "user_paging_provider",
    }
)
"""The lists and objects of On-call, by name."""


class UnknownAnswers:
    """Refuses requests, or empties lists, as the options say."""

    def __init__(self, account: Account, options: Options) -> None:
        self._account = account
        self._options = options

    def empties(self, endpoint: Endpoint, parent_ids: tuple[str, ...], query: Query) -> bool:
        """Whether a request is answered with an empty list.

        Raises:
            ApiError: it is refused.
        """
        if endpoint.name in ON_CALL:
            return self._empties_on_call()
        if endpoint.name == "incident_participant_workloads" and self._is_private(parent_ids[0]):
            return self._empties_private_workload()
        if endpoint.name == "incidents":
            self._check_modes(query)
        return False

    def _check_modes(self, query: Query) -> None:
        if self._options.stream_mode == "422" and "stream" in query.get("mode[one_of]", ()):
            raise errors.invalid("mode", "must be one of standard, retrospective, test, tutorial")

    def _empties_on_call(self) -> bool:
        if self._options.on_call == "403":
            raise ApiError(403, "resource_forbidden", "forbidden", "This account does not have On-call")
        if self._options.on_call == "404":
            raise errors.not_found()
        return self._options.on_call == "empty"

    def _empties_private_workload(self) -> bool:
        if self._options.private_workloads == "403":
            raise errors.forbidden("incident_workloads.view_private")
        return self._options.private_workloads == "empty"

    def _is_private(self, incident_id: str) -> bool:
        incidents = record_list(self._account, "incidents")
        handle = incidents.find(incident_id)
        return handle is not None and incidents.record(handle).get("visibility") == "private"
