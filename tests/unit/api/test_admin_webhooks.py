"""Webhooks and the log of deliveries over the Admin API."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from palmares.domain.local_time import parse_instant
from palmares.domain.webhook import CHANGED, EVENT_TYPES, FINISHED
from palmares.outbox.contract import Attempt, Entry, Message, Recipient
from tests.admin_client import UNKNOWN, Admin, named, open_admin

pytestmark = pytest.mark.anyio

HOOK = {"name": "Shop", "url": "https://example.org/hook", "events": ["leaderboard.finished"]}
AT = parse_instant("2026-03-04T09:00:00Z", "at")


@pytest.fixture
async def admin(tmp_path: Path) -> AsyncIterator[Admin]:
    async with open_admin(tmp_path) as admin:
        await admin.desk.context.outbox.prepare()  # type: ignore[attr-defined]
        yield admin


async def test_a_webhook_is_answered_with_all_its_fields_and_once_with_its_secret(admin: Admin) -> None:
    """Whoever loses the secret has another one made."""
    [created] = await admin.create("/webhooks", {**HOOK, "secret": None, "status": None})
    secret = created.pop("secret")
    expected = {
        "id": created["id"], **HOOK, "status": "active", "created": "2026-03-04T10:00:00.000Z",
    }  # fmt: skip

    assert created == expected
    assert secret.startswith("whs_")
    assert await admin.call("GET", "/webhooks") == [expected]
    assert await admin.call("GET", f"/webhooks/{created['id']}") == expected
    updated = await admin.call("PATCH", "/webhooks", [{"id": created["id"], "name": "Store"}])
    assert updated == {"updated": [expected | {"name": "Store"}], "issues": []}


async def test_a_secret_may_be_given(admin: Admin) -> None:
    """One that somebody knows already."""
    [created] = await admin.create("/webhooks", {**HOOK, "secret": "whs_7Qm2"})

    assert created["secret"] == "whs_7Qm2"


async def test_a_secret_that_is_replaced_is_shown_and_one_that_is_given_is_not(admin: Admin) -> None:
    """Only who has it made needs to see it."""
    [one, other] = await admin.create("/webhooks", HOOK, HOOK)
    changes = [{"id": one["id"].upper(), "rotateSecret": True}, {"id": other["id"], "secret": "mine"}]
    answer = await admin.call("PATCH", "/webhooks", changes)

    assert ["secret" in webhook for webhook in answer["updated"]] == [True, False]
    assert answer["updated"][0]["secret"] != one["secret"]


async def test_webhooks_are_paused_resumed_and_deleted(admin: Admin) -> None:
    """Deleting takes ids in the query, as everywhere."""
    [created] = await admin.create("/webhooks", HOOK)
    for status in ("paused", "active"):
        answer = await admin.call("PATCH", "/webhooks", [{"id": created["id"], "status": status}])
        assert answer["updated"][0]["status"] == status
    deleted = await admin.call("DELETE", f"/webhooks?ids={created['id']},{UNKNOWN}")

    assert deleted["deleted"] == [{"id": created["id"]}]
    assert named(deleted["issues"]) == [(UNKNOWN, "id")]
    assert await admin.call("GET", "/webhooks") == []


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": None}, "name"),
        ({"url": "nonsense"}, "url"),
        ({"url": None}, "url"),
        ({"url": "https://user:pass@example.org"}, "url"),
        ({"url": "http://127.0.0.1/"}, "url"),
        ({"url": "http://169.254.169.254/"}, "url"),
        ({"url": "http://localhost:8787/admin/v1/metrics"}, "url"),
        ({"events": []}, "events"),
        ({"events": None}, "events"),
        ({"events": ["leaderboard.exploded"]}, "events[0]"),
        ({"events": "leaderboard.finished"}, "events"),
        ({"secret": ""}, "secret"),
        ({"secret": "a b"}, "secret"),
        ({"secret": 5}, "secret"),
        ({"status": "sleeping"}, "status"),
    ],
)
async def test_a_wrong_field_is_an_issue_that_names_it(admin: Admin, fields: dict[str, Any], field: str) -> None:
    """And nothing of the item is stored."""
    answer = await admin.call("POST", "/webhooks", [HOOK | fields], 200)

    assert named(answer["issues"]) == [(0, field)]
    assert await admin.call("GET", "/webhooks") == []


async def test_webhooks_are_listed_oldest_first_in_parts(admin: Admin) -> None:
    """As all definitions are."""
    await admin.create("/webhooks", *[{**HOOK, "name": str(number)} for number in range(12)])

    assert [one["name"] for one in await admin.call("GET", "/webhooks?skip=9")] == ["9", "10", "11"]


async def tell(admin: Admin, *lines: tuple[str, str, str]) -> None:
    """Write messages, each given its id, its webhook and its type; the first one was attempted."""
    messages = [
        Message(1, event, AT, b'{"type":"x"}', [Recipient(webhook, HOOK["url"], name)])  # type: ignore[arg-type]
        for name, webhook, event in lines
    ]
    name, webhook, _ = lines[0]
    due = AT + 61_000_000
    attempt = Attempt(name, webhook, HOOK["url"], AT + 1_000_000, 1, "pending", due, 500, "answered 500")  # type: ignore[arg-type]
    await admin.desk.context.outbox.write(Entry(messages=messages, attempts=[attempt]))


async def test_a_line_of_the_log_tells_all_that_is_known_of_a_delivery(admin: Admin) -> None:
    """The body is the very JSON that was sent."""
    [created] = await admin.create("/webhooks", HOOK)
    await tell(admin, ("evt_1", created["id"], FINISHED))

    assert await admin.call("GET", "/webhooks/deliveries") == [
        {
            "id": "evt_1", "webhookId": created["id"], "url": HOOK["url"], "type": "leaderboard.finished",
            "created": "2026-03-04T09:00:00.000Z", "status": "pending", "attempts": 1,
            "lastAttempt": "2026-03-04T09:00:01.000Z", "nextAttempt": "2026-03-04T09:01:01.000Z",
            "responseCode": 500, "problem": "answered 500", "body": {"type": "x"},
        }
    ]  # fmt: skip


async def test_the_log_is_read_in_parts_from_either_end_and_by_what_is_wanted(admin: Admin) -> None:
    """Oldest first, as all lists, unless said otherwise."""
    one, other = UNKNOWN, UNKNOWN.replace("ffff", "eeee")
    await tell(admin, ("evt_1", one, FINISHED), ("evt_2", other, CHANGED), ("evt_3", one, CHANGED))

    async def ids(query: str) -> list[str]:
        return [line["id"] for line in await admin.call("GET", f"/webhooks/deliveries?{query}")]

    assert await ids("") == ["evt_1", "evt_2", "evt_3"]
    assert await ids("order=newest&limit=2") == ["evt_3", "evt_2"]
    assert await ids("skip=1&limit=1") == ["evt_2"]
    assert await ids(f"webhookId={one.upper()}") == ["evt_1", "evt_3"]
    assert await ids("type=leaderboard.changed") == ["evt_2", "evt_3"]
    assert await ids("status=delivered") == []


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "skip=-1", "order=sideways", "type=leaderboard.x", "status=lost", "skip=x"]
)
async def test_a_wrong_parameter_refuses_the_request(admin: Admin, query: str) -> None:
    """With its name first."""
    message = await admin.refused("GET", f"/webhooks/deliveries?{query}")

    assert message.startswith(query.partition("=")[0])


async def test_the_types_of_events_are_those_of_the_document(admin: Admin) -> None:
    """Who reads it knows what to ask for."""
    document = json.dumps((await admin.call("GET", "/openapi"))["components"]["schemas"]["NewWebhook"])

    assert all(event in document for event in EVENT_TYPES)
