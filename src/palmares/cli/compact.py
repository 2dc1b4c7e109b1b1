"""`palmares compact`: what is left of erased users, out of the files of a folder that no server has open."""

from __future__ import annotations

import asyncio

import click

from palmares.cli.options import Failed, plain_errors, setting_options, settings_from
from palmares.server import compact, configure_logging


@click.command("compact")
@setting_options("data")
def compact_command(data: str | None) -> None:
    """Remove what is left of erased users from all files of a data folder, and return when it is done.

    For a folder whose server is stopped. A running server does the same by itself, soon after users were erased.
    """
    settings = settings_from({"data": data})
    if not settings.data.is_dir():
        raise Failed(f"there is no data folder {settings.data}; `palmares serve` makes one")
    configure_logging(settings)
    with plain_errors():
        asyncio.run(compact(settings))
    click.echo("the files hold nothing of erased users")
