"""All of a sandbox but its sockets: the account, the API, the faults, the admin face."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette

from .admin import make_admin
from .api import Account, Api, Receive, Scope, Send
from .churn import Churn
from .company import Company
from .contract import Contract
from .faults import Faults
from .lists import RecordList
from .options import Options
from .recorded import RecordedAccount
from .times import Clock


class Application:
    """An ASGI application."""

    def __init__(self, options: Options) -> None:
        """ValueError for options that make no sense."""
        self.options = options
        clock = Clock(options.now)
        contract = Contract()
        self.account: Account = (
            Company(contract, options, clock) if options.data is None else RecordedAccount(contract, options, clock)
        )
        self.api = Api(self.account, options, clock)
        self.faults = Faults(options.fault, options.seed)
        self.api.fault = self.faults
        self.churn = Churn(self.account, options, clock)
        if options.preload:
            for records in self.account.lists.values():
                if isinstance(records, RecordList):
                    records.preload()
        self._admin: Starlette = make_admin(self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["path"].startswith("/_sandbox"):
            await self._admin(scope, receive, send)
        else:
            await self.api(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        async with self._running():
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    @contextlib.asynccontextmanager
    async def _running(self) -> AsyncIterator[None]:
        self.churn.restart()
        try:
            yield
        finally:
            self.churn.stop()
