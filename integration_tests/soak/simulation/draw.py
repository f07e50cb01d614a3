"""Draws an account: its streams, its settings, its habits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from types import ModuleType
from typing import Any

from integration_tests.soak.simulation.account import MODES, Habits
from integration_tests.soak.simulation.declarations import declarations
from integration_tests.soak.simulation.scheduler import START
from integration_tests.soak.simulation.server import REQUEST_FAULTS
from source_incident.sync import emitter, nested, partitions, position, reader, scan
from source_incident.timestamps import format_timestamp

AIRBYTE, SINGER = "airbyte", "singer"
OF_INCIDENTS = (
    "incident_attachments",
    "incident_participants",
    "incident_participant_workloads",
    "incident_relationships",
    "incident_timeline_items",
    "incident_activity_log_entries",
    "call_sessions",
    "call_transcript_entries",
)
# Streams that are chosen together.
GROUPS = (
    (("incidents",), 5),
    (("incidents", *OF_INCIDENTS), 8),
    (OF_INCIDENTS, 6),
    (("actions", "follow_ups", "incident_updates"), 3),
    (("alerts", "alert_notes"), 4),
    (("escalations",), 2),
    (("alerts", "escalations"), 2),
    (("workflow_runs",), 1),
    (("postmortem_documents", "postmortem_document_contents"), 3),
    (("schedules", "schedule_overrides", "schedule_replicas", "schedule_entries"), 1),
    (("status_pages", "status_page_structures", "status_page_incidents", "status_page_response_incidents"), 1),
    (("users", "user_notification_methods", "user_paging_providers"), 1),
    (("catalog_types", "catalog_entries"), 1),
    (("custom_fields", "custom_field_options", "pay_configs", "pay_config_weekly_rules"), 1),
)
LONG_LISTS = ("alerts", "escalations")


@dataclass
class Plan:
    """What is constant for an account.

    Attributes:
        protocol: airbyte or singer.
        selected: the streams that the account's catalog selects, now and then without some.
        nested: the nested columns of incidents that are selected.
        full_refresh: incremental streams that an Airbyte catalog reads in full.
        modes: the incident modes that the config has, now and then without some.
        settings: the connector's settings.
        start_date: the setting, parsed.
        latency: the mean seconds of half a request.
        shuffles: callbacks that are ready run in a random order.
        change_rate, fault_rate: per request.
        failing_parents: how probable parents are, per sync, whose children can't be read.
        fault_kinds: the kinds of fault. With one only, it is frequent enough to meet rare cases.
        syncs: how many syncs there are before the quiet ones.
    """

    protocol: str
    selected: list[str]
    nested: frozenset[str]
    full_refresh: frozenset[str]
    modes: tuple[str, ...]
    settings: dict[str, Any]
    start_date: datetime | None
    latency: float
    shuffles: bool
    change_rate: float
    fault_rate: float
    failing_parents: float
    fault_kinds: tuple[str, ...]
    syncs: int

    def describe(self) -> str:
        """The plan as text, the same in every process."""
        values = vars(self).items()
        return ", ".join(f"{name}={sorted(value) if isinstance(value, frozenset) else value}" for name, value in values)

    @property
    def full_read_days(self) -> int:
        return int(self.settings["full_read_days"])

    @property
    def workers(self) -> int:
        return int(self.settings["num_workers"])


def draw_plan(random: Random) -> Plan:
    # The simulated account has no CSV and no months.
    names = [
        name
        for name, declaration in declarations().items()
        if not (declaration.stream.csv_column or declaration.stream.month_parameters)
    ]
    selected: set[str] = set()
    for members, _ in random.choices(GROUPS, [weight for _, weight in GROUPS], k=random.randint(1, 2)):
        selected.update(random.sample(members, random.randint(1, min(4, len(members)))))
    selected.update(random.sample(names, random.randint(0, 3)))
    chosen = [name for name in names if name in selected]
    random.shuffle(chosen)
    incremental = [name for name in chosen if declarations()[name].is_incremental]
    start_date = START - timedelta(days=random.randint(1, 40)) if random.random() < 0.15 else None
    columns = [column for column in ("actions", "attachments", "updates") if random.random() < 0.5]
    fault_kinds = REQUEST_FAULTS
    if random.random() < 0.7:
        fault_kinds = (random.choice((*REQUEST_FAULTS, "gateway 404", "gateway 404", "short page")),)
    return Plan(
        protocol=random.choice((AIRBYTE, SINGER)),
        selected=chosen,
        nested=frozenset(columns if "incidents" in chosen else ()),
        full_refresh=frozenset(name for name in incremental if random.random() < 0.15),
        modes=tuple(random.sample(MODES, random.randint(1, len(MODES)))),
        settings={
            "num_workers": random.choice((1, 2, 3, 4, 10)),
            "max_retries": random.randint(0, 2),
            "lookback_window": random.choice((0, 0, 1, 5, 60)),
            "full_read_days": random.choice((0, 0, 0, 1, 2, 7)),
            "activate_versions": random.random() < 0.9,
            **({"start_date": format_timestamp(start_date)} if start_date else {}),
        },
        start_date=start_date,
        latency=random.choice((0.05, 1.0, 10.0, 60.0)),
        shuffles=random.random() < 0.7,
        change_rate=random.choice((0.0, 0.02, 0.1, 0.3)),
        fault_rate=random.choice((0.01, 0.03, 0.1, 0.3)),
        failing_parents=random.choice((0.0, 0.0, 0.9)) if len(fault_kinds) == 1 else 0.9,
        fault_kinds=fault_kinds,
        syncs=random.randint(2, 6),
    )


def needed_streams(plan: Plan) -> list[str]:
    """The streams whose lists a sync of the plan asks for."""
    needed: set[str] = set()
    for name in plan.selected:
        declaration = declarations()[name]
        while declaration.parent:
            needed.add(declaration.name)
            declaration = declaration.parent
        needed.add(declaration.name)
        if declaration.stream.filter_values_from:
            needed.add(declaration.stream.filter_values_from)
        needed.update(stream.name for column, stream in declaration.nested.items() if column in plan.nested)
    # In the order of the declarations, so that parents come first.
    return [name for name in declarations() if name in needed]


def draw_habits(random: Random, plan: Plan, names: list[str]) -> Habits:
    lookback = plan.settings["lookback_window"] * 60
    return Habits(
        is_honest=not plan.full_read_days or random.random() < 0.3,
        max_lag=random.choice((0.0, 0.9)) * lookback,
        orders={name: random.choice(("newest", "oldest", "id")) for name in names},
        page_sizes={name: random.choice((1, 2, 3, 5)) for name in names},
        zone=random.randint(-12, 14),
        reports_total=random.random() < 0.7,
        total_knows_filters=random.random() < 0.6,
        deleted_cursor=random.choice(("works", "404", "422")),
        refuses_span=random.random() < 0.15,
        workload_delay=random.choice((0.0, 3600.0, 20000.0)),
    )


def draw_size(random: Random, name: str) -> int:
    if declarations()[name].stream.single_record:
        return 1
    if name in LONG_LISTS and random.random() < 0.5:
        return random.randint(20, 60)
    if any(child.stream.uses_root_cursor for child in declarations()[name].children):
        return random.choice((1, 3, 6, 10, 16))
    return random.choice((0, 1, 2, 4, 8, 14))


def draw_knobs(random: Random) -> dict[tuple[ModuleType, str], int]:
    """Constants of the engine, at values that make rare cases common."""
    return {
        (partitions, "PAGES_PER_DIVISION"): random.choice((2, 4, 23)),
        (partitions, "MIN_PAGES_LEFT"): random.choice((1, 4)),
        (position, "MAX_RETRY_IDS"): random.choice((1, 3, 50)),
        (nested, "FEW_INCIDENTS"): random.choice((0, 2, 10)),
        (reader, "TOTAL_TOLERANCE"): random.choice((0, 5)),
        (scan, "PAGES_AHEAD"): random.choice((1, 2, 4)),
        (emitter, "MAX_QUEUED_EVENTS"): random.choice((1, 4)),
    }
