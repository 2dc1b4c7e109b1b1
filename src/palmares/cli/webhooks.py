"""`palmares webhooks`: the webhooks of a data folder, and what was delivered to them; a server may run on it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import click
import msgspec
from rich.console import Console
from rich.table import Table

from palmares.api.admin_webhooks import admin_webhook, delivery_answer
from palmares.api.webhook_json import sample
from palmares.catalog.contract import DEFAULT_SCOPE, Catalog
from palmares.cli.folder import PLACE_OPTIONS, require_folder
from palmares.cli.options import Failed, plain_errors, setting_options, settings_from
from palmares.databases import open_catalog, open_outbox
from palmares.domain.errors import NotFound
from palmares.domain.local_time import format_instant
from palmares.domain.webhook import EVENT_TYPES, DeliveryStatus, EventType, Webhook
from palmares.machine import new_id, new_secret, system_clock
from palmares.outbox.contract import Attempt, Delivery, Outbox, Wanted
from palmares.outbox.http import HttpSender
from palmares.service import webhooks as actions
from palmares.service.bulk import Bulk, Item
from palmares.service.deliver import send_sample
from palmares.service.environments import find_environment

Result = TypeVar("Result")
Function = TypeVar("Function", bound=Callable[..., Any])

NAMED = click.argument("webhook")
TYPE = click.Choice(EVENT_TYPES)


@dataclass(frozen=True, slots=True)
class Folder:
    """What the actions need, without a ledger: a running server holds that."""

    catalog: Catalog
    outbox: Outbox
    scope: int
    allow_private_webhooks: bool
    clock: Callable[[], int] = system_clock
    new_id: Callable[[], str] = new_id
    new_secret: Callable[[int], str] = new_secret

    async def take_note(self) -> None:
        """A running server takes note by itself."""


def place_options(function: Function) -> Function:
    """Give a command the options that tell whose webhooks it is about and where they are kept, for `_run`."""
    for decorate in (
        click.option("--tenant", help="The customer's own id of the tenant whose webhooks they are."),
        click.option("--environment", default="production", show_default=True, help="The key of the environment."),
        setting_options(*PLACE_OPTIONS),
    ):
        function = decorate(function)
    return function


def _run(action: Callable[[Folder], Awaitable[Result]], given: Mapping[str, str | None]) -> Result:
    """Run an action on a data folder, or a database, for the place and with the settings given."""
    environment, tenant = given["environment"] or "production", given["tenant"]
    settings = settings_from({name: text for name, text in given.items() if name not in ("environment", "tenant")})
    require_folder(settings)

    async def run() -> Result:
        catalog = await open_catalog(settings.data, database_url=settings.database_url)
        try:
            outbox = await open_outbox(settings.data, settings.database_url)
            try:
                folder = Folder(catalog, outbox, DEFAULT_SCOPE, settings.webhooks_allow_private)
                return await action(replace(folder, scope=_scope(folder, environment, tenant)))
            finally:
                await outbox.close()
        finally:
            await catalog.close()

    with plain_errors():
        return asyncio.run(run())


def _scope(folder: Folder, environment: str, tenant: str | None) -> int:
    """The scope of an environment, or of a tenant of it; `NotFound` and `Failed` say what is missing."""
    found = find_environment(folder, environment)
    if tenant is None:
        if found.multi_tenancy:
            raise Failed(f"the environment {environment!r} has tenants; name one with --tenant")
        return found.scope
    known = folder.catalog.tenants(found.id).by_customer_id.get(tenant)
    if known is None:
        raise NotFound(f"the environment {environment!r} has no tenant {tenant!r}")
    return known.scope


@click.group()
def webhooks() -> None:
    """Create, list, pause, resume, delete and test webhooks, and show what was delivered.

    A running server takes up the change within a second. A webhook is told by its id, or by its name if no other has
    it. Each environment, and each tenant where an environment has tenants, has webhooks of its own.
    """


@webhooks.command()
@click.argument("url")
@click.option("--name", default="webhook", show_default=True, help="What it is for.")
@click.option("--event", "events", type=TYPE, multiple=True, help="A type of event to hear of; without any, all.")
@click.option("--secret", help="What signs; without it, one is made.")
@setting_options("webhooks_allow_private")
@place_options
def create(url: str, name: str, events: Sequence[str], secret: str | None, **given: str | None) -> None:
    """Make a webhook and print its id and its secret, which is shown only now."""
    fields: dict[str, Any] = {"name": name, "url": url, "events": [*events] or [*EVENT_TYPES]}
    item = Item(0, None, fields | ({} if secret is None else {"secret": secret}))

    async def created(folder: Folder) -> Webhook:
        return _only(await actions.create_webhooks(folder, folder.scope, [item]))

    made = _run(created, given)
    click.echo(f"id      {made.id}\nsecret  {made.secret}")


@webhooks.command("list")
@place_options
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")
def list_command(as_json: bool, **given: str | None) -> None:
    """Show all webhooks, oldest first, without their secrets."""

    async def listed(folder: Folder) -> Sequence[Webhook]:
        return _all(folder)

    found = _run(listed, given)
    if as_json:
        _print_json([admin_webhook(webhook) for webhook in found])
    else:
        _print(_table_of_webhooks(found))


@webhooks.command()
@NAMED
@place_options
def pause(webhook: str, **given: str | None) -> None:
    """Tell a webhook nothing of what happens until it is resumed."""
    click.echo(f"{_change(webhook, 'paused', given).name} is paused")


@webhooks.command()
@NAMED
@place_options
def resume(webhook: str, **given: str | None) -> None:
    """Tell a paused webhook what happens from now on, and what already waited for it."""
    click.echo(f"{_change(webhook, 'active', given).name} is active")


@webhooks.command()
@NAMED
@place_options
def delete(webhook: str, **given: str | None) -> None:
    """Remove a webhook for good."""

    async def deleted(folder: Folder) -> Webhook:
        found = _find(folder, webhook)
        return _only(await actions.delete_webhooks(folder, folder.scope, [found.id]))

    click.echo(f"{_run(deleted, given).name} is deleted")


@webhooks.command()
@click.argument("webhook", required=False)
@click.option("--status", type=click.Choice(["pending", "delivered", "failed"]), help="Only those with this status.")
@click.option("--type", "event", type=TYPE, help="Only those of this type.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="Most lines to show.")
@place_options
@click.option("--json", "as_json", is_flag=True, help="JSON, bodies included, instead of a table.")
def deliveries(
    webhook: str | None,
    status: DeliveryStatus | None,
    event: EventType | None,
    limit: int,
    as_json: bool,
    **given: str | None,
) -> None:
    """Show what was delivered to a webhook or to all, newest first."""

    async def found(folder: Folder) -> tuple[dict[str, str], list[Delivery]]:
        chosen = None if webhook is None else _find(folder, webhook).id
        lines = Wanted(folder.scope, limit, newest_first=True, webhook=chosen, status=status, event=event)
        names = {one.id: one.name for one in _all(folder)}
        return names, await folder.outbox.deliveries(lines)

    names, lines = _run(found, given)
    if as_json:
        _print_json([delivery_answer(line) for line in lines])
    else:
        _print(_table_of_deliveries(lines, names))


@webhooks.command()
@NAMED
@click.option("--type", "event", type=TYPE, help="The type of event; without it, the first that the webhook hears of.")
@setting_options("webhooks_allow_private")
@place_options
def test(webhook: str, event: EventType | None, **given: str | None) -> None:
    """Send a sample to a webhook, once, and say what it answers."""

    async def sent(folder: Folder) -> tuple[Webhook, Attempt]:
        found, sender = _find(folder, webhook), HttpSender(folder.allow_private_webhooks)
        try:
            return found, await _send(folder, sender, found, event or found.events[0])
        finally:
            await sender.close()

    found, attempt = _run(sent, given)
    if attempt.status != "delivered":
        raise Failed(f"{found.url}: {attempt.problem}")
    click.echo(f"{found.url} answered {attempt.code}")


async def _send(folder: Folder, sender: HttpSender, webhook: Webhook, event: EventType) -> Attempt:
    now = folder.clock()
    delivery = f"evt_{folder.new_id().replace('-', '')}"
    return await send_sample(folder.outbox, sender, webhook, event, sample(event, now), delivery, now)


def _change(name: str, status: str, given: Mapping[str, str | None]) -> Webhook:
    async def changed(folder: Folder) -> Webhook:
        item = Item(0, _find(folder, name).id, {"status": status})
        return _only(await actions.update_webhooks(folder, folder.scope, [item]))

    return _run(changed, given)


def _only(done: Bulk[Webhook]) -> Webhook:
    """The only webhook of an action on one; what keeps it from being is told like any other error."""
    if not done.things:
        raise Failed(done.issues[0].message)
    return done.things[0]


def _all(folder: Folder) -> Sequence[Webhook]:
    return folder.catalog.definitions(folder.scope).webhooks


def _find(folder: Folder, name: str) -> Webhook:
    found = [webhook for webhook in _all(folder) if name.lower() == webhook.id]
    found = found or [webhook for webhook in _all(folder) if name == webhook.name]
    if not found:
        raise NotFound(f"there is no webhook with the id or name {name!r}")
    if len(found) > 1:
        raise Failed(f"several webhooks are called {name!r}; name one by its id")
    return found[0]


def _print(table: Table) -> None:
    Console(highlight=False).print(table)


def _print_json(lines: Sequence[msgspec.Struct]) -> None:
    click.echo(json.dumps(json.loads(msgspec.json.encode(lines)), indent=2, ensure_ascii=False))


def _table_of_webhooks(found: Sequence[Webhook]) -> Table:
    table = Table("id", "name", "status", "created", "events", "url", box=None, header_style="bold")
    for webhook in found:
        events = ", ".join(event.removeprefix("leaderboard.") for event in webhook.events)
        table.add_row(webhook.id, webhook.name, webhook.status, _minute(webhook.created), events, webhook.url)
    return table


def _table_of_deliveries(lines: Sequence[Delivery], names: dict[str, str]) -> Table:
    table = Table("created", "type", "webhook", "status", "attempts", "result", box=None, header_style="bold")
    for line in lines:
        result = line.problem or ("" if line.code is None else str(line.code))
        name = names.get(line.webhook, line.webhook)
        table.add_row(_minute(line.created), line.event, name, line.status, str(line.attempts), result)
    return table


def _minute(instant: int) -> str:
    """`2026-03-04 09:15` in UTC."""
    return format_instant(instant)[:16].replace("T", " ")
