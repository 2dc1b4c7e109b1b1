"""Which boards may be seen, and which rows of which run a page holds."""

from typing import Any

import pytest

from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.domain.errors import Invalid, NotFound
from palmares.domain.run import Run
from palmares.service.read_board import Page, PageRequest, read_page, shown_boards
from tests.world import LEVEL, POOL, World, day, make_board

pytestmark = pytest.mark.anyio


async def page(world: World, key: str = "weekly-laps", **asked: Any) -> Page:
    return await read_page(world.context, DEFAULT_SCOPE, key, PageRequest(**asked))


async def ids(world: World, **asked: Any) -> str:
    """The users of a page in one word."""
    return "".join([row.user_id for row in (await page(world, **asked)).rows])


async def ten_swimmers() -> World:
    """Users a to j; a has 100 laps, b 90 and so on."""
    world = World()
    await world.define(make_board())
    await world.swim_all({user: str(100 - 10 * row) for row, user in enumerate("abcdefghij")})
    return world


async def two_pools(**fields: Any) -> World:
    """Four users in two pools and two levels: the best first, a b c d."""
    world = World()
    await world.define(make_board(breakdown=(POOL, LEVEL), **fields))
    for user, pool, level in [("a", "east", "1"), ("b", "west", "1"), ("c", "east", "2"), ("d", "east", "1")]:
        await world.change(user, attributes={"pool": pool, "level": level})
    await world.swim_all({"a": "40", "b": "30", "c": "20", "d": "10"})
    return world


# Which boards


async def test_the_list_has_the_boards_that_may_be_seen_in_the_order_of_their_making() -> None:
    """Inactive boards never appear, finished ones when asked for."""
    world = World()
    await world.define(
        make_board(1, "ahead", start=day("2026-04-01")),
        make_board(2, "hidden", asked_status="inactive"),
        make_board(3, "over", end=day("2026-03-02")),
        make_board(4, "running"),
    )

    listed = [(board.key, status) for board, status in shown_boards(world.context, DEFAULT_SCOPE, False)]
    with_finished = [(board.key, status) for board, status in shown_boards(world.context, DEFAULT_SCOPE, True)]

    assert listed == [("ahead", "scheduled"), ("running", "active")]
    assert with_finished == [("ahead", "scheduled"), ("over", "finished"), ("running", "active")]


async def test_another_scope_sees_nothing() -> None:
    world = await ten_swimmers()

    assert shown_boards(world.context, 2, True) == []
    with pytest.raises(NotFound):
        await read_page(world.context, 2, "weekly-laps", PageRequest())


@pytest.mark.parametrize("key", ["hidden", "no-such"])
async def test_an_inactive_board_is_as_unknown_as_one_that_does_not_exist(key: str) -> None:
    world = World()
    await world.define(make_board(key="hidden", asked_status="inactive"))

    with pytest.raises(NotFound, match=key):
        await page(world, key)


# Which rows


async def test_without_anything_said_a_page_has_the_first_ten_rows() -> None:
    world = await ten_swimmers()
    await world.swim("k", "1")

    answer = await page(world)

    assert [(row.rank, row.user_id) for row in answer.rows] == list(enumerate("abcdefghij", start=1))
    assert answer.total == 11
    assert answer.run == Run(day("2026-03-02"), None)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"limit": 3}, "abc"),
        ({"limit": 3, "offset": 4}, "efg"),
        ({"limit": 3, "offset": 8}, "ij"),
        ({"limit": 3, "offset": 10}, ""),
        ({"limit": 3, "offset": 10**30}, ""),
        ({"limit": 0}, ""),
        ({"limit": 10**30}, "abcdefghij"),
    ],
)
async def test_without_a_user_a_page_begins_at_its_offset(asked: dict[str, int], expected: str) -> None:
    assert await ids(await ten_swimmers(), **asked) == expected


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"offset": 0, "limit": 3}, "efg"),
        ({"offset": -2, "limit": 5}, "cdefg"),
        ({"offset": 2, "limit": 2}, "gh"),
        ({"offset": -9, "limit": 3}, "abc"),
        ({"offset": -(10**30), "limit": 3}, "abc"),
        ({"offset": 6, "limit": 3}, ""),
    ],
)
async def test_with_a_user_an_offset_counts_from_that_users_row(asked: dict[str, int], expected: str) -> None:
    """A start before the first row moves there and the page keeps its length."""
    assert await ids(await ten_swimmers(), user_id="e", **asked) == expected


