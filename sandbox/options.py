"""The settings of a sandbox: one field each, from which the command line is made too."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


def option(default: int | float | bool | str | None, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass
class Options:
    """What a sandbox is started with."""

    key: str = option("sandbox-key", "the API key that is accepted")
    data: str | None = option(None, "serve the record lists of this directory, a file <records>.json each")
    seed: int = option(1, "the company invented is the same for the same seed")
    now: str | None = option(None, "start the clock at this moment (RFC 3339)")
    incidents: int = option(200, "incidents of the invented company")
    updates: int = option(2000, "incident updates")
    actions: int = option(500, "actions")
    follow_ups: int = option(500, "follow-ups")
    alerts: int = option(800, "alerts")
    escalations: int = option(150, "escalations")
    users: int = option(60, "users, about one in eight deactivated")
    custom_fields: int = option(10, "custom fields")
    attachments: int = option(3, "most attachments an incident has")
    plain: bool = option(False, "small alerts and updates: required fields only")
    round_times: int = option(0, "round creation times down to multiples of so many seconds, so that many are the same")
    preload: bool = option(False, "make and serialise the records before the first request")
    latency: float = option(0.0, "milliseconds before each answer")
    forbid: list[str] = field(
        default_factory=list,
        metadata={"help": "a scope that the key lacks (may be repeated)"},
    )
    trailing_empty_page: bool = option(False, "give `after` even when nothing follows")
    buckets: bool = option(False, "enforce the rate limits")
    limit: float = option(1200.0, "requests that the key's bucket holds")
    rate: float = option(20.0, "requests a second that the key's bucket gains")
    incidents_limit: float = option(60.0, "the same for /v2/incidents")
    incidents_rate: float = option(1.0, "the same for /v2/incidents")
    other_client: float = option(0.0, "requests a second that another client takes from the key's bucket")
    other_client_incidents: float = option(
        0.0, "requests a second that another client takes from the bucket of /v2/incidents"
    )
    rate_headers: bool = option(True, "send X-RateLimit headers")
    churn: float = option(0.0, "changes a second while serving")
    churn_behind: float = option(240.0, "most seconds that a change's timestamp is behind the clock")
    churn_touch: bool = option(True, "a change to what belongs to an incident stamps the incident too")
    fault: list[str] = field(
        default_factory=list,
        metadata={"help": "a fault to inject, KIND[:key=value,...] (may be repeated); faults.py lists them"},
    )
    strict: bool = option(False, "refuse parameters that the contract does not have")
