"""`palmares migrate`: an installation from a data folder into a cluster, or back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from palmares.cli.cluster import cluster_settings, progress
from palmares.cli.options import Failed, plain_errors, setting_options
from palmares.logs import configure_logging
from palmares.moving import move_to_cluster, move_to_folder


@click.command("migrate")
@click.option("--from", "source", metavar="FOLDER", help="The data folder to take over into a cluster.")
@click.option("--to", "target", metavar="FOLDER", help="The new data folder to take a cluster over into.")
@click.option("--to-valkey", metavar="URL", help="With --from, the address of an empty Valkey.")
@click.option("--to-database", metavar="URL", help="With --from, the address of an empty PostgreSQL database.")
@click.option("--from-valkey", metavar="URL", help="With --to, the address of Valkey.")
@click.option("--from-database", metavar="URL", help="With --to, the address of the PostgreSQL database.")
@setting_options("valkey_shards", "valkey_name", "log_level", "log_format")
def migrate_command(
    source: str | None,
    target: str | None,
    to_valkey: str | None,
    to_database: str | None,
    from_valkey: str | None,
    from_database: str | None,
    **given: str | None,
) -> None:
    """Move an installation from a data folder into a cluster, or from a cluster into a data folder.

    What serves must be stopped, and the target must be empty. The source stays as it is. A move that was interrupted
    is begun again with an empty target. `palmares verify` compares the two afterwards.

    A new cluster has as many shards as `--valkey-shards` says, for good. A folder that was put together from several
    shards cannot be moved into a cluster again.
    """
    if (source is None) == (target is None):
        raise click.UsageError(
            "give either --from FOLDER, --to-valkey and --to-database, or --to FOLDER and the others"
        )
    valkey, database = (to_valkey, to_database) if target is None else (from_valkey, from_database)
    settings = cluster_settings({**given, "valkey_url": valkey, "database_url": database})
    configure_logging(settings)
    with plain_errors(), progress("lines moved") as told:
        if source is not None:
            if not Path(source).is_dir():
                raise Failed(f"there is no data folder {source}")
            asyncio.run(move_to_cluster(Path(source), settings, told))
        else:
            asyncio.run(move_to_folder(settings, Path(target or ""), told))
    click.echo("everything was moved; `palmares verify` compares it with what was before")
