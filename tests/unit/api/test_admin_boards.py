"""Leaderboards over the Admin API."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from palmares.service.activate import PATIENCE_SECONDS
from tests.admin_client import UNKNOWN, Admin, named, open_admin
from tests.definitions import refusing

pytestmark = pytest.mark.anyio

STREAK = {"name": "Streak", "key": "streak", "rankBy": "streak", "start": "2026-03-01"}
ADDED = {
    "aggregation": "sum", "order": "desc", "ties": "first", "numbering": "ordinal", "lateEvents": "ignore",
    "participants": "users",
}  # fmt: skip


@pytest.fixture
async def admin(tmp_path: Path) -> AsyncIterator[Admin]:
    """On 2026-03-04 at 10:00 UTC."""
    async with open_admin(tmp_path) as admin:
        yield admin


@pytest.fixture
async def metric(admin: Admin) -> str:
    return str((await admin.create("/metrics", {"name": "Laps", "key": "laps"}))[0]["id"])


@pytest.fixture
async def pool(admin: Admin) -> str:
    return str((await admin.create("/attributes", {"name": "Pool", "key": "pool", "type": "user"}))[0]["id"])


async def make(admin: Admin, **fields: Any) -> dict[str, Any]:
    return (await admin.create("/leaderboards", STREAK | fields))[0]


async def change(admin: Admin, board: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The board after a change that is fine."""
    answer = await admin.call("PATCH", "/leaderboards", [{"id": board["id"], **fields}])
    assert answer["issues"] == []
    return answer["updated"][0]


# The shape


async def test_what_is_required_is_always_there_and_what_is_unset_is_left_out(admin: Admin, metric: str) -> None:
    """Optional fields have no null in their schema; only the cap does."""
    [board] = await admin.create(
        "/leaderboards",
        {"name": "Laps", "key": "laps", "rankBy": "metric", "metricId": metric, "maxParticipants": None},
    )

    assert board == {
        "id": board["id"],
        "name": "Laps",
        "key": "laps",
        "status": "inactive",
        "rankBy": "metric",
        "metricId": metric,
        "maxParticipants": None,
        "start": "2026-03-04",
        "breakdownAttributes": [],
        "userAttributes": [],
        **ADDED,
    }


async def test_everything_that_is_given_is_answered(admin: Admin, metric: str, pool: str) -> None:
    """Attributes by their ids; times as they were given."""
    given = {
        "name": "Monthly Laps",
        "key": "monthly-laps",
        "description": "All laps",
        "status": "active",
        "rankBy": "metric",
        "metricId": metric,
        "maxParticipants": 100,
        "start": "2026-03-02",
        "end": "2026-12-31",
        "startTime": "08:00",
        "endTime": "20:00:30",
        "breakdownAttributes": [pool],
        "userAttributes": [{"attributeId": pool, "attributeValue": "east"}],
        "runUnit": "month",
        "runInterval": 1,
        "aggregation": "max",
        "order": "asc",
        "ties": "last",
        "numbering": "dense",
        "lateEvents": "revise",
        "participants": "users",
    }

    [board] = await admin.create("/leaderboards", given)

    assert board == {"id": board["id"], **given}
    assert await admin.call("GET", f"/leaderboards/{board['id']}") == board


async def test_the_contracts_example_is_answered_as_it_says(admin: Admin, metric: str, pool: str) -> None:
    """One board is made, the other has two mistakes in one item, of which the first is told."""
    answer = await admin.call(
        "POST",
        "/leaderboards",
        [
            {"name": "Weekly Laps", "key": "weekly-laps", "rankBy": "metric", "metricId": metric,
             "maxParticipants": 100, "start": "2026-03-02", "runUnit": "day", "runInterval": 7, "status": "active",
             "breakdownAttributes": [pool]},
            {"name": "Broken", "key": "has space", "rankBy": "streak"},
        ],
        201,
    )  # fmt: skip

    assert answer["created"] == [
        {"id": answer["created"][0]["id"], "name": "Weekly Laps", "key": "weekly-laps", "status": "active",
         "rankBy": "metric", "metricId": metric, "maxParticipants": 100, "start": "2026-03-02",
         "breakdownAttributes": [pool], "runUnit": "day", "runInterval": 7, "userAttributes": [], **ADDED}
    ]  # fmt: skip
    assert [(issue["index"], issue["severity"]) for issue in answer["issues"]] == [(1, "error")]
    assert named(answer["issues"]) == [(1, "key")]


