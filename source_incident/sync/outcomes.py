"""What became of the parents of a child stream, and of the records with nested columns, in one sync."""

from dataclasses import dataclass, field

from source_incident.api import ApiError, ForbiddenError, NotFoundError, TransientError, UnexpectedAnswerError

# Failed parents that a stream tolerates. With more, or with this many and no success, the stream fails.
MAX_FAILED = 20
MAX_FAILED_FIRST = 3


class IncompleteStreamError(TransientError):
    """Some records of a stream could not be read. The others were, and the next sync tries these again."""


@dataclass
class Outcomes:
    """Counts for one stream.

    Attributes:
        read: parents whose records were read.
        missing: parents that answered 404.
        forbidden: parents that answered 403.
        failed: by id of the root record, why its records could not be read.
    """

    read: int = 0
    missing: int = 0
    forbidden: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    _first: ApiError | None = None

    def add_missing(self, error: NotFoundError) -> None:
        self.missing += 1
        self._first = self._first or error

    def add_failed(self, id_: str, error: ApiError) -> None:
        if isinstance(error, ForbiddenError):
            self.forbidden += 1
            self._first = error
        else:
            self.failed[id_] = error.message

    def tolerates(self, error: ApiError) -> bool:
        """Whether the stream goes on after another parent failed with this error."""
        if isinstance(error, ForbiddenError):
            return self.read > 0 or self.forbidden < MAX_FAILED_FIRST - 1
        if not isinstance(error, TransientError | UnexpectedAnswerError):
            return False
        return len(self.failed) < (MAX_FAILED if self.read else MAX_FAILED_FIRST - 1)

    def final_error(self, parent: str, is_full_read: bool) -> ApiError | None:
        """The error that a stream ends with after its last parent; None: it was read completely.

        Args:
            parent: the name of the root stream.
            is_full_read: the sync read the stream in full.
        """
        if self.failed:
            ids = ", ".join(self.failed)
            return IncompleteStreamError(
                f"the records of {len(self.failed)} of {parent} could not be read: {ids}. The others were read. The "
                f"next sync tries these again. The first reason: {next(iter(self.failed.values()))}"
            )
        if self.read or not (self.forbidden or self.missing >= (1 if is_full_read else 2)):
            return None
        # No record of the root was readable: the error of one holds for the stream.
        return self._first
