"""Looking for events and taking them back over the Admin API."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.admin_client import UNKNOWN, Admin, open_admin

pytestmark = pytest.mark.anyio

NOW = "2026-03-04T10:00:00.000Z"


@pytest.fixture
async def admin(tmp_path: Path) -> AsyncIterator[Admin]:
    async with open_admin(tmp_path, recording=True) as admin:
        await admin.create("/metrics", {"name": "Laps", "key": "laps"}, {"name": "Hours", "key": "hours"})
        await admin.create("/attributes", {"name": "Style", "key": "style", "type": "event"})
        yield admin


def event(user_id: str, value: Any, key: str = "laps", **given: Any) -> dict[str, Any]:
    return {"key": key, "user": {"id": user_id}, "value": value, **given}


async def send(admin: Admin, *events: dict[str, Any], query: str = "") -> None:
    await admin.call("POST", f"/metrics/events{query}", list(events), 202)


async def found(admin: Admin, query: str = "") -> list[dict[str, Any]]:
    answer = await admin.call("GET", f"/events{query}")
    events: list[dict[str, Any]] = answer["events"]
    return events


async def values(admin: Admin, query: str = "") -> list[Any]:
    return [one["value"] for one in await found(admin, query)]


async def test_an_event_is_shown_with_everything_that_is_known_of_it(admin: Admin) -> None:
    """In the list and by itself."""
    await send(admin, event("org/a", 2))
    given = {"attributes": {"style": "crawl"}, "idempotencyKey": "k", "timestamp": "2026-03-04T08:00:00Z"}
    await send(admin, event("org/a", 0.1, **given), query="?history=true")
    [shown, plain] = await found(admin)
    [metric, _] = await admin.call("GET", "/metrics")

    assert shown == {
        "id": shown["id"],
        "userId": "org/a",
        "metricId": metric["id"],
        "metricKey": "laps",
        "value": 0.1,
        "total": 2.1,
        "attributes": {"style": "crawl"},
        "idempotencyKey": "k",
        "occurredAt": "2026-03-04T08:00:00.000Z",
        "recordedAt": NOW,
        "history": True,
        "voided": None,
    }
    assert (plain["value"], plain["total"], plain["attributes"], plain["idempotencyKey"]) == (2, 2, {}, None)
    assert await admin.call("GET", f"/events/{shown['id']}") == shown
    assert await admin.call("GET", f"/events/{shown['id'].upper()}") == shown


async def test_an_event_of_a_metric_that_was_deleted_is_shown_without_it(admin: Admin) -> None:
    """It happened all the same."""
    await send(admin, event("ann", 2))
    [laps, _] = await admin.call("GET", "/metrics")
    await admin.call("DELETE", f"/metrics?ids={laps['id']}")
    [shown] = await found(admin)

    assert (shown["metricId"], shown["metricKey"], shown["value"]) == (None, None, 2)


async def test_events_are_found_by_user_metric_key_and_time(admin: Admin) -> None:
    """Newest first; times are those of recording, `from` is included and `to` is not."""
    await send(admin, event("ann", 1), event("bob", 2, idempotencyKey="k"), event("ann", 3, "hours"))
    early = "2026-03-04T09:59:59.999Z"

    assert await values(admin) == [3, 2, 1]
    assert await values(admin, "?userId=ann") == [3, 1]
    assert await values(admin, "?metricKey=laps") == [2, 1]
    assert await values(admin, "?userId=ann&metricKey=hours") == [3]
    assert await values(admin, "?idempotencyKey=k") == [2]
    assert await values(admin, f"?from={NOW}") == [3, 2, 1]
    assert await values(admin, f"?to={NOW}") == []
    assert await values(admin, f"?from={early}&to={NOW}") == []
    assert await values(admin, f"?from={NOW}&to={NOW}") == []


async def test_a_cursor_leads_to_the_next_page(admin: Admin) -> None:
    """Until there is none."""
    await send(admin, *(event("ann", number) for number in range(5)))
    pages, cursor = [], ""
    while True:
        answer = await admin.call("GET", f"/events?limit=2{cursor}")
        pages.append([one["value"] for one in answer["events"]])
        if answer["cursor"] is None:
            break
        cursor = f"&cursor={answer['cursor']}"

    assert pages == [[4, 3], [2, 1], [0]]


async def test_ten_events_are_shown_unless_more_are_asked_for(admin: Admin) -> None:
    """Up to a hundred."""
    await send(admin, *(event("ann", number) for number in range(120)))

    assert len(await found(admin)) == 10
    assert len(await found(admin, "?limit=100")) == 100


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("from=yesterday", "from"),
        ("from=2026-03-04", "from"),
        ("to=2026-03-04T10:00:00", "to"),
        ("from=2026-03-04T10:00:00Z&to=2026-03-04T09:00:00Z", "to"),
        ("cursor=0", "cursor"),
        ("cursor=abc", "cursor"),
        ("cursor=9999999999999999999", "cursor"),
        ("userId=", "userId"),
        (f"idempotencyKey={'k' * 256}", "idempotencyKey"),
    ],
)
async def test_a_question_that_is_none_is_refused(admin: Admin, query: str, field: str) -> None:
    """The message names the parameter."""
    assert (await admin.refused("GET", f"/events?{query}")).startswith(f"{field}: ")


async def test_an_unknown_user_or_metric_is_not_taken_for_one_without_events(admin: Admin) -> None:
    """It is misspelt, most likely."""
    assert "user 'zoe'" in await admin.refused("GET", "/events?userId=zoe", status=404)
    assert "metric 'lapz'" in await admin.refused("GET", "/events?metricKey=lapz", status=404)


async def test_an_event_that_is_not_there_is_not_found(admin: Admin) -> None:
    """And what is no id is refused."""
    assert UNKNOWN in await admin.refused("GET", f"/events/{UNKNOWN}", status=404)
    assert (await admin.refused("GET", "/events/first")).startswith("id: ")


# Taking back


async def test_events_are_taken_back_with_a_reason(admin: Admin) -> None:
    """As if they had not been, but for that they are shown so."""
    await send(admin, event("ann", 1), event("ann", 2), event("bob", 4))
    [of_bob, newer, older] = await found(admin)
    answer = await admin.call("DELETE", f"/events?ids={older['id'].upper()}&ids={of_bob['id']}&reason=a+robot")

    assert answer == {"deleted": [{"id": older["id"]}, {"id": of_bob["id"]}], "issues": []}
    voided = {"at": NOW, "reason": "a robot"}
    assert await found(admin) == [of_bob | {"voided": voided}, newer, older | {"voided": voided}]
    ann = await admin.desk.context.ledger.user(1, "ann")
    assert ann is not None
    [laps, _] = admin.desk.context.catalog.definitions(1).metrics
    assert await admin.desk.context.ledger.total(ann, laps) == 2_000_000


async def test_a_reason_may_be_left_out(admin: Admin) -> None:
    """Or be empty, which is the same."""
    await send(admin, event("ann", 1), event("ann", 2))
    [newer, older] = await found(admin)
    await admin.call("DELETE", f"/events?ids={older['id']}")
    await admin.call("DELETE", f"/events?ids={newer['id']}&reason=")

    assert [one["voided"] for one in await found(admin)] == [{"at": NOW, "reason": None}] * 2


async def test_a_request_to_take_back_may_be_sent_again(admin: Admin) -> None:
    """What was void already is among the deleted, with a warning."""
    await send(admin, event("ann", 1))
    [one] = await found(admin)
    await admin.call("DELETE", f"/events?ids={one['id']}&reason=first")
    answer = await admin.call("DELETE", f"/events?ids={one['id']}&reason=second")

    assert answer["deleted"] == [{"id": one["id"]}]
    [issue] = answer["issues"]
    assert (issue["severity"], issue["id"]) == ("warning", one["id"])
    assert (await found(admin))[0]["voided"]["reason"] == "first"


async def test_what_cannot_be_taken_back_is_an_issue(admin: Admin) -> None:
    """The others are taken back all the same; of an id that is there twice, once."""
    await send(admin, event("ann", 1))
    [one] = await found(admin)
    answer = await admin.call("DELETE", f"/events?ids=nonsense,{UNKNOWN},{one['id']},{one['id'].upper()}")

    assert answer["deleted"] == [{"id": one["id"]}]
    assert [(issue["severity"], issue["id"]) for issue in answer["issues"]] == [
        ("error", "nonsense"),
        ("error", UNKNOWN),
        ("error", one["id"].upper()),
    ]
    assert await admin.call("DELETE", f"/events?ids={UNKNOWN}") == {
        "deleted": [],
        "issues": [{"severity": "error", "message": "id: there is no event with this id", "id": UNKNOWN}],
    }


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "ids"),
        ("?ids=", "ids"),
        (f"?ids={','.join([UNKNOWN] * 101)}", "ids"),
        (f"?ids={UNKNOWN}&reason={'r' * 256}", "reason"),
        (f"?ids={UNKNOWN}&reason=%00", "reason"),
    ],
)
async def test_a_request_to_take_back_that_is_none_is_refused(admin: Admin, query: str, field: str) -> None:
    """No ids, too many, or a reason that is none."""
    assert (await admin.refused("DELETE", f"/events{query}")).startswith(f"{field}: ")


async def test_a_total_that_would_not_fit_keeps_all_events(admin: Admin) -> None:
    """Those of one request stand or fall together."""
    huge = 9_000_000_000_000
    await send(admin, event("ann", -huge), event("ann", huge), event("ann", huge), event("bob", 1))
    events = await found(admin)

    refusal = await admin.refused("DELETE", f"/events?ids={events[0]['id']},{events[3]['id']}")
    assert "total" in refusal
    assert await found(admin) == events
