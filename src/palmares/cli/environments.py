"""`palmares environments`: the environments of a data folder, whether a server runs on it or not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from palmares.catalog.contract import Environment
from palmares.cli.folder import PLACE_OPTIONS, Folder, on_folder
from palmares.cli.options import setting_options, settings_from
from palmares.service import environments as actions


@click.group()
def environments() -> None:
    """List and create environments, and switch their multi-tenancy.

    An environment isolates all data; each key opens one. A running server takes up the change within a second.
    """


@environments.command("list")
@setting_options(*PLACE_OPTIONS)
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")
def list_command(data: str | None, database_url: str | None, as_json: bool) -> None:
    """Show all environments, the most important first."""

    async def listed(folder: Folder) -> list[dict[str, Any]]:
        return [_described(folder, environment) for environment in actions.list_environments(folder)]

    found = on_folder(data, database_url, listed)
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        Console(highlight=False).print(_table(found))


@environments.command()
@click.argument("key")
@click.option("--name", help="What people call it; if not given, its key.")
@click.option("--priority", type=click.IntRange(1, 1_000_000), help="Its place in lists; if not given, the last.")
@setting_options(*PLACE_OPTIONS, "multi_tenancy")
def create(
    key: str,
    name: str | None,
    priority: int | None,
    data: str | None,
    database_url: str | None,
    multi_tenancy: str | None,
) -> None:
    """Make an environment, empty; `palmares keys create --environment` makes a key for it."""
    tenants = settings_from({"multi_tenancy": multi_tenancy}).multi_tenancy
    on_folder(
        data, database_url, lambda folder: actions.create_environment(folder, key, name or key, priority, tenants)
    )
    click.echo(f"{key} is there")


@environments.command("multi-tenancy")
@click.argument("key")
@click.argument("state", type=click.Choice(["on", "off"]))
@setting_options(*PLACE_OPTIONS)
def multi_tenancy(key: str, state: str, data: str | None, database_url: str | None) -> None:
    """Turn multi-tenancy on or off.

    While it is on, every request names a tenant (Tenant-ID) and reaches nothing but what is that tenant's. Nothing is
    moved or deleted: what was defined without a tenant rests, and is there again when it is turned off.
    """
    on_folder(data, database_url, lambda folder: actions.switch_multi_tenancy(folder, key, state == "on"))
    click.echo(f"multi-tenancy of {key} is {state}")


def _described(folder: Folder, environment: Environment) -> dict[str, Any]:
    return {
        "key": environment.key,
        "name": environment.name,
        "priority": environment.priority,
        "multiTenancy": environment.multi_tenancy,
        "tenants": len(folder.catalog.tenants(environment.id).all),
    }


def _table(found: Sequence[dict[str, Any]]) -> Table:
    table = Table("key", "name", "priority", "multi-tenancy", "tenants", box=None, header_style="bold")
    for one in found:
        state = "on" if one["multiTenancy"] else "off"
        table.add_row(one["key"], one["name"], str(one["priority"]), state, str(one["tenants"]))
    return table
