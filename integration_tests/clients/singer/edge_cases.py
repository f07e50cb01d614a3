"""Records with values that taps and targets often change by mistake."""

from __future__ import annotations

from typing import Any

from integration_tests.support.tap import Record
from sandbox import Sandbox

EdgeCases = dict[str, list[Record]]

TEXTS = (
    "",
    " with spaces at both ends ",
    "NULL",
    "\\N",
    "007",
    "1e5",
    "true",
    '{"json": "in a text"}',
    "[1, 2]",
    "{1,2}",
    "a,b;c|d\te",
    "line\nline\r\nline\rline",
    "\"double\" 'single' `back` \\ slash \\n \\u0041 %s {0} $1 :name",
    "Zoë Guðrún Şahin İstanbul ﬁ",
    "e\u0301 is not é",
    "東京 العربية עברית हिन्दी 🔥👩‍🚒🏳️‍🌈",
    "\ufeffmark \u200bwidth \u2028line \u2029paragraph \u00a0",
    "".join(map(chr, range(1, 32))) + "\x7f\x80\x9f",
    "\ufffe\uffff\U0010ffff",
    "long " * 100_000,
    "'; DROP TABLE incident.alerts; --",
)
INTEGERS = (0, -1, 2**31, 2**53 + 1, 2**63 - 1, -(2**63))
FRACTIONS = (0.1, 1e-7, 123456789.123456, 1234567890123456.0, 2**53 + 2)
TIMESTAMPS = (
    "2024-02-29T23:59:59.999999Z",
    "2024-03-31T01:30:00.5Z",
    "2024-11-03T01:30:00-04:00",
    "2024-06-15T02:00:00.123456+05:30",
    "1969-12-31T23:59:59Z",
    "2999-01-01T00:00:00Z",
)
NESTED_OBJECT: dict[str, Any] = {
    "": "a key without a name",
    "a.b c\"d'e\\f/g": "a key with special characters",
    "ключ": [None, True, 0, -0.5, 2**63 - 1, "", [], {}, [[1, [2, [None]]]]],
    "texts": list(TEXTS[:-2]),
    "null": None,
}


def put_edge_cases(sandbox: Sandbox) -> EdgeCases:
    """Add records with edge cases to the sandbox's account, and change some.

    Returns:
        the records by stream, in the form that the connector emits.
    """
    alert = sandbox.records("alerts")[0]
    term = sandbox.records("glossary_entries")[0]
    incidents = sandbox.records("incidents")
    path = sandbox.records("escalation_paths")[0]
    kind = sandbox.records("catalog_types")[0]
    report = sandbox.records("pay_reports")[0]
    branches = {"conditions": [], "then_path": [NESTED_OBJECT, {}], "else_path": [NESTED_OBJECT]}
    records: EdgeCases = {
        "alerts": [
            *({**alert, "id": f"TEXT{i}", "title": text, "description": text} for i, text in enumerate(TEXTS)),
            *({**alert, "id": f"TIMESTAMP{i}", "resolved_at": timestamp} for i, timestamp in enumerate(TIMESTAMPS)),
            {**alert, "id": "NULL", "description": None, "resolved_at": None, "tags": None},
            {**alert, "id": "EMPTY", "tags": [], "attributes": []},
        ],
        "glossary_entries": [{**term, "id": f"INTEGER{i}", "rank": number} for i, number in enumerate(INTEGERS)],
        "escalation_paths": [{**path, "path": [{"id": "NESTED", "type": "if_else", "if_else": branches}]}],
        "catalog_types": [{**kind, "annotations": {text: text for text in TEXTS}}],
        "pay_reports": [{**report, "total_pay_by_currency": {"GBP": 2**63 - 1, "USD": None, "": 0}}],
    }
    for name, edge_cases in records.items():
        sandbox.put(name, edge_cases)
    sandbox.put(
        "incidents",
        [
            {**incident, "workload_minutes_total": number}
            for incident, number in zip(incidents, FRACTIONS, strict=False)
        ],
    )
    return records
