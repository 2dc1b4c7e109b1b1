"""The settings of an environment over HTTP, and the control group that follows from them."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from palmares.domain.settings import in_control_group
from tests.admin_client import Admin, open_admin
from tests.http import check_documented, client
from tests.world import World

pytestmark = pytest.mark.anyio

PATH = "/settings"
BRANDING = {
    "appName": "",
    "appUrl": "",
    "brandColor": "#000000",
    "font": "MODERN_SANS",
    "logo": None,
    "appIcon": None,
}
EXPERIMENTATION = {"controlRatio": 0, "userActivationWindow": 7}
DEFAULTS = {"branding": BRANDING, "experimentation": EXPERIMENTATION, "aggregationPeriod": "weekly"}


@pytest.fixture
async def admin(tmp_path: Path) -> AsyncIterator[Admin]:
    async with open_admin(tmp_path) as admin:
        yield admin


async def test_the_defaults_hold_until_something_is_set(admin: Admin) -> None:
    assert await admin.call("GET", PATH) == DEFAULTS


async def test_any_part_may_be_given_and_the_rest_stays(admin: Admin) -> None:
    logo = {"url": "https://example.com/logo.png"}
    first = await admin.call("PATCH", PATH, {"branding": {"appName": "Laps", "logo": logo, "font": "BOOK_SERIF"}})
    second = await admin.call("PATCH", PATH, {"experimentation": {"controlRatio": 25}, "aggregationPeriod": "monthly"})

    branding = BRANDING | {"appName": "Laps", "logo": logo, "font": "BOOK_SERIF"}
    assert first == DEFAULTS | {"branding": branding}
    experimentation = EXPERIMENTATION | {"controlRatio": 25}
    assert second == {"branding": branding, "experimentation": experimentation, "aggregationPeriod": "monthly"}
    assert await admin.call("GET", PATH) == second


async def test_null_removes_an_image_and_else_means_not_given(admin: Admin) -> None:
    image = {"url": "https://example.com/icon.png"}
    set_ = await admin.call("PATCH", PATH, {"branding": {"appName": "Laps", "logo": image, "appIcon": image}})
    nulls = {"branding": {"appName": None, "font": None, "logo": None}, "experimentation": None}
    after = await admin.call("PATCH", PATH, nulls | {"aggregationPeriod": None, "other": 1})

    assert set_["branding"]["logo"] == set_["branding"]["appIcon"] == image
    assert after == DEFAULTS | {"branding": BRANDING | {"appName": "Laps", "appIcon": image}}
    assert await admin.call("PATCH", PATH, {"branding": None}) == after


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"branding": {"font": "COMIC"}}, "branding.font"),
        ({"branding": {"brandColor": "red"}}, "branding.brandColor"),
        ({"branding": {"logo": {}}}, "branding.logo.url"),
        ({"branding": {"appUrl": 5}}, "branding.appUrl"),
        ({"branding": []}, "branding"),
        ({"experimentation": {"controlRatio": 101}}, "experimentation.controlRatio"),
        ({"experimentation": {"controlRatio": 2.5}}, "experimentation.controlRatio"),
        ({"experimentation": {"userActivationWindow": 0}}, "experimentation.userActivationWindow"),
        ({"aggregationPeriod": "daily"}, "aggregationPeriod"),
    ],
)
async def test_a_wrong_field_refuses_the_whole_and_is_named(admin: Admin, given: dict[str, Any], field: str) -> None:
    message = await admin.refused(
        "PATCH", PATH, given | {"aggregationPeriod": given.get("aggregationPeriod", "monthly")}
    )

    assert message.startswith(f"{field}: ")
    assert await admin.call("GET", PATH) == DEFAULTS


async def test_the_control_ratio_decides_on_users_created_from_then_on() -> None:
    """By any route that creates users; whoever is there already stays on their side."""
    world = World()
    ids = [f"user-{number}" for number in range(30)]
    async with client(world, "") as http:
        early = (await http.post("/v1/users", json={"id": "early"})).json()
        ratio = {"experimentation": {"controlRatio": 40}}
        assert (await http.patch("/admin/v1/settings", json=ratio)).status_code == 200
        for number, user_id in enumerate(ids):
            event = {"user": {"id": user_id}, "value": 1}
            method, path, body = [
                ("PUT", f"/v1/users/{user_id}", {}),
                ("POST", "/v1/users", {"id": user_id}),
                ("POST", "/v1/metrics/laps-swum/event", event),
                ("POST", "/admin/v1/metrics/events", [event | {"key": "laps-swum"}]),
            ][number % 4]
            assert (await http.request(method, path, json=body)).is_success
        sides = {user_id: (await http.get(f"/v1/users/{user_id}")).json()["control"] for user_id in ids}
        await http.patch("/admin/v1/settings", json={"experimentation": {"controlRatio": 100}})
        later = (await http.put("/v1/users/early", json={"name": "Early"})).json()

    assert sides == {user_id: in_control_group(user_id, 40) for user_id in ids}
    assert set(sides.values()) == {True, False}
    assert (early["control"], later["control"]) == (False, False)


async def test_the_answer_fits_the_document() -> None:
    async with client(World(), "/admin/v1") as http:
        for method, body in (("GET", None), ("PATCH", {"branding": {"logo": {"url": "https://example.com"}}})):
            answer = await http.request(method, PATH, json=body)
            check_documented(answer, method, PATH, "/admin/v1")
