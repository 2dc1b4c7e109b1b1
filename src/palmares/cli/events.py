"""`palmares events`: the events of a running server, looked for and taken back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any
from urllib.parse import quote, urlencode

import click
import msgspec
from rich.console import Console
from rich.table import Table

from palmares.api.admin_events import AdminEvent, AdminEvents
from palmares.api.wire import ENCODER
from palmares.api.wire_admin import Deleted
from palmares.cli.client import Client
from palmares.cli.connection import TRIES, connected, connection_options

_PATH = "/admin/v1/events"
_MOST_OF_A_PAGE = 100
_MOST_OF_A_REQUEST = 100


@click.group()
def events() -> None:
    """List, show and void the events of a running server."""


@events.command("list")
@click.option("--user", help="Only those of the user with this id.")
@click.option("--metric", help="Only those of the metric with this key.")
@click.option("--from", "first", help="Only those recorded then or later, such as 2026-03-04T09:00:00Z.")
@click.option("--to", "past", help="Only those recorded earlier.")
@click.option("--idempotency-key", help="Only those with this key.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="Most events to show.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")
@connection_options
def list_command(
    user: str | None,
    metric: str | None,
    first: str | None,
    past: str | None,
    idempotency_key: str | None,
    limit: int,
    as_json: bool,
    url: str,
    key: str,
    tenant: str | None,
) -> None:
    """Show the newest events, the newest first."""
    wanted = {"userId": user, "metricKey": metric, "from": first, "to": past, "idempotencyKey": idempotency_key}
    given = {name: text for name, text in wanted.items() if text is not None}
    with connected(url, key, tenant) as client:
        found = [*islice(_found(client, given, min(limit, _MOST_OF_A_PAGE)), limit)]
    if as_json:
        _print_json(found)
    else:
        _print(_table(found))


@events.command()
@click.argument("event")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of lines.")
@connection_options
def show(event: str, as_json: bool, url: str, key: str, tenant: str | None) -> None:
    """Show everything that is known of the event with this id."""
    with connected(url, key, tenant) as client:
        found = client.fetch(AdminEvent, "GET", f"{_PATH}/{quote(event, safe='')}", tries=TRIES)
    if as_json:
        _print_json(found)
    else:
        _print(_lines(found))


@events.command()
@click.argument("event", nargs=-1, required=True)
@click.option("--reason", help="Why; it is shown with the events.")
@connection_options
def void(event: Sequence[str], reason: str | None, url: str, key: str, tenant: str | None) -> None:
    """Take back the events with these ids, as if they had not been.

    What was void already stays so. Runs that are final change only where the leaderboard revises. Exit code 1 when an
    event is not there.
    """
    failed = False
    with connected(url, key, tenant) as client:
        for start in range(0, len(event), _MOST_OF_A_REQUEST):
            done = _void(client, event[start : start + _MOST_OF_A_REQUEST], reason)
            for item in done.deleted:
                click.echo(f"{item.id} is void")
            for issue in done.issues:
                click.echo(f"{issue.id}: {issue.message}", err=True)
                failed = failed or issue.severity == "error"
    if failed:
        raise SystemExit(1)


def _void(client: Client, ids: Sequence[str], reason: str | None) -> Deleted:
    query = [("ids", one) for one in ids] + ([] if reason is None else [("reason", reason)])
    # It may arrive twice: what is void stays so.
    return client.fetch(Deleted, "DELETE", f"{_PATH}?{urlencode(query)}", tries=TRIES)


def _found(client: Client, wanted: dict[str, str], limit: int) -> Iterator[AdminEvent]:
    """All events that fit, page after page."""
    query = wanted | {"limit": str(limit)}
    while True:
        page = client.fetch(AdminEvents, "GET", f"{_PATH}?{urlencode(query)}", tries=TRIES)
        yield from page.events
        if page.cursor is None:
            return
        query["cursor"] = page.cursor


def _print_json(found: Any) -> None:
    # Numbers as they came: a float would lose digits of them.
    text = ENCODER.encode(found)
    click.echo(msgspec.json.format(text, indent=2).decode())


def _print(table: Table) -> None:
    Console(highlight=False).print(table)


def _table(found: Sequence[AdminEvent]) -> Table:
    table = Table(box=None, header_style="bold")
    # An id that is cut names nothing.
    for name in ("id", "recorded"):
        table.add_column(name, no_wrap=True)
    for name in ("user", "metric", "value", "total", ""):
        table.add_column(name, overflow="fold")
    for one in found:
        state = "void" if one.voided is not None else "history" if one.history else ""
        table.add_row(
            one.id, one.recorded_at[:16].replace("T", " "), one.user_id, one.metric_key or "(deleted)",
            str(one.value), str(one.total), state,
        )  # fmt: skip
    return table


def _lines(one: AdminEvent) -> Table:
    table = Table(box=None, show_header=False)
    shown = json.loads(ENCODER.encode(one), parse_float=str)
    for name, found in shown.items():
        text = found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)
        table.add_row(name, text)
    return table
