"""`palmares webhooks` on a data folder: what it makes, what it shows, and what it sends."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import click
import pytest
from click.testing import CliRunner, Result

from palmares.cli import main
from palmares.cli.folder import Folder
from palmares.databases import open_catalog
from palmares.domain.webhook import EVENT_TYPES
from palmares.service.bulk import Item
from palmares.service.define_tenants import create_tenants
from palmares.service.environments import create_environment, find_environment
from tests.plain_receiver import PlainReceiver, plain_receiver

URL = "https://example.org/hook"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder that no server has opened yet."""

    async def make() -> None:
        await (await open_catalog(tmp_path)).close()

    asyncio.run(make())
    return tmp_path


def run(data: Path, *arguments: str, **variables: str) -> Result:
    kept = {"PALMARES_WEBHOOKS_ALLOW_PRIVATE": "", **variables}
    return CliRunner().invoke(main, ["webhooks", *arguments, "--data", str(data)], env=kept)


def done(data: Path, *arguments: str, **variables: str) -> str:
    result = run(data, *arguments, **variables)
    assert result.exit_code == 0, result.output
    return result.stdout


def listed(data: Path) -> Any:
    return json.loads(done(data, "list", "--json"))


def create(data: Path, *arguments: str, **variables: str) -> tuple[str, str]:
    """Make a webhook; its id and its secret."""
    printed = done(data, "create", *arguments, **variables)
    match = re.fullmatch(r"id      (\S+)\nsecret  (\S+)\n", printed)
    assert match is not None, printed
    return match[1], match[2]


def test_a_webhook_is_made_with_all_types_and_a_secret_that_is_shown_once(data: Path) -> None:
    """Unless said otherwise."""
    made, secret = create(data, URL, "--name", "shop")
    [webhook] = listed(data)

    assert secret.startswith("whs_")
    assert (webhook["id"], webhook["name"], webhook["url"], webhook["status"]) == (made, "shop", URL, "active")
    assert webhook["events"] == list(EVENT_TYPES)
    assert secret not in done(data, "list") + done(data, "list", "--json")


def test_types_and_secret_may_be_given(data: Path) -> None:
    """As often as needed."""
    options = ["--event", "leaderboard.finished", "--event", "leaderboard.started", "--secret", "whs_7Qm2"]
    _, secret = create(data, URL, *options)

    assert secret == "whs_7Qm2"
    assert listed(data)[0]["events"] == ["leaderboard.finished", "leaderboard.started"]


def test_a_table_shows_the_webhooks(data: Path) -> None:
    """With what tells them apart."""
    create(data, URL, "--name", "shop", "--event", "leaderboard.finished")
    table = " ".join(done(data, "list").split())

    assert "name status created events" in table
    assert "shop active" in table


def test_a_webhook_is_paused_resumed_and_deleted_by_name_or_id(data: Path) -> None:
    """Each says what it did."""
    made, _ = create(data, URL, "--name", "shop")

    assert done(data, "pause", "shop") == "shop is paused\n"
    assert listed(data)[0]["status"] == "paused"
    assert done(data, "resume", made) == "shop is active\n"
    assert listed(data)[0]["status"] == "active"
    assert done(data, "delete", "shop") == "shop is deleted\n"
    assert listed(data) == []


@pytest.mark.parametrize("command", ["pause", "resume", "delete", "test", "deliveries"])
def test_a_webhook_that_is_not_there_or_not_the_only_one_is_told_in_a_line(data: Path, command: str) -> None:
    """Nothing is done to either of two."""
    assert "there is no webhook with the id or name 'shop'" in failed(data, command, "shop")
    create(data, URL, "--name", "shop")
    create(data, URL, "--name", "shop")

    assert "several webhooks are called 'shop'" in failed(data, command, "shop")
    assert [webhook["status"] for webhook in listed(data)] == ["active", "active"]


def test_what_cannot_be_a_webhook_is_told_in_a_line(data: Path) -> None:
    """Private addresses need the setting."""
    assert "url: " in failed(data, "create", "nonsense")
    assert "webhooks_allow_private" in failed(data, "create", "http://127.0.0.1/")
    create(data, "http://127.0.0.1/", PALMARES_WEBHOOKS_ALLOW_PRIVATE="true")
    create(data, "http://127.0.0.1/", "--webhooks-allow-private", "true")


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """It is misspelt, most likely."""
    assert "there is no data folder" in failed(tmp_path / "nowhere", "list")
    assert not (tmp_path / "nowhere").exists()


@pytest.fixture
def receiver() -> Iterator[PlainReceiver]:
    with plain_receiver() as receiver:
        yield receiver