@pytest.mark.parametrize(
    ("user", "limit", "expected"),
    [
        ("e", 3, "def"),
        ("e", 4, "cdef"),
        ("e", 1, "e"),
        ("a", 4, "abcd"),
        ("b", 5, "abcde"),
        ("j", 4, "ghij"),
        ("i", 5, "fghij"),
        ("e", 99, "abcdefghij"),
        ("e", 0, ""),
    ],
)
async def test_with_a_user_and_no_offset_the_page_is_centred_and_as_full_as_it_can_be(
    user: str, limit: int, expected: str
) -> None:
    assert await ids(await ten_swimmers(), user_id=user, limit=limit) == expected


@pytest.mark.parametrize("offset", [None, 0, -3])
async def test_the_page_around_a_user_who_is_not_ranked_is_empty(offset: int | None) -> None:
    """Unknown, without a value, or outside the cap: it is all the same."""
    world = World()
    await world.define(make_board(max_participants=1))
    await world.change("idle")
    await world.swim_all({"a": "2", "b": "1"})

    assert await ids(world, user_id="nobody", offset=offset) == ""
    assert await ids(world, user_id="idle", offset=offset) == ""
    assert await ids(world, user_id="b", offset=offset) == ""
    assert await ids(world, user_id="a", offset=offset) == "a"


async def test_a_negative_offset_without_a_user_is_refused() -> None:
    world = await ten_swimmers()

    with pytest.raises(Invalid, match="offset"):
        await page(world, offset=-1)


# Which groups


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ([("pool", "east"), ("level", "1")], "ad"),
        ([("level", "1"), ("pool", "east")], "ad"),
        ([("pool", "east")], "acd"),
        ([("level", "1")], "abd"),
        ([("pool", "north")], ""),
        ([("pool", "East")], ""),
        ([("pool", "north"), ("level", "1")], ""),
        ([("pool", "east"), ("pool", "west")], ""),
        ([("pool", "east"), ("pool", "east")], "acd"),
    ],
)
async def test_attributes_choose_one_group_or_the_union_of_those_that_match(
    attributes: list[tuple[str, str]], expected: str
) -> None:
    """A union is ranked anew from 1."""
    rows = (await page(await two_pools(), attributes=attributes)).rows

    assert "".join([row.user_id for row in rows]) == expected
    assert [row.rank for row in rows] == list(range(1, len(rows) + 1))


async def test_a_union_holds_those_who_are_ranked_in_their_own_groups() -> None:
    """Each group has a cap of its own; d is second in the group of a."""
    world = await two_pools(max_participants=1)

    answer = await page(world, attributes=[("pool", "east")])

    assert [(row.rank, row.user_id) for row in answer.rows] == [(1, "a"), (2, "c")]
    assert answer.total == 2


async def test_with_a_user_and_no_attributes_the_users_own_group_is_taken() -> None:
    world = await two_pools()
    await world.change("groupless")

    assert await ids(world, user_id="d") == "ad"
    assert await ids(world, user_id="groupless") == ""
    assert await ids(world, user_id="nobody") == ""


async def test_a_user_anchors_the_page_only_in_a_group_of_their_own() -> None:
    world = await two_pools()

    assert await ids(world, user_id="d", attributes=[("pool", "east")], limit=2) == "cd"
    assert await ids(world, user_id="d", attributes=[("pool", "west")]) == ""


