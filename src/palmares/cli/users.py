"""`palmares users`: hide users of a running server from rankings, bring them back, erase them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import quote

import click
from msgspec import Struct

from palmares.cli.client import Client, Refused, ServerUnreachable
from palmares.cli.options import Failed

Function = TypeVar("Function", bound=Callable[..., Any])
_MOST_AT_ONCE = 100


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
    """Hide users of a running server from rankings, bring them back, erase them."""


def of_a_server(function: Function) -> Function:
    """The options of a command that speaks to a running server, and the ids of users."""
    for decorate in (
        click.option(
            "--key", envvar="PALMARES_ADMIN_KEY", required=True, help="An admin key of the server.", show_envvar=True
        ),
        click.option("--tenant", help="The customer's id of the tenant, where there are tenants."),
        click.option(
            "--url", envvar="PALMARES_URL", default="http://127.0.0.1:8787", help="The address of the server.",
            show_default=True, show_envvar=True,
        ),
        click.argument("ids", metavar="ID...", nargs=-1, required=True),
    ):  # fmt: skip
        function = decorate(function)
    return function


@users.command()
@of_a_server
def hide(ids: Sequence[str], **server: Any) -> None:
    """Leave users out of all rankings, while they go on counting."""
    _set_hidden(ids, True, server)


@users.command()
@of_a_server
def unhide(ids: Sequence[str], **server: Any) -> None:
    """Bring hidden users back into the rankings, with all they have earned."""
    _set_hidden(ids, False, server)


@users.command()
@of_a_server
@click.option("--yes", is_flag=True, help="Do not ask whether that is meant.")
def erase(ids: Sequence[str], yes: bool, **server: Any) -> None:
    """Erase users for good, with all that is known of them.

    They are gone from everything that is live; in runs that are final, their rows stay without a name. The files hold
    nothing of them any more a little later, when the server has compacted them; `palmares compact` waits for that.
    """
    if not yes:
        click.confirm(f"Erase {len(ids)} users for good? This cannot be undone", abort=True)
    issues: list[_Issue] = []
    with client_of(**server) as client:
        for user_id in ids:
            try:
                client.fetch(_Erased, "DELETE", f"/admin/v1/users/{quote(user_id, safe='')}")
                click.echo(f"{user_id} is erased")
            except Refused as error:
                if error.status != 404:
                    raise
                issues.append(_Issue("there is no user with this id", user_id))
    _stop_at(issues)


def _set_hidden(ids: Sequence[str], hidden: bool, server: dict[str, Any]) -> None:
    issues: list[_Issue] = []
    with client_of(**server) as client:
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


@contextmanager
def client_of(url: str, key: str, tenant: str | None) -> Iterator[Client]:
    """A client of the server; what goes wrong becomes one line and exit code 1."""
    try:
        client = Client(url, key, tenant=tenant)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    try:
        yield client
    except (Refused, ServerUnreachable) as error:
        raise Failed(str(error)) from None
    finally:
        client.close()


def _stop_at(issues: Sequence[_Issue]) -> None:
    """Tell what could not be done, with exit code 1."""
    for issue in issues:
        click.echo(f"{issue.id}: {issue.message}", err=True)
    if issues:
        raise Failed(f"{len(issues)} of the users could not be changed")
