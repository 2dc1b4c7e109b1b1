"""`palmares users`: what administrators do to users of a running server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import quote

import click
import msgspec
from msgspec import Struct

from palmares.api.admin_totals import TotalAnswer
from palmares.cli.client import Refused
from palmares.cli.connection import TRIES, connected, connection_options
from palmares.cli.options import Failed, plain_errors
from palmares.domain.value import exact, parse

_MOST_AT_ONCE = 100
_IDS = click.argument("ids", metavar="ID...", nargs=-1, required=True)


class _Named(Struct):
    id: str


class _Issue(Struct):
    message: str
    id: str | None = None


class _Updated(Struct):
    updated: list[_Named]
    issues: list[_Issue]


class _Erased(Struct):
    deleted: list[_Named]


@click.group()
def users() -> None:
    """Correct, hide and erase users of a running server."""


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


@users.command()
@_IDS
@connection_options
def hide(ids: Sequence[str], url: str, key: str, tenant: str | None) -> None:
    """Leave users out of all rankings, while they go on counting."""
    _set_hidden(ids, True, url, key, tenant)


@users.command()
@_IDS
@connection_options
def unhide(ids: Sequence[str], url: str, key: str, tenant: str | None) -> None:
    """Bring hidden users back into the rankings, with all they have earned."""
    _set_hidden(ids, False, url, key, tenant)


@users.command()
@_IDS
@connection_options
@click.option("--yes", is_flag=True, help="Do not ask whether that is meant.")
def erase(ids: Sequence[str], yes: bool, url: str, key: str, tenant: str | None) -> None:
    """Erase users for good, with all that is known of them.

    They are gone from everything that is live; in runs that are final, their rows stay without a name. The files hold
    nothing of them any more a little later, when the server has compacted them; `palmares compact` waits for that.
    """
    if not yes:
        click.confirm(f"Erase {len(ids)} users for good? This cannot be undone", abort=True)
    issues: list[_Issue] = []
    with connected(url, key, tenant) as client:
        for user_id in ids:
            try:
                client.fetch(_Erased, "DELETE", f"/admin/v1/users/{quote(user_id, safe='')}")
                click.echo(f"{user_id} is erased")
            except Refused as error:
                if error.status != 404:
                    raise
                issues.append(_Issue("there is no user with this id", user_id))
    _stop_at(issues)


def _set_hidden(ids: Sequence[str], hidden: bool, url: str, key: str, tenant: str | None) -> None:
    issues: list[_Issue] = []
    with connected(url, key, tenant) as client:
        for some in portions(ids):
            items = [{"id": user_id, "hidden": hidden} for user_id in some]
            answer = client.fetch(_Updated, "PATCH", "/admin/v1/users", items)
            for user in answer.updated:
                click.echo(f"{user.id} is {'hidden' if hidden else 'shown'}")
            issues += answer.issues
    _stop_at(issues)


def portions(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """The ids in lists of as many as one request takes."""
    return (ids[start : start + _MOST_AT_ONCE] for start in range(0, len(ids), _MOST_AT_ONCE))


def _stop_at(issues: Sequence[_Issue]) -> None:
    """Tell what could not be done, with exit code 1."""
    for issue in issues:
        click.echo(f"{issue.id}: {issue.message}", err=True)
    if issues:
        raise Failed(f"{len(issues)} of the users could not be changed")
