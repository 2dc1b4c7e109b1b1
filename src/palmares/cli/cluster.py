"""Where the cluster is that a command is about, and how far it has come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from palmares.cli.options import settings_from
from palmares.config import Settings

CLUSTER_OPTIONS = ("database_url", "valkey_url", "valkey_shards", "valkey_name")


def cluster_settings(given: dict[str, str | None]) -> Settings:
    """The settings, which must name Valkey and the database."""
    settings = settings_from(given)
    if settings.valkey_url is None or settings.database_url is None:
        raise click.UsageError("this is about a cluster: give the addresses of Valkey and of the database")
    return settings


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error that moves when it is told how many lines are done, and how many there are."""
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