async def test_a_board_has_a_cap_unless_null_says_otherwise(admin: Admin) -> None:
    """Older clients cannot read a null there, so it takes an explicit one."""
    assert (await make(admin))["maxParticipants"] == 1_000_000
    assert (await make(admin, key="open", maxParticipants=None))["maxParticipants"] is None


# Wrong fields


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "\0"}, "name"),
        ({"key": "a/b"}, "key"),
        ({"description": 5}, "description"),
        ({"description": "d" * 4097}, "description"),
        ({"status": "paused"}, "status"),
        ({"status": "finished"}, "status"),
        ({"rankBy": "height"}, "rankBy"),
        ({"rankBy": "metric"}, "metricId"),
        ({"rankBy": "metric", "metricId": UNKNOWN}, "metricId"),
        ({"rankBy": "metric", "metricId": "laps"}, "metricId"),
        ({"rankBy": "metric", "metricId": 5}, "metricId"),
        ({"rankBy": "points"}, "pointsSystemId"),
        ({"rankBy": "points", "pointsSystemId": UNKNOWN}, "pointsSystemId"),
        ({"maxParticipants": 0}, "maxParticipants"),
        ({"maxParticipants": -1}, "maxParticipants"),
        ({"maxParticipants": 1.5}, "maxParticipants"),
        ({"maxParticipants": "10"}, "maxParticipants"),
        ({"maxParticipants": 10**30}, "maxParticipants"),
        ({"start": "yesterday"}, "start"),
        ({"start": "2026-02-30"}, "start"),
        ({"start": "20260302"}, "start"),
        ({"start": "2026-03-02T00:00:00Z"}, "start"),
        ({"start": 5}, "start"),
        ({"end": "2026-13-01"}, "end"),
        ({"end": "2026-02-28"}, "end"),
        ({"startTime": "8:00"}, "startTime"),
        ({"startTime": "24:00"}, "startTime"),
        ({"endTime": "12:00:60"}, "endTime"),
        ({"endTime": 12}, "endTime"),
        ({"startTime": "12:00", "endTime": "12:00"}, "startTime"),
        ({"startTime": "13:00", "endTime": "12:00"}, "startTime"),
        ({"breakdownAttributes": "pool"}, "breakdownAttributes"),
        ({"breakdownAttributes": [5]}, "breakdownAttributes[0]"),
        ({"breakdownAttributes": ["pool"]}, "breakdownAttributes"),
        ({"userAttributes": {}}, "userAttributes"),
        ({"userAttributes": [{"attributeId": UNKNOWN}]}, "userAttributes[0].attributeValue"),
        ({"userAttributes": [{"attributeId": UNKNOWN, "attributeValue": "x"}]}, "userAttributes"),
        ({"runUnit": "week", "runInterval": 1}, "runUnit"),
        ({"runUnit": "day", "runInterval": 7}, "runUnit"),
        ({"runUnit": "day"}, "runInterval"),
        ({"runInterval": 7}, "runInterval"),
        ({"runUnit": "day", "runInterval": 0}, "runInterval"),
        ({"runUnit": "day", "runInterval": 10**30}, "runInterval"),
        ({"aggregation": "median"}, "aggregation"),
        ({"order": "up"}, "order"),
        ({"ties": "none"}, "ties"),
        ({"numbering": "roman"}, "numbering"),
        ({"lateEvents": "refuse"}, "lateEvents"),
        ({"lateEvents": True}, "lateEvents"),
        ({"participants": "teams"}, "participants"),
        ({"participants": {"teamAttribute": "pool"}}, "participants"),
    ],
)
async def test_a_wrong_field_is_an_issue_that_names_it(admin: Admin, fields: dict[str, Any], field: str) -> None:
    """And nothing of the item is stored."""
    created = await admin.call("POST", "/leaderboards", [STREAK | fields], 200)

    assert (created["created"], named(created["issues"])) == ([], [(0, field)])
    assert await admin.call("GET", "/leaderboards") == []


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": ""}, "name"),
        ({"key": "a b"}, "key"),
        ({"rankBy": "metric"}, "metricId"),
        ({"metricId": UNKNOWN}, "metricId"),
        ({"pointsSystemId": UNKNOWN}, "pointsSystemId"),
        ({"start": "2026-02-30"}, "start"),
        ({"end": "2026-02-28"}, "end"),
        ({"runUnit": "day", "runInterval": 7}, "runUnit"),
        ({"runInterval": 7}, "runInterval"),
        ({"maxParticipants": 0}, "maxParticipants"),
        ({"startTime": "25:00"}, "startTime"),
        ({"status": "paused"}, "status"),
    ],
)
async def test_a_wrong_field_of_an_update_is_an_issue_that_names_it(
    admin: Admin, fields: dict[str, Any], field: str
) -> None:
    """The name that came with it stays as it was."""
    board = await make(admin)

    answer = await admin.call("PATCH", "/leaderboards", [{"id": board["id"], "name": "New", **fields}])

    assert (answer["updated"], named(answer["issues"])) == ([], [(board["id"], field)])
    assert await admin.call("GET", "/leaderboards") == [board]