async def test_attributes_are_refused_where_they_choose_nothing() -> None:
    """Given without breakdown, left out with it, or not a breakdown attribute."""
    plain, broken_down = await ten_swimmers(), await two_pools()

    with pytest.raises(Invalid, match="has no breakdown"):
        await page(plain, attributes=[("pool", "east")])
    with pytest.raises(Invalid, match="userAttributes"):
        await page(broken_down)
    with pytest.raises(Invalid, match="'stroke' is not a breakdown attribute"):
        await page(broken_down, attributes=[("stroke", "crawl")])


# Which run


async def weekly() -> World:
    """Weekly runs from Monday 2026-03-02 to Wednesday 2026-03-18; a swam in the first week, b in the second."""
    world = World()
    await world.define(make_board(run_unit="day", run_interval=7, end=day("2026-03-18")))
    await world.swim("a", "10")
    world.at("2026-03-11T12:00:00Z")
    await world.swim("b", "10")
    return world


@pytest.mark.parametrize(
    ("text", "expected", "start", "end"),
    [
        ("2026-03-02", "a", "2026-03-02", "2026-03-08"),
        ("2026-03-08", "a", "2026-03-02", "2026-03-08"),
        ("2026-03-09", "b", "2026-03-09", "2026-03-15"),
    ],
)
async def test_any_day_of_a_run_selects_it(text: str, expected: str, start: str, end: str) -> None:
    answer = await page(await weekly(), day=day(text))

    assert [row.user_id for row in answer.rows] == [expected]
    assert answer.run == Run(day(start), day(end))


@pytest.mark.parametrize("text", ["2026-03-01", "2026-03-16", "2026-03-19"])
async def test_a_day_before_the_start_after_the_end_or_in_a_run_that_opened_nowhere_is_not_found(text: str) -> None:
    with pytest.raises(NotFound, match=text):
        await page(await weekly(), day=day(text))


async def test_a_run_exists_from_the_moment_it_opens_in_the_earliest_zone() -> None:
    """10:00 UTC on the day before its first."""
    world = await weekly()

    world.at("2026-03-15T10:00:00Z")

    assert (await page(world, day=day("2026-03-16"))).run == Run(day("2026-03-16"), day("2026-03-18"))


async def test_without_a_day_the_run_is_that_of_today_in_utc_or_at_the_users() -> None:
    """For a user far enough east, tomorrow has begun."""
    world = await weekly()
    await world.change("kiritimati", tz="Pacific/Kiritimati")
    world.at("2026-03-15T11:00:00Z")

    assert (await page(world)).run == Run(day("2026-03-09"), day("2026-03-15"))
    assert (await page(world, user_id="kiritimati")).run == Run(day("2026-03-16"), day("2026-03-18"))
    assert (await page(world, user_id="nobody")).run == Run(day("2026-03-09"), day("2026-03-15"))


async def test_a_board_that_has_ended_shows_its_last_run() -> None:
    world = await weekly()
    world.at("2026-06-01T00:00:00Z")

    answer = await page(world)

    assert (answer.status, answer.run) == ("finished", Run(day("2026-03-16"), day("2026-03-18")))


async def test_a_board_that_has_not_opened_shows_no_rows_and_no_run() -> None:
    world = World()
    await world.define(make_board(start=day("2026-03-10")))

    answer = await page(world)

    assert (answer.status, answer.run, answer.total, answer.rows) == ("scheduled", None, 0, ())
    with pytest.raises(NotFound):
        await page(world, day=day("2026-03-10"))


async def test_a_board_that_has_opened_only_further_east_shows_its_first_run() -> None:
    """It is active and counts events already, so it would be odd to show nobody."""
    world = World()
    await world.define(make_board(start=day("2026-03-05")))
    await world.change("east", tz="Pacific/Kiritimati")
    await world.swim("east", "1")

    answer = await page(world)

    assert (answer.status, [row.user_id for row in answer.rows]) == ("active", ["east"])
