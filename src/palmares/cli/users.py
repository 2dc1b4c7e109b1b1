"""`palmares users`: what administrators do to users of a running server."""

from __future__ import annotations

from urllib.parse import quote

import click
import msgspec

from palmares.api.admin_totals import TotalAnswer
from palmares.cli.connection import TRIES, connected, connection_options
from palmares.cli.options import plain_errors
from palmares.domain.value import exact, parse


@click.group()
def users() -> None:
    """Correct what is known of users of a running server."""


@users.command("set-total", context_settings={"ignore_unknown_options": True})
@click.argument("user")
@click.argument("metric")
@click.argument("total")
@click.option("--idempotency-key", help="Sent again with the same key, it happens once.")
@connection_options
def set_total(
    user: str, metric: str, total: str, idempotency_key: str | None, url: str, key: str, tenant: str | None
) -> None:
    """Set a user's total of a metric, by an event of what is missing to it."""
    with plain_errors():
        number = exact(parse(total, "total"))
    path = f"/admin/v1/users/{quote(user, safe='')}/metrics/{quote(metric, safe='')}"
    headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
    with connected(url, key, tenant) as client:
        body = {"total": msgspec.Raw(str(number).encode())}
        done = client.fetch(TotalAnswer, "PUT", path, body, tries=TRIES, headers=headers)
    event = "no event was needed" if done.event_id is None else f"event {done.event_id}"
    click.echo(f"{done.key} of {user} is {done.current} ({event})")
