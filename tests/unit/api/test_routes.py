"""The two APIs, the older base, and who may ask."""

import pytest

from tests.http import client
from tests.world import World, make_board

pytestmark = pytest.mark.anyio


async def test_the_older_base_is_another_name_of_the_application_api() -> None:
    world = World()
    await world.define(make_board())
    async with client(world, "") as http:
        old, new = await http.get("/api/leaderboards"), await http.get("/v1/leaderboards/")

    assert old.status_code == 200
    assert old.content == new.content


@pytest.mark.parametrize("base", ["/v1", "/api", "/admin/v1"])
async def test_a_base_may_end_with_a_slash(base: str) -> None:
    """Then some clients send two in a row."""
    world = World()
    await world.define(make_board())
    async with client(world, "") as http:
        once, twice = await http.get(f"{base}/leaderboards"), await http.get(f"{base}//leaderboards")

    assert twice.status_code == 200
    assert twice.content == once.content


@pytest.mark.parametrize("key", [None, "", "abcd1234", "abcd1234.wrong", "wrong.secret", "abcd1234.secret.more", "é.x"])
@pytest.mark.parametrize("path", ["/v1/leaderboards", "/api/users/nobody", "/admin/v1/leaderboards"])
async def test_without_the_right_key_the_answer_is_401_before_anything_else(path: str, key: str | None) -> None:
    async with client(World(), "") as http:
        del http.headers["X-API-KEY"]
        answer = await http.get(path, headers={} if key is None else {"X-API-KEY": key.encode()})

    assert answer.status_code == 401
    assert list(answer.json()) == ["error"]


async def test_an_unknown_path_is_404_with_or_without_a_key() -> None:
    async with client(World(), "") as http:
        for path in ("/", "/v1", "/v1/nothing", "/admin/leaderboards", "/admin/v1/nobody", "/leaderboards"):
            assert (await http.get(path)).status_code == 404
        del http.headers["X-API-KEY"]
        assert (await http.get("/v1/nothing")).status_code == 404


async def test_the_two_apis_have_endpoints_of_the_same_name() -> None:
    world = World()
    await world.define(make_board())
    async with client(world, "") as http:
        application = (await http.get("/v1/leaderboards")).json()[0]
        admin = (await http.get("/admin/v1/leaderboards")).json()[0]

    assert "metricKey" in application
    assert "metricId" in admin
