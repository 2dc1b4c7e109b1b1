"""`palmares serve`: the server, until it is told to stop."""

from __future__ import annotations

import shlex

import click

from palmares.cli.options import plain_errors, setting_options, settings_from
from palmares.domain.local_time import format_instant
from palmares.server import Server
from palmares.web import serve


@click.command("serve")
@setting_options()
def serve_command(**given: str | None) -> None:
    """Serve a data folder over HTTP, or Valkey and PostgreSQL by any number of workers.

    The first start makes the folder, an environment and an admin key, and prints the key: it is shown once. Ctrl-C or
    SIGTERM stops the server after everything that was accepted is on disk.

    With --valkey-url and --database-url there is no folder. All workers are equal, here and on other machines; of
    those that --workers starts, one that dies is started again.
    """
    settings = settings_from(given)
    with plain_errors():
        serve(settings, greet)


def greet(server: Server, address: str) -> None:
    """Say where the server listens, what an answer promises, where a test clock stands, and how to begin with an admin
    key that was just made."""
    click.echo(f"Palmares serves {address}")
    if server.promise is not None:
        click.echo(f"Durability: {server.promise}")
    if server.clock_mover is not None:
        click.echo(f"The test clock stands at {format_instant(server.clock_mover.now)}")
    if server.first_key is not None:
        click.echo(f"Admin key: {server.first_key}")
        click.echo("It is shown only now; `palmares keys` makes more.")
        click.echo("\n".join(["", "Try it:", *first_calls(address, server.first_key, server.multi_tenancy)]))


def first_calls(address: str, key: str, multi_tenancy: bool) -> list[str]:
    """Calls to paste into a shell: define a metric, send an event; before that, make the tenant that they are for."""
    calls = [
        _post(f"{address}/admin/v1/metrics", key, '[{"name": "Laps swum", "key": "laps-swum"}]'),
        _post(f"{address}/v1/metrics/laps-swum/event", key, '{"user": {"id": "swim-7"}, "value": 12}'),
    ]
    if not multi_tenancy:
        return calls
    tenant = _post(f"{address}/admin/v1/tenants", key, '[{"name": "Pool 9", "customerId": "pool-9"}]')
    return [tenant, *(f"{call} -H 'Tenant-ID: pool-9'" for call in calls)]


def get_call(url: str, key: str) -> str:
    """A reading call to paste into a shell."""
    return f"curl -H {shlex.quote(f'X-API-KEY: {key}')} {shlex.quote(url)}"


def _post(url: str, key: str, body: str) -> str:
    return f"{get_call(url, key)} -H 'Content-Type: application/json' -d {shlex.quote(body)}"