async def test_an_attribute_of_events_neither_splits_nor_filters(admin: Admin) -> None:
    """Boards look at users."""
    [stroke] = await admin.create("/attributes", {"name": "Stroke", "key": "stroke", "type": "event"})

    answer = await admin.call(
        "POST",
        "/leaderboards",
        [
            STREAK | {"breakdownAttributes": [stroke["id"]]},
            STREAK | {"userAttributes": [{"attributeId": stroke["id"], "attributeValue": "x"}]},
        ],
    )

    assert named(answer["issues"]) == [(0, "breakdownAttributes"), (1, "userAttributes")]


# Explicit nulls


async def test_nulls_in_a_create_mean_not_given(admin: Admin) -> None:
    """Official clients send them for all that is left open."""
    nulls = dict.fromkeys(
        "description status metricId pointsSystemId start end startTime endTime breakdownAttributes userAttributes "
        "runUnit runInterval aggregation order ties numbering lateEvents participants".split()
    )

    [board] = await admin.create("/leaderboards", {"name": "N", "key": "n", "rankBy": "streak"} | nulls)

    assert board.keys() == {
        "id", "name", "key", "status", "rankBy", "maxParticipants", "start", "breakdownAttributes", "userAttributes",
        *ADDED,
    }  # fmt: skip
    assert (board["start"], board["status"]) == ("2026-03-04", "inactive")


async def test_nulls_in_an_update_clear_what_can_be_cleared(admin: Admin, metric: str, pool: str) -> None:
    """Clearing the run unit clears the run interval."""
    full = {
        "rankBy": "metric", "metricId": metric, "description": "d", "end": "2026-12-31", "startTime": "08:00",
        "endTime": "20:00", "breakdownAttributes": [pool], "runUnit": "day", "runInterval": 7,
        "userAttributes": [{"attributeId": pool, "attributeValue": "east"}],
    }  # fmt: skip
    board = await make(admin, **full)

    cleared = await change(
        admin, board, description=None, end=None, startTime=None, endTime=None, breakdownAttributes=None,
        userAttributes=None, runUnit=None, maxParticipants=None,
    )  # fmt: skip

    assert cleared == {
        "id": board["id"], **STREAK, "rankBy": "metric", "metricId": metric, "status": "inactive",
        "maxParticipants": None, "breakdownAttributes": [], "userAttributes": [], **ADDED,
    }  # fmt: skip


