"""The catalog of a data folder, for commands that work beside a running server or without one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from palmares.catalog.contract import Catalog
from palmares.cli.options import Failed, plain_errors, settings_from
from palmares.config import Settings
from palmares.databases import open_catalog
from palmares.machine import new_id, new_secret, system_clock

Result = TypeVar("Result")

# The options that say where the catalog is.
PLACE_OPTIONS = ("data", "database_url")


@dataclass(frozen=True, slots=True)
class Folder:
    """What the actions need, without a ledger: a running server holds that."""

    catalog: Catalog
    clock: Callable[[], int] = system_clock
    new_id: Callable[[], str] = new_id
    new_secret: Callable[[int], str] = new_secret


def on_folder(data: str | None, database_url: str | None, action: Callable[[Folder], Awaitable[Result]]) -> Result:
    """Run an action on the catalog of a data folder, or of a database."""
    settings = settings_from({"data": data, "database_url": database_url})
    require_folder(settings)

    async def run() -> Result:
        catalog = await open_catalog(settings.data, database_url=settings.database_url)
        try:
            return await action(Folder(catalog))
        finally:
            await catalog.close()

    with plain_errors():
        return asyncio.run(run())


def require_folder(settings: Settings) -> None:
    """Raise `Failed` when the catalog would be in a data folder that does not exist: a misspelt one is not made."""
    if settings.database_url is None and not settings.data.is_dir():
        raise Failed(f"there is no data folder {settings.data}; `palmares serve` makes one")
