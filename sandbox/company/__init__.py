"""The invented company.

Every record is generated from the seed and its index, so a company of any size starts at once. The
lists that a sync spends its time on are written by hand: configuration (`configuration.py`),
incidents and their children (`incidents.py`), alerts and escalations (`alerts.py`). All other lists
are generated from the contract's schemas (`schema_lists.py`, `schema_records.py`).
"""

from __future__ import annotations

from sandbox.account import extra_keys
from sandbox.company.alerts import Alerts, Escalations
from sandbox.company.base import CompanyBase
from sandbox.company.configuration import add_configuration
from sandbox.company.incidents import Actions, Embedded, FollowUps, Incidents, IncidentUpdates
from sandbox.company.schema_lists import SchemaLists
from sandbox.contract import Contract, Endpoint
from sandbox.lists import Record
from sandbox.options import Options
from sandbox.times import Clock, format_moment

__all__ = ["Company"]


class Company(CompanyBase):
    """The invented company, ready to be served."""

    def __init__(self, contract: Contract, options: Options, clock: Clock) -> None:
        super().__init__(contract, options, clock)
        add_configuration(self)
        self._add_events()
        schema_lists = SchemaLists(self)
        for endpoint in (*contract.endpoints.values(), contract.alert_group_notes):
            schema_lists.add(endpoint)

    def _add_events(self) -> None:
        options = self.options
        embedded = Embedded(self)
        incidents = Incidents(self, embedded)
        alerts = Alerts(self)
        self.add("incidents", incidents)
        has_incidents = incidents.count > 0
        self.add("incident_updates", IncidentUpdates(self, embedded, incidents, options.updates * has_incidents))
        self.add("actions", Actions(self, embedded, incidents, options.actions * has_incidents))
        self.add("follow_ups", FollowUps(self, embedded, incidents, options.follow_ups * has_incidents))
        self.add("alerts", alerts)
        self.add("alert_groups", alerts.groups)
        self.add("escalations", Escalations(self, embedded, incidents, alerts))

    def extra_keys(self, endpoint: Endpoint, parent_ids: tuple[str, ...]) -> Record:
        """`catalog_type` and `metadata`, for an endpoint whose body has them."""
        metadata = {"data_synced_at": self.options.data_synced_at or format_moment(self.anchor_ms)}
        return extra_keys(self, endpoint, parent_ids, metadata)
