"""The tables of docs/verify.md, from the declared assumptions."""

from source_incident.verify.assumptions import ASSUMPTIONS, NOT_CHECKABLE
from tools.docs.markdown import table


def tables() -> dict[str, str]:
    """The tables, by the name of their place."""
    assumptions = [
        (f"`{assumption.name}`", assumption.text.replace("|", "\\|"), assumption.section) for assumption in ASSUMPTIONS
    ]
    return {
        "assumptions": table(("name", "assumption", "section"), assumptions),
        "unchecked": table(("section", "why"), NOT_CHECKABLE.items()),
    }
