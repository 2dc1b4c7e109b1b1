"""The options by which commands reach a running server, and the way there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from palmares.cli.client import Client, Refused, ServerUnreachable
from palmares.cli.options import Failed

Function = TypeVar("Function", bound=Callable[..., Any])
# A person waits.
TRIES = 2


def connection_options(function: Function) -> Function:
    """Give a command the options that `connected` needs, as `url`, `key` and `tenant`."""
    for decorate in (
        click.option("--tenant", help="The customer's own id of the tenant, where the environment has tenants."),
        click.option(
            "--key", envvar="PALMARES_ADMIN_KEY", required=True, help="An admin key of the server.", show_envvar=True
        ),
        click.option(
            "--url",
            envvar="PALMARES_URL",
            default="http://127.0.0.1:8787",
            help="The address of the server.",
            show_default=True,
            show_envvar=True,
        ),
    ):
        function = decorate(function)
    return function


@contextmanager
def connected(url: str, key: str, tenant: str | None) -> Iterator[Client]:
    """A client of the server. What goes wrong becomes a line on standard error and exit code 1, or 2 for a bad URL."""
    try:
        client = Client(url, key, headers={} if tenant is None else {"Tenant-ID": tenant})
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    try:
        yield client
    except (Refused, ServerUnreachable) as error:
        raise Failed(str(error)) from None
    finally:
        client.close()
