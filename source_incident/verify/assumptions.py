"""Every assumption that an account can show, and the sections of docs/api.md that it can't."""

from source_incident.verify.checks import answers, filters, pages, records, unknowns

ASSUMPTIONS = (
    *answers.ASSUMPTIONS,
    *records.ASSUMPTIONS,
    *pages.ASSUMPTIONS,
    *filters.ASSUMPTIONS,
    *unknowns.ASSUMPTIONS,
)

# Sections of docs/api.md without an assumption, with the reason.
NOT_CHECKABLE = {
    "Late changes": "A change that is committed late shows only over time",
    "Credentials": "An account does not show which fields give access to something",
    "Details that lists leave out": "The connector reads them without any assumption about the list",
    "Pay reports": "The document has no columns to compare the CSV with",
    "Component availability": "A window shows nothing about other windows",
    "Attachments": "Only a wrong request would show which parameters are required",
}
