"""Assumptions about requests, rate limits and errors."""

from collections import defaultdict
from collections.abc import Mapping

from source_incident.api import ApiError, ForbiddenError, NotFoundError, RequestError
from source_incident.api.rate_limit import parse_limits
from source_incident.verify.account import MADE_UP_ID, Account
from source_incident.verify.assumption import (
    Assumption,
    Evidence,
    NotTriedError,
    Outcome,
    Result,
    plural,
    scope_name,
)

# The default of the setting lookback_window. Clocks that differ by less don't matter.
MAX_SKEW_SECONDS = 300
IDENTITY_FIELDS = ("name", "roles", "team_roles", "teams", "dashboard_url")
LIMIT_HEADERS = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Used", "X-RateLimit-Reset")


def _identity(account: Account) -> Result:
    evidence = Evidence()
    identity = account.identity.get("identity")
    evidence.expect(isinstance(identity, Mapping), "the answer has no identity")
    if isinstance(identity, Mapping):
        for field in IDENTITY_FIELDS:
            evidence.expect(field in identity, f"identity.{field} is missing")
    return evidence.result("")


def _accepted(account: Account) -> Result:
    evidence = Evidence()
    for name in sorted(account.selected):
        found = account.first_pages.get(name)
        if isinstance(found, RequestError):
            evidence.expect(False, f"{name}: {account.reason(found)}")
        elif not isinstance(found, ApiError):
            evidence.seen += found is not None
    return evidence.result("no stream could be read")


def _date(account: Account) -> Result:
    without: dict[str, int] = defaultdict(int)
    for exchange in account.client.exchanges:
        without[exchange.endpoint] += exchange.requested_at is None
    evidence = Evidence()
    for endpoint, count in sorted(without.items()):
        evidence.expect(not count, f"{endpoint}: {plural(count, 'answer')} without a usable Date header")
    return evidence.result("there was no answer")


def _clock(account: Account) -> Result:
    differences = [
        (exchange.requested_at - exchange.sent_at).total_seconds()
        for exchange in account.client.exchanges
        if exchange.requested_at
    ]
    evidence = Evidence()
    if differences:
        largest = max(differences, key=abs)
        side = "ahead of" if largest > 0 else "behind"
        text = f"the API's clock is {abs(largest):,.0f} s {side} this machine's"
        evidence.expect(abs(largest) <= MAX_SKEW_SECONDS, text)
        if abs(largest) >= 2 and not evidence.contradictions:
            evidence.note(text)
    return evidence.result("no answer had a usable Date header")


def _limit_headers(account: Account) -> Result:
    evidence = Evidence()
    without = 0
    problems: dict[str, int] = defaultdict(int)
    for exchange in account.client.exchanges:
        if not any(header in exchange.headers for header in LIMIT_HEADERS):
            without += 1
            continue
        evidence.seen += 1
        for problem in _header_problems(exchange.headers):
            problems[f"{exchange.endpoint}: {problem}"] += 1
    for text, count in sorted(problems.items()):
        evidence.expect(False, f"{text} ({plural(count, 'answer')})")
    if without and evidence.seen:
        evidence.note(f"{plural(without, 'answer')} without these headers")
    return evidence.result("no answer had these headers")


def _header_problems(headers: Mapping[str, str]) -> list[str]:
    problems = [f"{header} is missing" for header in LIMIT_HEADERS if header not in headers]
    if "X-RateLimit-Limit" in headers:
        text = headers["X-RateLimit-Limit"]
        limits = parse_limits(text)
        if limits is None or text.count(",") != len(limits[1]) or text.count("window=") != len(limits[1]):
            problems.append("X-RateLimit-Limit has another form")
        elif limits[0] not in [limit for limit, _ in limits[1]]:
            problems.append("X-RateLimit-Limit has a binding limit that is not among the limits")
    numbers = [header for header in LIMIT_HEADERS[1:] if header in headers]
    return problems + [f"{header} is not a number" for header in numbers if not headers[header].isdecimal()]


def _scopes(account: Account) -> Result:
    missing = missing_scopes(account)
    evidence = Evidence()
    for scope, streams in missing.items():
        evidence.expect(scope != scope_name(None), f"no scope is named for {', '.join(streams)}")
        if scope != scope_name(None):
            evidence.note(f"{scope} is missing: {', '.join(streams)}")
    return evidence.result("the key can read every stream that was tried")


def missing_scopes(account: Account) -> dict[str, list[str]]:
    """The scopes that the key lacks, with the streams that need them."""
    missing: dict[str, list[str]] = defaultdict(list)
    for name, found in account.first_pages.items():
        if isinstance(found, ForbiddenError) and name in account.selected:
            missing[scope_name(found.scope)].append(name)
    return dict(sorted(missing.items()))


def _not_found(account: Account) -> Result:
    try:
        account.client.get(f"/v2/incidents/{MADE_UP_ID}")
    except ApiError as error:
        return _not_found_result(account, error)
    return Result(Outcome.FAILS, ("the API answers with 200",))


def _missing_parent(account: Account) -> Result:
    name = "incident_attachments"
    found = account.attempt(name, {"incident_id": MADE_UP_ID})
    if isinstance(found, ApiError):
        return _not_found_result(account, found)
    return Result(Outcome.FAILS, (f"{name}: the API answers with {plural(len(found.records), 'record')}",))


def _not_found_result(account: Account, error: ApiError) -> Result:
    if isinstance(error, NotFoundError):
        return Result(Outcome.HOLDS)
    if error.status == 404:
        return Result(Outcome.FAILS, ("the 404 has no error body of the API with resource_not_found",))
    if isinstance(error, RequestError):
        return Result(Outcome.FAILS, (f"the API answers with {error.status}",))
    raise NotTriedError(account.reason(error))


ASSUMPTIONS = (
    Assumption("requests.identity", "Requests", "/v1/identity describes the key", _identity),
    Assumption("requests.accepted", "Requests", "The API accepts the request of each stream", _accepted),
    Assumption("requests.date", "Requests", "Each answer has a Date header", _date),
    Assumption("requests.clock", "Requests", "The API's clock and this machine's are 5 minutes apart at most", _clock),
    Assumption(
        "limits.headers", "Limits", "The X-RateLimit headers have the documented form and values", _limit_headers
    ),
    Assumption("errors.scopes", "Errors", "A 403 names the missing scope", _scopes),
    Assumption(
        "errors.not_found", "Errors", "A made-up id is answered with 404 and resource_not_found", _not_found, requests=1
    ),
    Assumption(
        "missing_parents.not_found",
        "Missing parents",
        "The child list of a made-up incident is answered with 404 and resource_not_found",
        _missing_parent,
        requests=1,
    ),
)
