"""`palmares rebuild`: what Valkey has lost, from what the database keeps."""

from __future__ import annotations

import asyncio

import click

from palmares.cli.cluster import CLUSTER_OPTIONS, cluster_settings, progress
from palmares.cli.options import plain_errors, setting_options
from palmares.logs import configure_logging
from palmares.moving import rebuild_cluster


@click.command("rebuild")
@setting_options(*CLUSTER_OPTIONS, "log_level", "log_format")
@click.option(
    "--lines-left",
    type=click.IntRange(0),
    help="Let Valkey go without the older lines of the log, but for so many of each shard; without it, all are there.",
)
def rebuild_command(lines_left: int | None, **given: str | None) -> None:
    """Fill Valkey again after it lost its data, from the log that is kept in the database.

    All workers must be stopped. Valkey must be empty, or a rebuild that was interrupted must have begun to fill it;
    shards that lost nothing stay as they are.
    """
    settings = cluster_settings(given)
    configure_logging(settings)
    with plain_errors(), progress("lines recorded") as told:
        count = asyncio.run(rebuild_cluster(settings, told, lines_left))
    click.echo(f"{count} lines were recorded once more" if count else "nothing was missing")
