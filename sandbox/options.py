"""The sandbox's options. The command line is generated from these fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any


def option(default: int | float | bool | str | None, text: str, choices: tuple[str, ...] = ()) -> Any:
    return field(default=default, metadata={"help": text, "choices": choices})


@dataclass
class Options:
    """Options of a sandbox."""

    key: str = option("sandbox-key", "the API key that is accepted")
    data: str | None = option(None, "serve the recorded account in this directory, one <list>.json file per list")
    seed: int = option(1, "seed of the invented company; the same seed gives the same records")
    now: str | None = option(None, "start the clock at this time (RFC 3339)")
    incidents: int = option(200, "number of incidents in the invented company")
    updates: int = option(2000, "number of incident updates")
    actions: int = option(500, "number of actions")
    follow_ups: int = option(500, "number of follow-ups")
    alerts: int = option(800, "number of alerts")
    escalations: int = option(150, "number of escalations")
    users: int = option(60, "number of users; one in eight is deactivated")
    custom_fields: int = option(10, "number of custom fields")
    attachments: int = option(3, "maximum number of attachments per incident")
    plain: bool = option(False, "give alerts and incident updates their required fields only")
    round_times: int = option(
        0, "round creation times down to a multiple of this many seconds, so that many are equal; 0 does not round"
    )
    preload: bool = option(False, "generate and serialize the records before the first request")
    latency: float = option(0.0, "delay before each response, in milliseconds")
    forbid: list[str] = field(default_factory=list, metadata={"help": "a scope that the key lacks (may be repeated)"})
    filter_precision: int = option(1, "cut the timestamps in filters to a multiple of this many milliseconds")
    data_synced_at: str | None = option(
        None, "time up to which workloads are complete (RFC 3339); the default is the last change of the company"
    )
    trailing_empty_page: bool = option(True, "send `after` on the last page too, so that an empty page follows")
    on_call: str = option(
        "available",
        "how the lists of On-call answer: with records, 403, 404 or empty",
        ("available", "403", "404", "empty"),
    )
    private_workloads: str = option(
        "available",
        "how the workload of a private incident answers: with records, 403 or empty",
        ("available", "403", "empty"),
    )
    stream_mode: str = option(
        "accepted",
        "how /v2/incidents answers mode[one_of]=stream: with the incidents of that mode, or 422",
        ("accepted", "422"),
    )
    has_notes_counts_groups: bool = option(False, "has_notes also selects the alerts of a group that has notes")
    buckets: bool = option(False, "enforce the rate limits")
    limit: float = option(1200.0, "capacity of the key's token bucket, in requests")
    rate: float = option(20.0, "refill rate of the key's token bucket, in requests per second")
    incidents_limit: float = option(60.0, "capacity of the token bucket of /v2/incidents, in requests")
    incidents_rate: float = option(1.0, "refill rate of the token bucket of /v2/incidents, in requests per second")
    other_client: float = option(
        0.0, "requests per second that a simulated second client takes from the key's token bucket"
    )
    other_client_incidents: float = option(
        0.0, "requests per second that a simulated second client takes from the token bucket of /v2/incidents"
    )
    rate_headers: bool = option(True, "send X-RateLimit headers")
    churn: float = option(0.0, "records created or changed per second while serving")
    churn_behind: float = option(240.0, "maximum delay of a change: its timestamp is up to this many seconds old")
    churn_touch: bool = option(True, "a change to a child of an incident also updates the incident's updated_at")
    fault: list[str] = field(
        default_factory=list,
        metadata={"help": "a fault to inject, KIND[:key=value,...]; faults.py lists them (may be repeated)"},
    )
    strict: bool = option(False, "reject query parameters that the contract does not have")

    def __post_init__(self) -> None:
        """Raises ValueError if an option has none of its choices."""
        check_choices(vars(self))

    def to_arguments(self) -> list[str]:
        """The command-line arguments that set these options."""
        arguments: list[str] = []
        for option_field in fields(self):
            value = getattr(self, option_field.name)
            name = option_field.name.replace("_", "-")
            if isinstance(value, bool):
                arguments.append(f"--{name}" if value else f"--no-{name}")
            elif isinstance(value, list):
                for item in value:
                    arguments += [f"--{name}", item]
            elif value is not None:
                arguments += [f"--{name}", str(value)]
        return arguments


def check_choices(values: Mapping[str, Any]) -> None:
    """Check the options that have a fixed set of values.

    Args:
        values: options by name; not all of them have to be there.

    Raises:
        ValueError: a value is not among the option's choices.
    """
    for option_field in fields(Options):
        name, choices = option_field.name, option_field.metadata.get("choices")
        if choices and name in values and values[name] not in choices:
            raise ValueError(f"{name}: {values[name]!r} is not one of {', '.join(choices)}")
