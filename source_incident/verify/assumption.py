"""An assumption about the API, its check, and the result of the check."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from source_incident.verify.account import Account

# Details that a result shows of each kind.
MAX_DETAILS = 20
# A field's name. Keys of maps can be ids or text of the account: they are never shown.
FIELD_NAME = re.compile(r"[a-z][a-z_]*(?:[0-9]{1,2}[a-z_]*)?")
MAX_FIELD_NAME = 60
SCOPE = re.compile(r"[a-z_]{1,40}(?:\.[a-z_]{1,40}){1,2}")


class Outcome(StrEnum):
    """What a check found."""

    HOLDS = "holds"
    FAILS = "does not hold"
    NOT_TRIED = "could not be tried"


@dataclass(frozen=True)
class Result:
    """The outcome of a check, with details.

    Details have names of fields, streams and scopes, statuses and counts. They never have values or ids.
    """

    outcome: Outcome
    details: tuple[str, ...] = ()


class NotTriedError(Exception):
    """A check can't be made. The text is the reason."""


class RefusedError(Exception):
    """The API refuses a request that the connector makes. The text says which, with the status."""


Check = Callable[["Account"], Result]


@dataclass(frozen=True)
class Assumption:
    """One assumption about the API.

    Attributes:
        name: identifies it in the output.
        section: the section of docs/api.md that has the fact.
        text: what is assumed.
        check: looks at the account.
        requests: how many requests the check makes at most, besides each stream's first page.
        streams: streams that are off by default and that the check needs.
    """

    name: str
    section: str
    text: str
    check: Check
    requests: int = 0
    streams: tuple[str, ...] = ()

    def verify(self, account: "Account") -> Result:
        """Run the check."""
        try:
            return self.check(account)
        except NotTriedError as error:
            return Result(Outcome.NOT_TRIED, (str(error),))
        except RefusedError as error:
            return Result(Outcome.FAILS, (str(error),))
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            # The answer is stranger than the check expects. The error's text can have values.
            return Result(Outcome.NOT_TRIED, (f"the check failed ({type(error).__name__}), please report it",))


@dataclass
class Evidence:
    """What a check has seen so far.

    Attributes:
        seen: how many cases were looked at.
        contradictions: what contradicts the assumption.
        notes: what else is worth knowing.
    """

    seen: int = 0
    contradictions: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def expect(self, is_fulfilled: bool, contradiction: str) -> None:
        """Count a case, and keep the contradiction if it is one."""
        self.seen += 1
        if not is_fulfilled:
            self.contradictions.append(contradiction)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def result(self, otherwise: str) -> Result:
        """The result.

        Args:
            otherwise: why the check could not be made, if nothing was seen.
        """
        if self.contradictions:
            return Result(Outcome.FAILS, (*_shortened(self.contradictions), *_shortened(self.notes)))
        if not self.seen:
            return Result(Outcome.NOT_TRIED, (otherwise, *_shortened(self.notes)))
        return Result(Outcome.HOLDS, tuple(_shortened(self.notes)))


def field_name(name: object) -> str:
    """The name of a field, or a placeholder if it does not look like one."""
    if isinstance(name, str) and len(name) <= MAX_FIELD_NAME and FIELD_NAME.fullmatch(name):
        return name
    return "(a key that is not a field's name)"


def scope_name(scope: str | None) -> str:
    """The name of a scope, or a placeholder."""
    return scope if scope and SCOPE.fullmatch(scope) else "(not named)"


def plural(count: int, noun: str) -> str:
    """A count with its noun."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _shortened(texts: Iterable[str]) -> list[str]:
    texts = list(texts)
    more = len(texts) - MAX_DETAILS
    return [*texts[:MAX_DETAILS], *([f"and {more} more"] if more > 0 else [])]
