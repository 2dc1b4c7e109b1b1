"""`palmares verify`: whether a data folder and a cluster hold the same."""

from __future__ import annotations

import asyncio

import click

from palmares.cli.cluster import CLUSTER_OPTIONS, cluster_settings, progress
from palmares.cli.options import Failed, plain_errors, setting_options
from palmares.comparing import differences
from palmares.config import Settings
from palmares.logs import configure_logging

_MOST_SHOWN = 20


@click.command("verify")
@setting_options("data", *CLUSTER_OPTIONS, "log_level", "log_format")
def verify_command(**given: str | None) -> None:
    """Compare a data folder with a cluster: every line, user, total and streak, and every row of every run.

    Both must be stopped. Exits with 1 when anything differs. What became due is done in both as at a start.
    """
    settings = cluster_settings(given)
    configure_logging(settings)
    if not settings.data.is_dir():
        raise Failed(f"there is no data folder {settings.data}")
    with plain_errors():
        found, compared = asyncio.run(_compare(settings))
    for sentence in found[:_MOST_SHOWN]:
        click.echo(sentence)
    if found:
        raise Failed(f"{len(found)} differences" if len(found) > 1 else "one difference")
    click.echo(f"no difference: {compared} lines, totals and rows were compared")


async def _compare(settings: Settings) -> tuple[list[str], int]:
    compared = 0
    with progress("compared") as told:

        def count(number: int) -> None:
            nonlocal compared
            compared += number
            told(compared, compared)

        return [sentence async for sentence in differences(settings.data, settings, count)], compared
