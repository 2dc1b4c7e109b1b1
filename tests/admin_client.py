"""The Admin API over a real catalog, called as a client would, without a socket."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from palmares.api.health import Distribution, LedgerFigures
from palmares.api.meter import Meter
from palmares.api.routes import build_app
from palmares.service.keys import create_key
from tests.definitions import Desk, open_desk
from tests.slow_ledger import SlowLedger

UNKNOWN = "00000000-0000-4000-8000-00000000ffff"


@dataclass
class Admin:
    """A client with an admin key, and the desk behind the door."""

    desk: Desk
    client: httpx.AsyncClient

    async def call(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        """The JSON answer, after a look at its status. A body of bytes is sent as it is."""
        sent = {"content": body} if isinstance(body, bytes) else {} if body is None else {"json": body}
        answer = await self.client.request(method, path, **sent)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def create(self, path: str, *items: Any) -> Any:
        """Create things, all of which are fine."""
        answer = await self.call("POST", path, list(items), 201)
        assert answer["issues"] == []
        return answer["created"]

    async def refused(self, method: str, path: str, body: Any = None, status: int = 422) -> str:
        """The message of a request that is refused as a whole."""
        answer = await self.call(method, path, body, status)
        assert answer.keys() == {"error"}
        return str(answer["error"])


@asynccontextmanager
async def open_admin(folder: Path, *, recording: bool = False) -> AsyncIterator[Admin]:
    """An Admin API over the catalog in a folder, on 2026-03-04 at 10:00 UTC; if need be, with a ledger that records."""
    async with open_desk(folder) as desk:
        if recording:
            slow = SlowLedger(desk.clock, desk.context.new_id)
            desk = replace(desk, context=replace(desk.context, ledger=slow))
        _, key = await create_key(desk.context, "test")
        nothing = Distribution((), (0,), 0.0)
        app = build_app(
            desk.context,
            Meter(lambda: 0.0),
            max_body_bytes=1_000_000,
            readiness=lambda: None,
            ledger_figures=lambda: LedgerFigures(0, 0, 0, 0, 0, nothing, nothing, {}),
        )
        transport = httpx.ASGITransport(app)
        headers = {"X-API-KEY": key}
        async with httpx.AsyncClient(transport=transport, base_url="http://test/admin/v1", headers=headers) as client:
            yield Admin(desk, client)


def named(issues: list[dict[str, Any]]) -> list[tuple[Any, str]]:
    """What each error issue is about and the field it names."""
    return [
        (issue.get("id", issue.get("index")), issue["message"].partition(":")[0])
        for issue in issues
        if issue["severity"] == "error"
    ]
