"""`palmares keys`: the admin keys of a data folder, whether a server runs on it or not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from palmares.catalog.contract import ApiKey
from palmares.cli.folder import PLACE_OPTIONS, Folder, on_folder
from palmares.cli.options import setting_options
from palmares.domain.local_time import format_instant
from palmares.service import keys as actions
from palmares.service.environments import find_environment

NAMED = click.argument("prefix")


@click.group()
def keys() -> None:
    """Create, list, revoke, activate, rotate and delete admin keys.

    A running server takes up the change within a second. A key is told by its prefix, the part before the dot.
    """


@keys.command()
@setting_options(*PLACE_OPTIONS)
@click.option("--name", default="admin", show_default=True, help="What the key is for.")
@click.option("--environment", default="production", show_default=True, help="The key of the environment it opens.")
def create(data: str | None, database_url: str | None, name: str, environment: str) -> None:
    """Make a key and print it; it is shown only now."""
    _, text = on_folder(data, database_url, lambda folder: _create(folder, name, environment))
    click.echo(text)


@keys.command("list")
@setting_options(*PLACE_OPTIONS)
@click.option("--environment", help="Only the keys of the environment with this key.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")
def list_command(data: str | None, database_url: str | None, environment: str | None, as_json: bool) -> None:
    """Show all keys, oldest first, without their secrets."""
    found = on_folder(data, database_url, lambda folder: _listed(folder, environment))
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        Console(highlight=False).print(_table(found))


@keys.command()
@NAMED
@setting_options(*PLACE_OPTIONS)
def revoke(prefix: str, data: str | None, database_url: str | None) -> None:
    """Let a key open nothing until it is activated again."""
    on_folder(data, database_url, lambda folder: actions.revoke_key(folder, prefix))
    click.echo(f"{prefix} is revoked")


@keys.command()
@NAMED
@setting_options(*PLACE_OPTIONS)
def activate(prefix: str, data: str | None, database_url: str | None) -> None:
    """Let a revoked key work again, unchanged."""
    on_folder(data, database_url, lambda folder: actions.activate_key(folder, prefix))
    click.echo(f"{prefix} is active")


@keys.command()
@NAMED
@setting_options(*PLACE_OPTIONS)
def rotate(prefix: str, data: str | None, database_url: str | None) -> None:
    """Replace a key by a new one and print it; the old one is dead at once."""
    _, text = on_folder(data, database_url, lambda folder: actions.rotate_key(folder, prefix))
    click.echo(text)


@keys.command()
@NAMED
@setting_options(*PLACE_OPTIONS)
def delete(prefix: str, data: str | None, database_url: str | None) -> None:
    """Remove a key for good."""
    on_folder(data, database_url, lambda folder: actions.delete_key(folder, prefix))
    click.echo(f"{prefix} is deleted")


async def _create(folder: Folder, name: str, environment: str) -> tuple[ApiKey, str]:
    return await actions.create_key(folder, name, find_environment(folder, environment).scope)


async def _listed(folder: Folder, environment: str | None) -> list[dict[str, Any]]:
    """The keys of one environment, or of all."""
    wanted = None if environment is None else find_environment(folder, environment).scope
    return [_described(folder, key) for key in actions.list_keys(folder) if wanted in (None, key.scope)]


def _described(folder: Folder, key: ApiKey) -> dict[str, Any]:
    return {
        "prefix": key.prefix,
        "name": key.name,
        "environment": folder.catalog.environment(key.scope).key,
        "active": key.active,
        "created": format_instant(key.created),
        "lastUsed": None if key.last_used is None else format_instant(key.last_used),
    }


def _table(found: Sequence[dict[str, Any]]) -> Table:
    """A line for each key, with its environment where they are not all of one: terminals are narrow."""
    several = len({key["environment"] for key in found}) > 1
    table = Table("prefix", "name", "active", "created", "last used", box=None, header_style="bold")
    if several:
        table.add_column("environment")
    for key in found:
        used = "never" if key["lastUsed"] is None else _minute(key["lastUsed"])
        active = "yes" if key["active"] else "no"
        environment = [key["environment"]] if several else []
        table.add_row(key["prefix"], key["name"], active, _minute(key["created"]), used, *environment)
    return table


def _minute(instant: str) -> str:
    """`2026-03-04 09:15` in UTC."""
    return instant[:16].replace("T", " ")