async def test_nulls_in_an_update_leave_alone_what_cannot_be_cleared(admin: Admin) -> None:
    """A board always has these."""
    board = await make(admin, status="active")

    nulls = dict.fromkeys(
        "name key status rankBy start aggregation order ties numbering lateEvents participants".split()
    )

    assert await change(admin, board, **nulls) == board


# Status


async def test_the_status_follows_the_clock(admin: Admin) -> None:
    """Nothing has to happen for a board to open or to end; the first and last hours are those of the whole earth."""
    board = await make(admin, start="2026-03-10", end="2026-03-12", status="scheduled")

    seen = []
    for now in ("2026-03-09 09:59", "2026-03-09 10:00", "2026-03-13 11:59", "2026-03-13 12:00"):
        admin.desk.clock.set(now)
        seen.append((await admin.call("GET", f"/leaderboards/{board['id']}"))["status"])

    assert seen == ["scheduled", "active", "active", "finished"]


async def test_a_status_that_the_start_contradicts_comes_with_a_warning(admin: Admin) -> None:
    """By the place of a new board, by the id of an old one; both are applied."""
    created = await admin.call(
        "POST",
        "/leaderboards",
        [STREAK | {"status": "scheduled"}, STREAK | {"key": "later", "start": "2026-04-01", "status": "active"}],
        201,
    )
    later = created["created"][1]
    updated = await admin.call("PATCH", "/leaderboards", [{"id": later["id"], "status": "active"}])

    assert [board["status"] for board in created["created"]] == ["active", "scheduled"]
    assert [(issue["index"], issue["severity"]) for issue in created["issues"]] == [(0, "warning"), (1, "warning")]
    assert [board["status"] for board in updated["updated"]] == ["scheduled"]
    assert [(issue["id"], issue["severity"]) for issue in updated["issues"]] == [(later["id"], "warning")]


async def test_finishing_by_hand_sets_the_end_to_today_and_is_terminal(admin: Admin) -> None:
    """Afterwards only name and description change."""
    board = await make(admin, status="active")

    finished = await change(admin, board, status="finished")
    refused = await admin.call("PATCH", "/leaderboards", [{"id": board["id"], "status": "active"}])
    reopened = await admin.call("PATCH", "/leaderboards", [{"id": board["id"], "end": None}])

    assert finished == board | {"status": "finished", "end": "2026-03-04"}
    assert named(refused["issues"]) == [(board["id"], "status")]
    assert named(reopened["issues"]) == [(board["id"], "end")]
    assert await change(admin, board, name="Over") == finished | {"name": "Over"}


async def test_a_board_can_be_hidden_and_shown_again(admin: Admin) -> None:
    """While it is hidden, nothing is locked."""
    board = await make(admin, status="active")

    await change(admin, board, status="inactive")
    shown = await change(admin, board, status="active", key="other")

    assert shown == board | {"key": "other"}


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"key": "other"}, "key"),
        ({"rankBy": "streak", "metricId": None}, "rankBy"),
        ({"maxParticipants": 5}, "maxParticipants"),
        ({"maxParticipants": None}, "maxParticipants"),
        ({"start": "2026-03-02"}, "start"),
        ({"startTime": "08:00"}, "startTime"),
        ({"endTime": "20:00"}, "endTime"),
        ({"breakdownAttributes": []}, "breakdownAttributes"),
        ({"userAttributes": None}, "userAttributes"),
        ({"runUnit": None}, "runUnit"),
        ({"runInterval": 14}, "runInterval"),
        ({"aggregation": "max"}, "aggregation"),
        ({"order": "asc"}, "order"),
        ({"ties": "last"}, "ties"),
        ({"numbering": "dense"}, "numbering"),
        ({"lateEvents": "revise"}, "lateEvents"),
    ],
)
async def test_a_locked_field_is_an_issue_that_names_it(
    admin: Admin, metric: str, pool: str, fields: dict[str, Any], field: str
) -> None:
    """The name that came with it stays as it was."""
    given = {
        "rankBy": "metric", "metricId": metric, "runUnit": "day", "runInterval": 7, "breakdownAttributes": [pool],
        "userAttributes": [{"attributeId": pool, "attributeValue": "east"}], "status": "active",
    }  # fmt: skip
    board = await make(admin, **given)

    answer = await admin.call("PATCH", "/leaderboards", [{"id": board["id"], "name": "New", **fields}])

    assert (answer["updated"], named(answer["issues"])) == ([], [(board["id"], field)])
    assert await admin.call("GET", f"/leaderboards/{board['id']}") == board


