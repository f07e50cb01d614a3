"""Names and texts for invented records, with characters and lengths that break careless readers."""

from __future__ import annotations

from random import Random

FIRST_NAMES = (
    "Amara", "Björn", "Chiara", "Dmitri", "Eilidh", "Farah", "Guðrún", "Hiroshi", "Inés", "Jamal",
    "Kaja", "Liam", "Mei", "Noor", "Oluwaseun", "Priya", "Quentin", "Rosa", "Søren", "Tomasz",
    "Uma", "Vera", "Wanjiru", "Xavier", "Yuki", "Zoë", "Álvaro", "Éléonore", "李", "Nguyễn",
)  # fmt: skip
LAST_NAMES = (
    "Adeyemi", "Bauer", "Castillo", "Dvořák", "Eriksson", "Fischer", "García", "Haddad", "Ito",
    "Jóhannsdóttir", "Kowalski", "Lefèvre", "MacLeod", "Novák", "O'Connor", "Petrov", "Quispe",
    "Ramanathan", "Şahin", "Tanaka", "Ueda", "Vukić", "Walsh", "Xu", "Yılmaz", "Zieliński",
)  # fmt: skip
TEAMS = (
    "Payments", "Search", "Platform", "Identity", "Mobile", "Data", "Checkout", "Notifications",
    "Infrastructure", "Customer Support", "Fraud & Risk", "Développement", "東京 Ops",
)  # fmt: skip
SERVICES = (
    "payments-api", "search-indexer", "auth-gateway", "ledger", "mobile-bff", "billing-worker",
    "notifications", "image-resizer", "feature-flags", "kafka-main", "postgres-primary", "cdn-edge",
    "session-store", "email-relay", "fraud-scoring", "reporting-etl",
)  # fmt: skip
SYMPTOMS = (
    "elevated error rate", "p99 latency above 2 s", "queue backlog growing", "disk almost full",
    "certificate expires soon", "replication lag", "failed deploys", "timeouts to the database",
    "out of memory restarts", "missing webhooks", "duplicate charges", "login loop",
    "stale search results", "throughput collapsed",
)  # fmt: skip
CAUSES = (
    "a config change that was rolled out without a canary", "a slow query after a migration",
    "an exhausted connection pool", "a bad deploy of {service}", "an upstream provider",
    "a clock that drifted on one node", "a retry storm from {service}", "a full disk on a replica",
    "an expired certificate in {service}", "a cache that was cleared at peak time",
)  # fmt: skip
TASKS = (
    "Roll back the last deploy of {service}", "Add an alert on the queue length of {service}",
    "Call the provider and ask for an estimate", "Fail over {service} to the standby",
    "Write the customer message", "Raise the connection limit of {service}",
    "Check the backups of {service}", "Document how to drain {service}",
    "Review the timeouts between {service} and its callers", "Move {service} to the new cluster",
    'Replace the "temporary" fix in {service}', "Ask Søren to re-run the {service} backfill",
)  # fmt: skip
SENTENCES = (
    "We saw {symptom} on {service} and are looking into it.",
    "The cause was {cause}; the fix is out and we are watching.",
    "Customers in one region could not use {service} for some minutes.",
    "Error rates are back to normal.",
    "Nothing was lost, some requests came late.",
    "Rolled back, {symptom} stopped at once. 🎉",
    "Next update when the failover of {service} is done.",
    "Zweite Störung heute: {symptom} — gleiche Ursache.",
    "検索サービスは復旧しました。引き続き監視します。",
    'Quoted from the vendor: "it\'s fine" \\ it was not.\n- first, we wait\n- then, we call',
    "Ticket text was <b>pasted</b> as is & kept: 'NULL', 0, \u200bzero\u200bwidth, العربية.",
)
NOUNS = (
    "review", "runbook", "handover", "rota", "digest", "checklist", "exception", "escalation",
    "maintenance", "digest", "template", "summary", "dashboard", "policy",
)  # fmt: skip
TIMEZONES = ("Europe/London", "America/New_York", "Asia/Tokyo", "Europe/Berlin", "UTC")


def fill(text: str, random: Random) -> str:
    """Replace the placeholders of a text by a service, a symptom and a cause."""
    if "{cause}" in text:
        text = text.replace("{cause}", random.choice(CAUSES))
    return text.replace("{service}", random.choice(SERVICES)).replace("{symptom}", random.choice(SYMPTOMS))


def paragraph(random: Random, most: int = 4) -> str:
    """Up to `most` sentences; rarely a text of several kilobytes."""
    count = 120 if random.random() < 0.004 else random.randint(1, most)
    return " ".join(fill(random.choice(SENTENCES), random) for _ in range(count))
