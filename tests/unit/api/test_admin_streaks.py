"""The settings of streaks over HTTP."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from palmares.domain.streak_settings import StreakSettings
from palmares.domain.value import MICROS
from tests.admin_client import Admin, open_admin
from tests.definitions import SCOPE

pytestmark = pytest.mark.anyio

PATH = "/streaks/settings"
DEFAULTS = {
    "frequency": "daily",
    "evaluationMode": "OR",
    "customizationEnabled": False,
    "daysOff": [],
    "metrics": [],
    "freezes": None,
}


@pytest.fixture
async def admin(tmp_path: Path) -> AsyncIterator[Admin]:
    async with open_admin(tmp_path) as admin:
        for key in ("laps", "miles"):
            await admin.create("/metrics", {"name": key, "key": key})
        yield admin


async def test_the_defaults_hold_until_something_is_set(admin: Admin) -> None:
    assert await admin.call("GET", PATH) == DEFAULTS


async def test_what_is_given_changes_and_the_rest_stays(admin: Admin) -> None:
    """Null is not given, as there is nothing to clear."""
    metrics = [{"key": "miles", "threshold": 3}, {"key": "laps", "threshold": 500}]
    first = await admin.call("PATCH", PATH, {"metrics": metrics, "daysOff": [6, 0], "customizationEnabled": True})
    second = await admin.call(
        "PATCH",
        PATH,
        {"evaluationMode": "AND", "frequency": None, "metrics": None, "daysOff": None, "freezes": None, "other": 1},
    )

    assert first == DEFAULTS | {"metrics": metrics, "daysOff": [0, 6], "customizationEnabled": True}
    assert second == await admin.call("GET", PATH) == first | {"evaluationMode": "AND"}


async def test_all_is_another_word_for_and(admin: Admin) -> None:
    assert (await admin.call("PATCH", PATH, {"evaluationMode": "ALL"}))["evaluationMode"] == "AND"


async def test_the_list_of_metrics_is_replaced(admin: Admin) -> None:
    await admin.call("PATCH", PATH, {"metrics": [{"key": "laps", "threshold": 5}]})

    assert (await admin.call("PATCH", PATH, {"metrics": [{"key": "miles", "threshold": 1}]}))["metrics"] == [
        {"key": "miles", "threshold": 1}
    ]
    assert (await admin.call("PATCH", PATH, {"metrics": []}))["metrics"] == []


async def test_days_off_go_with_the_frequency_daily(admin: Admin) -> None:
    await admin.call("PATCH", PATH, {"daysOff": [0]})

    assert (await admin.call("PATCH", PATH, {"frequency": "monthly"}))["daysOff"] == []
    assert (await admin.call("PATCH", PATH, {"frequency": "daily"}))["daysOff"] == []


async def test_the_ledger_counts_by_the_new_settings(admin: Admin) -> None:
    """It hears of every change, and is told again when nothing has changed: it may have missed the last one."""
    await admin.call("PATCH", PATH, {"metrics": [{"key": "laps", "threshold": 5}]})
    await admin.call("PATCH", PATH, {})

    settings = StreakSettings(metrics=((1, 5 * MICROS),), version=1)
    assert admin.desk.ledger.told == [("set_streaks", (SCOPE, settings))] * 2


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"frequency": "hourly"}, "frequency"),
        ({"evaluationMode": "XOR"}, "evaluationMode"),
        ({"customizationEnabled": "yes"}, "customizationEnabled"),
        ({"daysOff": [7]}, "daysOff"),
        ({"daysOff": [-1]}, "daysOff"),
        ({"daysOff": [1, 1]}, "daysOff"),
        ({"daysOff": [0, 1, 2, 3, 4, 5, 6]}, "daysOff"),
        ({"daysOff": [0], "frequency": "weekly"}, "daysOff"),
        ({"metrics": [{"key": "unknown", "threshold": 1}]}, "metrics"),
        ({"metrics": [{"key": "laps", "threshold": 1}, {"key": "laps", "threshold": 2}]}, "metrics"),
        ({"metrics": [{"key": "laps", "threshold": 0}]}, "metrics"),
        ({"metrics": [{"key": "laps", "threshold": 1.5}]}, "metrics"),
        ({"metrics": [{"key": "laps"}]}, "metrics"),
        ({"metrics": {"key": "laps"}}, "metrics"),
        ({"freezes": {"startCount": 1, "maxCount": 2}}, "freezes"),
        ({"freezes": 5}, "freezes"),
    ],
)
async def test_what_does_not_fit_is_422_and_changes_nothing(admin: Admin, body: Any, field: str) -> None:
    """Also not what else the request asks for."""
    message = await admin.refused("PATCH", PATH, {"customizationEnabled": True} | body)

    assert message.startswith(field)
    assert await admin.call("GET", PATH) == DEFAULTS
    assert admin.desk.ledger.told == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"5"])
async def test_a_body_that_is_no_object_is_422(admin: Admin, body: bytes) -> None:
    await admin.refused("PATCH", PATH, body)


async def test_settings_keep_their_metrics_from_being_deleted(admin: Admin) -> None:
    [laps, _] = await admin.call("GET", "/metrics")
    await admin.call("PATCH", PATH, {"metrics": [{"key": "laps", "threshold": 5}]})

    answer = await admin.call("DELETE", f"/metrics?ids={laps['id']}")

    assert (answer["deleted"], [issue["id"] for issue in answer["issues"]]) == ([], [laps["id"]])