# What takes time


async def test_what_late_events_do_may_change_while_the_board_is_inactive(admin: Admin) -> None:
    """Like everything that decides who stands where."""
    board = await make(admin)

    assert (await change(admin, board, lateEvents="revise"))["lateEvents"] == "revise"
    assert (await change(admin, board, status="active"))["lateEvents"] == "revise"


async def test_a_board_with_a_long_past_shows_how_far_it_is_and_becomes_active(admin: Admin) -> None:
    """Until then it is inactive, with a warning in the answer."""
    admin.desk.naps.skipped.add(PATIENCE_SECONDS)
    admin.desk.ledger.made["streak"] = asyncio.Event()

    answer = await admin.call("POST", "/leaderboards", [STREAK | {"status": "active"}], 201)

    [board] = answer["created"]
    assert [(issue["severity"], issue["index"]) for issue in answer["issues"]] == [("warning", 0)]
    assert (board["status"], board["progress"]) == ("inactive", 0.25)
    assert await admin.call("GET", "/leaderboards") == [board]
    admin.desk.ledger.made["streak"].set()
    await asyncio.gather(*admin.desk.context.activations._endings.values())
    made = await admin.call("GET", f"/leaderboards/{board['id']}")
    assert made == {name: value for name, value in board.items() if name != "progress"} | {"status": "active"}


async def test_a_change_of_a_board_in_the_making_is_answered_with_a_warning_by_its_id(admin: Admin) -> None:
    """It is applied, and the making begins anew."""
    admin.desk.naps.skipped.add(PATIENCE_SECONDS)
    admin.desk.ledger.made["streak"] = asyncio.Event()
    [board] = (await admin.call("POST", "/leaderboards", [STREAK | {"status": "active"}], 201))["created"]

    answer = await admin.call("PATCH", "/leaderboards", [{"id": board["id"], "start": "2026-02-01"}])

    assert answer["updated"] == [board | {"start": "2026-02-01"}]
    assert [(issue["severity"], issue["id"]) for issue in answer["issues"]] == [("warning", board["id"])]


async def test_a_board_that_could_not_be_made_tells_why(admin: Admin) -> None:
    """Until somebody asks for it again."""
    admin.desk.naps.skipped.add(PATIENCE_SECONDS)
    admin.desk.ledger.made["streak"] = asyncio.Event()
    with refusing(admin.desk.ledger, "streak"):
        [board] = (await admin.call("POST", "/leaderboards", [STREAK | {"status": "active"}], 201))["created"]
        admin.desk.ledger.made.pop("streak").set()
        await asyncio.gather(*admin.desk.context.activations._endings.values())

    [shown] = await admin.call("GET", "/leaderboards")
    assert (shown["status"], shown["problem"]) == ("inactive", "value: out of range")
    assert "progress" not in shown
    again = await change(admin, board, status="active")
    assert (again["status"], "problem" in again) == ("active", False)


async def test_a_board_whose_past_is_being_revised_says_so(admin: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    """The field is there only then."""
    board = await make(admin, status="active")
    assert "revising" not in board

    monkeypatch.setattr(admin.desk.ledger, "revising", lambda number: number == 1)

    assert await admin.call("GET", f"/leaderboards/{board['id']}") == board | {"revising": True}
