"""`palmares keys`: the admin keys of a data folder, whether a server runs on it or not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.table import Table

from palmares.catalog.contract import ApiKey, Catalog
from palmares.cli.options import Failed, plain_errors, setting_options, settings_from
from palmares.domain.local_time import format_instant
from palmares.server import new_id, new_secret, open_catalog, system_clock
from palmares.service import keys as actions

Result = TypeVar("Result")

NAMED = click.argument("prefix")


@dataclass(frozen=True, slots=True)
class Folder:
    """What the actions need, without a ledger: a running server holds that."""

    catalog: Catalog
    clock: Callable[[], int] = system_clock
    new_id: Callable[[], str] = new_id
    new_secret: Callable[[int], str] = new_secret


def _run(data: str | None, action: Callable[[Folder], Awaitable[Result]]) -> Result:
    """Run an action on the catalog of a data folder, which has to exist: a misspelt one is not made."""
    folder = settings_from({"data": data}).data
    if not folder.is_dir():
        raise Failed(f"there is no data folder {folder}; `palmares serve` makes one")

    async def run() -> Result:
        catalog = await open_catalog(folder)
        try:
            return await action(Folder(catalog))
        finally:
            await catalog.close()

    with plain_errors():
        return asyncio.run(run())


@click.group()
def keys() -> None:
    """Create, list, revoke, activate, rotate and delete admin keys.

    A running server takes up the change within a second. A key is told by its prefix, the part before the dot.
    """


@keys.command()
@setting_options("data")
@click.option("--name", default="admin", show_default=True, help="What the key is for.")
def create(data: str | None, name: str) -> None:
    """Make a key and print it; it is shown only now."""
    _, text = _run(data, lambda folder: actions.create_key(folder, name))
    click.echo(text)


@keys.command("list")
@setting_options("data")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")
def list_command(data: str | None, as_json: bool) -> None:
    """Show all keys, oldest first, without their secrets."""

    async def listed(folder: Folder) -> Sequence[ApiKey]:
        return actions.list_keys(folder)

    found = _run(data, listed)
    if as_json:
        click.echo(json.dumps([_described(key) for key in found], indent=2))
    else:
        Console(highlight=False).print(_table(found))


@keys.command()
@NAMED
@setting_options("data")
def revoke(prefix: str, data: str | None) -> None:
    """Let a key open nothing until it is activated again."""
    _run(data, lambda folder: actions.revoke_key(folder, prefix))
    click.echo(f"{prefix} is revoked")


@keys.command()
@NAMED
@setting_options("data")
def activate(prefix: str, data: str | None) -> None:
    """Let a revoked key work again, unchanged."""
    _run(data, lambda folder: actions.activate_key(folder, prefix))
    click.echo(f"{prefix} is active")


@keys.command()
@NAMED
@setting_options("data")
def rotate(prefix: str, data: str | None) -> None:
    """Replace a key by a new one and print it; the old one is dead at once."""
    _, text = _run(data, lambda folder: actions.rotate_key(folder, prefix))
    click.echo(text)


@keys.command()
@NAMED
@setting_options("data")
def delete(prefix: str, data: str | None) -> None:
    """Remove a key for good."""
    _run(data, lambda folder: actions.delete_key(folder, prefix))
    click.echo(f"{prefix} is deleted")


def _described(key: ApiKey) -> dict[str, Any]:
    return {
        "prefix": key.prefix,
        "name": key.name,
        "active": key.active,
        "created": format_instant(key.created),
        "lastUsed": None if key.last_used is None else format_instant(key.last_used),
    }


def _table(found: Sequence[ApiKey]) -> Table:
    table = Table("prefix", "name", "active", "created", "last used", box=None, header_style="bold")
    for key in found:
        used = "never" if key.last_used is None else _minute(key.last_used)
        table.add_row(key.prefix, key.name, "yes" if key.active else "no", _minute(key.created), used)
    return table


def _minute(instant: int) -> str:
    """`2026-03-04 09:15` in UTC."""
    return format_instant(instant)[:16].replace("T", " ")
