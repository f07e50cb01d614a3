"""The ASGI application: the mock API, its faults and its admin endpoints."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from sandbox.account import Account
from sandbox.admin import make_admin
from sandbox.api import Api
from sandbox.asgi import Receive, Scope, Send
from sandbox.churn import Churn
from sandbox.company import Company
from sandbox.contract import Contract
from sandbox.faults import Faults
from sandbox.lists import RecordList
from sandbox.options import Options
from sandbox.recorded_account import RecordedAccount
from sandbox.times import Clock


class Application:
    """Passes requests under /_sandbox to the admin endpoints, and all others to the API."""

    def __init__(self, options: Options) -> None:
        """Raises ValueError for invalid options."""
        clock = Clock(options.now)
        contract = Contract()
        account: Account = (
            Company(contract, options, clock) if options.data is None else RecordedAccount(contract, options, clock)
        )
        self.faults = Faults(options.fault, options.seed)
        self._api = Api(account, options, clock, self.faults)
        self._churn = Churn(account, options, clock)
        self._admin = make_admin(self._api, self._churn)
        if options.preload:
            for records in account.lists.values():
                if isinstance(records, RecordList):
                    records.preload()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["path"].startswith("/_sandbox"):
            await self._admin(scope, receive, send)
        else:
            await self._api(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        async with self._running():
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    @contextlib.asynccontextmanager
    async def _running(self) -> AsyncIterator[None]:
        self._churn.restart()
        try:
            yield
        finally:
            self._churn.stop()
