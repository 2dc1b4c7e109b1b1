"""Metrics over the Admin API."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.admin_client import Admin, named, open_admin

pytestmark = pytest.mark.anyio

LAPS = {"name": "Laps swum", "key": "laps-swum"}


@pytest.fixture
async def admin(tmp_path: Path) -> AsyncIterator[Admin]:
    async with open_admin(tmp_path) as admin:
        yield admin


async def test_a_metric_is_answered_with_all_its_fields(admin: Admin) -> None:
    """Unit type and units have defaults; nulls there mean that they were not given."""
    created = await admin.create(
        "/metrics", {**LAPS, "units": "laps"}, {"name": "N", "key": "n", "unitType": None, "units": None}
    )

    assert [{name: value for name, value in metric.items() if name != "id"} for metric in created] == [
        {"name": "Laps swum", "key": "laps-swum", "unitType": "number", "units": "laps"},
        {"name": "N", "key": "n", "unitType": "number", "units": ""},
    ]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": 5}, "name"),
        ({"name": None}, "name"),
        ({"name": ""}, "name"),
        ({"name": "   "}, "name"),
        ({"name": "n" * 256}, "name"),
        ({"name": "a\0b"}, "name"),
        ({"key": ""}, "key"),
        ({"key": "has space"}, "key"),
        ({"key": "schlüssel"}, "key"),
        ({"key": "k" * 256}, "key"),
        ({"key": 5}, "key"),
        ({"unitType": "weight"}, "unitType"),
        ({"unitType": 5}, "unitType"),
        ({"units": 5}, "units"),
        ({"units": "u" * 256}, "units"),
        ({"unitType": "currency"}, "units"),
        ({"unitType": "currency", "units": "eur"}, "units"),
        ({"unitType": "currency", "units": "EURO"}, "units"),
    ],
)
async def test_a_wrong_field_is_an_issue_that_names_it(admin: Admin, fields: dict[str, Any], field: str) -> None:
    """And nothing of the item is stored."""
    answer = await admin.call("POST", "/metrics", [LAPS | fields], 200)

    assert (answer["created"], named(answer["issues"])) == ([], [(0, field)])
    assert await admin.call("GET", "/metrics") == []


async def test_a_missing_field_is_named(admin: Admin) -> None:
    """Whatever the decoder calls it."""
    answer = await admin.call("POST", "/metrics", [{"name": "Laps"}, {"key": "laps"}], 200)

    assert "key" in answer["issues"][0]["message"]
    assert "name" in answer["issues"][1]["message"]


async def test_the_key_never_changes(admin: Admin) -> None:
    """The rest of that item stays as it was, too."""
    [metric] = await admin.create("/metrics", LAPS)

    answer = await admin.call("PATCH", "/metrics", [{"id": metric["id"], "name": "New", "key": "new"}])

    assert named(answer["issues"]) == [(metric["id"], "key")]
    assert await admin.call("GET", f"/metrics/{metric['id']}") == metric


async def test_name_and_units_change(admin: Admin) -> None:
    """An absent field stays."""
    [metric] = await admin.create("/metrics", LAPS)

    answer = await admin.call(
        "PATCH", "/metrics", [{"id": metric["id"], "name": "Turnover", "unitType": "currency", "units": "EUR"}]
    )

    assert answer["updated"] == [metric | {"name": "Turnover", "unitType": "currency", "units": "EUR"}]
    assert await admin.call("GET", "/metrics") == answer["updated"]


async def test_a_metric_in_use_cannot_be_deleted(admin: Admin) -> None:
    """The issue names it by its id; the other one is deleted."""
    used, free = await admin.create("/metrics", LAPS, {"name": "Free", "key": "free"})
    board = {"name": "B", "key": "b", "rankBy": "metric", "metricId": used["id"]}
    await admin.create("/leaderboards", board)

    answer = await admin.call("DELETE", f"/metrics?ids={used['id']},{free['id']}")

    assert answer["deleted"] == [{"id": free["id"]}]
    assert [(issue["id"], issue["severity"]) for issue in answer["issues"]] == [(used["id"], "error")]
    assert await admin.call("GET", "/metrics") == [used]
