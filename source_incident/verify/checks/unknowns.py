"""What is not known about the API. The connector is correct for each answer, so these checks report which one it is."""

from source_incident.api import ApiError, ForbiddenError, NotFoundError, RequestError
from source_incident.verify.account import Account, Answer
from source_incident.verify.assumption import Assumption, Evidence, NotTriedError, Outcome, Result, plural

ON_CALL_STREAMS = ("schedules", "escalation_paths", "escalations", "call_routes", "pay_configs")


def _stream_mode(account: Account) -> Result:
    account.first_page("incidents")
    found = account.attempt("incidents", {"modes": ("stream",)})
    if isinstance(found, RequestError):
        outcome = Outcome.HOLDS if found.status == 422 else Outcome.FAILS
        return Result(outcome, (f"the API answers with {found.status}",))
    if isinstance(found, Answer) and found.page is not None:
        return Result(Outcome.HOLDS, (f"the API accepts it and returns {plural(len(found.records), 'incident')}",))
    raise NotTriedError(account.reason(found))


def _on_call(account: Account) -> Result:
    evidence = Evidence()
    for name in ON_CALL_STREAMS:
        found = account.first_pages.get(name)
        if name not in account.selected:
            continue
        if isinstance(found, Answer) and found.page is not None:
            evidence.seen += 1
            evidence.note(f"{name}: {plural(len(found.records), 'record')}")
        elif isinstance(found, ForbiddenError | NotFoundError):
            evidence.seen += 1
            evidence.note(f"{name}: {account.reason(found)}")
        elif isinstance(found, ApiError):
            evidence.expect(not isinstance(found, RequestError), f"{name}: {account.reason(found)}")
    return evidence.result("no list of On-call was tried")


def _filtered_total(account: Account) -> Result:
    first = account.records("incidents")
    # The check incident_filters.mode has made this request.
    answer = account.read("incidents", {"modes": ("retrospective",)})
    whole, filtered = (page.page.total if page.page else None for page in (first, answer))
    if whole is None or filtered is None:
        raise NotTriedError("incidents: the answers have no total_record_count")
    if not answer.is_short or len(answer.records) == whole:
        raise NotTriedError("incidents: the filter selects too many records to tell")
    evidence = Evidence()
    if filtered == whole:
        evidence.expect(True, "")
        evidence.note("it ignores filters")
    else:
        text = f"incidents: the total is {filtered}, the filtered list has {plural(len(answer.records), 'record')}"
        evidence.expect(filtered == len(answer.records), text)
        evidence.note("it respects filters")
    return evidence.result("")


ASSUMPTIONS = (
    Assumption(
        "unknown.filtered_total",
        "Pages",
        "total_record_count either respects filters or ignores them",
        _filtered_total,
    ),
    Assumption(
        "unknown.stream_mode",
        "What is not known",
        "/v2/incidents either accepts the mode stream or refuses it with 422",
        _stream_mode,
        requests=1,
    ),
    Assumption(
        "unknown.on_call",
        "What is not known",
        "A list of On-call that the account lacks answers with 403, 404 or without records",
        _on_call,
    ),
)
