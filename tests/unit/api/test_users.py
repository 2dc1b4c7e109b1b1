"""Users over HTTP."""

from typing import Any

import httpx
import pytest

from tests.http import check_documented, client
from tests.world import World

pytestmark = pytest.mark.anyio

USERS, USER = "/users", "/users/{id}"


async def send(world: World, method: str, path: str, body: Any = None) -> httpx.Response:
    """One request; a text is sent as it is."""
    content = {"content": body} if isinstance(body, str | bytes) else {"json": body}
    async with client(world) as http:
        answer = await http.request(method, path, **content if method != "GET" else {})
    check_documented(answer, method, USERS if path == USERS else USER)
    return answer


async def test_a_user_is_created_and_read_back() -> None:
    world = World()
    given = {
        "id": "swim-7",
        "email": "noor@example.com",
        "name": "Noor Haddad",
        "tz": "Asia/Tokyo",
        "signUpDate": "2026-02-27",
        "deviceTokens": ["t"],
        "subscribeToEmails": True,
        "attributes": {"pool": "east"},
    }

    created = await send(world, "POST", USERS, given)

    times = {"created": "2026-03-04T12:00:00.000Z", "updated": "2026-03-04T12:00:00.000Z"}
    assert created.status_code == 201
    assert created.json() == given | {"control": False} | times
    assert (await send(world, "GET", "/users/swim-7")).json() == created.json()


async def test_creating_a_user_who_exists_updates_instead() -> None:
    world = World()
    await world.change("a", name="Before", tz="Asia/Tokyo")

    answer = await send(world, "POST", USERS, {"id": "a", "name": "After"})

    assert (answer.status_code, answer.json()["name"], answer.json()["tz"]) == (201, "After", "Asia/Tokyo")


async def test_put_creates_or_updates_and_patch_only_updates() -> None:
    world = World()

    assert (await send(world, "PATCH", "/users/a", {"name": "x"})).status_code == 404
    assert (await send(world, "GET", "/users/a")).status_code == 404
    assert (await send(world, "PUT", "/users/a", {"name": "put"})).status_code == 200
    assert (await send(world, "PUT", "/users/a", {})).json()["name"] == "put"
    assert (await send(world, "PATCH", "/users/a", {"name": "patched"})).json()["name"] == "patched"


async def test_null_clears_and_an_absent_field_stays() -> None:
    world = World()
    await world.change("a", name="Noor", email="a@b.c", tz="Asia/Tokyo", device_tokens=("t",))

    answer = (await send(world, "PATCH", "/users/a", {"name": None, "deviceTokens": None})).json()

    assert (answer["name"], answer["deviceTokens"]) == (None, None)
    assert (answer["email"], answer["tz"], answer["subscribeToEmails"]) == ("a@b.c", "Asia/Tokyo", True)


async def test_attributes_are_merged_and_null_removes_one() -> None:
    world = World()
    await world.change("a", attributes={"pool": "east", "level": "1"})

    answer = await send(world, "PUT", "/users/a", {"attributes": {"pool": "west", "level": None}})

    assert answer.json()["attributes"] == {"pool": "west"}


@pytest.mark.parametrize("flag", ["subscribeToEmails", "subscribedToEmails"])
async def test_asking_for_emails_without_an_address_is_400_and_declining_erases_it(flag: str) -> None:
    world = World()

    assert (await send(world, "PUT", "/users/a", {flag: True})).status_code == 400
    assert (await send(world, "PUT", "/users/a", {flag: True, "email": "a@b.c"})).json()["subscribeToEmails"] is True
    declined = (await send(world, "PUT", "/users/a", {flag: False})).json()
    assert (declined["email"], declined["subscribeToEmails"]) == (None, False)


async def test_an_undefined_attribute_is_400_and_named() -> None:
    answer = await send(World(), "POST", USERS, {"id": "a", "attributes": {"team": "x"}})

    assert answer.status_code == 400
    assert "'team'" in answer.json()["error"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "id"),
        ({"id": ""}, "id"),
        ({"id": 7}, "id"),
        ({"id": "x" * 256}, "id"),
        ({"id": "a", "name": 7}, "name"),
        ({"id": "a", "tz": "Mars/Olympus"}, "tz"),
        ({"id": "a", "tz": "../../etc/passwd"}, "tz"),
        ({"id": "a", "signUpDate": "soon"}, "signUpDate"),
        ({"id": "a", "signUpDate": "2026-03-05"}, "signUpDate"),
        ({"id": "a", "attributes": {"pool": 1}}, "attributes"),
        ([], "object"),
        ("", "JSON"),
        ("{", "JSON"),
        ('{"id": "\\ud800"}', "JSON"),
        (b'{"id": "\xff"}', "UTF-8"),
        ('{"id": "a", "other": ' + "[" * 4000 + "]" * 4000 + "}", "deep"),
    ],
)
async def test_a_body_that_does_not_fit_is_422_and_says_what(body: Any, field: str) -> None:
    answer = await send(World(), "POST", USERS, body)

    assert answer.status_code == 422
    assert field in answer.json()["error"]


async def test_a_body_that_is_too_large_is_413() -> None:
    answer = await send(World(), "POST", USERS, {"id": "a", "other": "x" * 20_000})

    assert answer.status_code == 413


async def test_unknown_fields_are_ignored() -> None:
    assert (await send(World(), "POST", USERS, {"id": "a", "other": {"x": [1]}})).status_code == 201


@pytest.mark.parametrize("user_id", ["org/7", "a b", "é", "100%", "a?b#c", "+", "."])
async def test_an_id_may_hold_any_characters_when_it_is_encoded(user_id: str) -> None:
    world = World()
    encoded = "".join(f"%{byte:02X}" for byte in user_id.encode())

    assert (await send(world, "PUT", f"/users/{encoded}", {})).json()["id"] == user_id
    assert (await send(world, "GET", f"/users/{encoded}")).json()["id"] == user_id


async def test_an_id_that_is_not_utf_8_or_too_long_is_no_user() -> None:
    world = World()

    assert (await send(world, "GET", "/users/%FF")).status_code == 404
    assert (await send(world, "GET", f"/users/{'x' * 256}")).status_code == 404
    assert (await send(world, "PUT", f"/users/{'x' * 256}", {})).status_code == 422
