"""Concurrent tasks of the coordinator."""

import asyncio
from types import TracebackType


class TaskGroup(asyncio.TaskGroup):
    """A task group that raises its first error as it is, instead of in an exception group."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            await super().__aexit__(kind, error, traceback)
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