def test_a_sample_is_sent_and_its_answer_shown(data: Path, receiver: PlainReceiver) -> None:
    """Signed, of the type that is asked for, and noted in the log."""
    url = receiver.url
    allowed = {"PALMARES_WEBHOOKS_ALLOW_PRIVATE": "true"}
    _, secret = create(data, url, "--name", "shop", "--event", "leaderboard.finished", **allowed)

    assert done(data, "test", "shop", **allowed) == f"{url} answered 200\n"
    assert done(data, "test", "shop", "--type", "leaderboard.rank_changed", **allowed) == f"{url} answered 200\n"
    assert [received.json["type"] for received in receiver.received] == [
        "leaderboard.finished",
        "leaderboard.rank_changed",
    ]
    assert all(received.is_signed_with(secret) for received in receiver.received)
    lines = json.loads(done(data, "deliveries", "--json"))
    assert [(line["type"], line["status"], line["responseCode"]) for line in lines] == [
        ("leaderboard.rank_changed", "delivered", 200),
        ("leaderboard.finished", "delivered", 200),
    ]


def test_a_sample_that_fails_is_told_in_a_line(data: Path, receiver: PlainReceiver) -> None:
    """With what was answered, or why there was no answer."""
    url = receiver.url
    receiver.status = 503
    create(data, url, "--name", "shop", PALMARES_WEBHOOKS_ALLOW_PRIVATE="true")

    assert f"{url}: answered 503" in failed(data, "test", "shop", PALMARES_WEBHOOKS_ALLOW_PRIVATE="true")
    assert "private" in failed(data, "test", "shop")
    assert len(receiver.received) == 1


def test_the_log_is_shown_newest_first_and_by_what_is_wanted(data: Path, receiver: PlainReceiver) -> None:
    """As a table for people."""
    url = receiver.url
    allowed = {"PALMARES_WEBHOOKS_ALLOW_PRIVATE": "true"}
    create(data, url, "--name", "shop", **allowed)
    create(data, url, "--name", "chat", **allowed)
    done(data, "test", "shop", "--type", "leaderboard.started", **allowed)
    receiver.status = 404
    failed(data, "test", "chat", "--type", "leaderboard.changed", **allowed)

    def shown(*arguments: str) -> list[str]:
        return [line.split()[3] for line in done(data, "deliveries", *arguments).splitlines()[1:]]

    assert shown() == ["chat", "shop"]
    assert shown("--limit", "1") == ["chat"]
    assert shown("shop") == ["shop"]
    assert shown("--status", "failed") == ["chat"]
    assert shown("--type", "leaderboard.started") == ["shop"]
    assert "answered 404" in done(data, "deliveries")


def test_each_environment_and_tenant_has_webhooks_of_its_own(data: Path) -> None:
    """None is found from another; where there are tenants, one has to be named."""

    async def make() -> None:
        catalog = await open_catalog(data)
        context = Folder(catalog)
        await create_environment(context, "staging", "Staging", None, multi_tenancy=True)
        scope = find_environment(context, "staging").scope
        await create_tenants(cast(Any, context), scope, [Item(0, None, {"customer_id": "acme", "name": "Acme"})])
        await catalog.close()

    asyncio.run(make())
    create(data, URL, "--name", "live")
    acme = ["--environment", "staging", "--tenant", "acme"]
    create(data, URL, "--name", "shop", *acme)

    assert [one["name"] for one in listed(data)] == ["live"]
    assert [one["name"] for one in json.loads(done(data, "list", "--json", *acme))] == ["shop"]
    assert "there is no webhook" in failed(data, "pause", "shop")
    assert done(data, "pause", "shop", *acme) == "shop is paused\n"
    assert json.loads(done(data, "deliveries", "--json", *acme)) == []
    assert "name one with --tenant" in failed(data, "list", "--environment", "staging")
    assert "has no tenant 'globex'" in failed(data, "list", "--environment", "staging", "--tenant", "globex")
    assert "there is no environment 'test'" in failed(data, "list", "--environment", "test")
    assert done(data, "delete", "shop", *acme) == "shop is deleted\n"


def test_commands_say_what_they_do() -> None:
    """Each in a sentence."""
    group = main.get_command(click.Context(main), "webhooks")
    assert isinstance(group, click.Group)

    assert set(group.commands) == {"create", "list", "pause", "resume", "delete", "deliveries", "test"}
    assert all(command.help for command in group.commands.values())


def failed(data: Path, *arguments: str, **variables: str) -> str:
    """The line that a command which cannot be done writes."""
    result = run(data, *arguments, **variables)
    assert result.exit_code == 1, result.output
    return " ".join(result.stderr.split())
