"""`palmares compact`: what is left of erased users, out of the files of a folder that no server has open."""

from __future__ import annotations

import asyncio

import click

from palmares.cli.folder import PLACE_OPTIONS, require_folder
from palmares.cli.options import Failed, plain_errors, setting_options, settings_from
from palmares.embedded import compact
from palmares.logs import configure_logging


@click.command("compact")
@setting_options(*PLACE_OPTIONS)
def compact_command(**given: str | None) -> None:
    """Remove what is left of erased users from all files of a data folder, and return when it is done.

    For a folder whose server is stopped. A running server does the same by itself, soon after users were erased.
    """
    settings = settings_from(given)
    if settings.valkey_url is not None:
        raise Failed("there is no data folder to compact: with valkey_url, the workers do that by themselves")
    require_folder(settings)
    configure_logging(settings)
    with plain_errors():
        asyncio.run(compact(settings))
    click.echo("the files hold nothing of erased users")
