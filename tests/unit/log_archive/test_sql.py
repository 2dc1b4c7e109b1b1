"""What the kept log promises, in both databases."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from palmares.domain.errors import Invalid
from palmares.domain.log_line import LogLine
from palmares.domain.value import LEAST, MOST
from palmares.log_archive.contract import Overtaken
from palmares.log_archive.sql import SqlLogArchive
from tests.databases import Place

pytestmark = pytest.mark.anyio
Open = Callable[[], Awaitable[SqlLogArchive]]


def line(position: int, content: bytes = b"\x00\xff") -> LogLine:
    return LogLine(position, 7, 1_000, "user", 1, None, None, None, None, None, None, None, None, content)


@pytest.fixture
async def open_archive(place: Place) -> AsyncIterator[Open]:
    """Opens one more archive on the test's database, as another process would."""
    async with AsyncExitStack() as stack:

        async def open_one() -> SqlLogArchive:
            archive = await SqlLogArchive.open(place.url)
            stack.push_async_callback(archive.close)
            return archive

        yield open_one


async def test_lines_come_back_as_they_were(open_archive: Open) -> None:
    """With all of their fields, to the last bit."""
    archive = await open_archive()
    given = [
        line(1),
        LogLine(2, 2**40, 2**50, "event", 3, -4, MOST, -(2**50), 5, LEAST, "kéy \U0001f3c6", 2**61, '{"a":"b"}', b"\0"),
    ]
    await archive.add(2, 4, 0, given)
    assert await (await open_archive()).lines(2, 0, 10) == given


async def test_a_key_with_nul_is_kept_though_it_can_not_be_looked_for(open_archive: Open) -> None:
    """PostgreSQL keeps no such text; what counts is the content."""
    archive = await open_archive()
    await archive.add(0, 1, 0, [line(1, b"a\0b")._replace(idempotency_key="a\0b")])
    [found] = await archive.lines(0, 0, 10)
    assert (found.idempotency_key, found.content) == ("ab", b"a\0b")


async def test_lines_are_told_in_pieces(open_archive: Open) -> None:
    """In order, each shard by itself."""
    archive = await open_archive()
    await archive.add(0, 2, 0, [line(position) for position in range(1, 21)])
    await archive.add(1, 2, 0, [line(1, b"other")])
    assert [found.position for found in await archive.lines(0, 7, 3)] == [8, 9, 10]
    assert [found.position for found in await archive.lines(0, 18, 30)] == [19, 20]
    assert [found.content for found in await archive.lines(1, 0, 30)] == [b"other"]


async def test_lines_are_told_and_counted_from_either_end(open_archive: Open) -> None:
    """Some of a log that was taken over have gaps between them, and behind these is the line that says so."""
    archive = await open_archive()
    assert await archive.arrival() is None
    arrival = line(9)._replace(kind="arrival", user=0)
    for shard in (0, 1):
        await archive.add(shard, 2, 0, [line(2), line(3), line(7), arrival, line(10)])
    assert [found.position for found in await archive.lines_before(1, 9, 2)] == [7, 3]
    assert [found.position for found in await archive.lines_before(1, 3, 2)] == [2]
    assert [await archive.count(1, after) for after in (0, 3, 8, 10)] == [5, 3, 2, 0]
    assert await archive.arrival() == arrival


async def test_lines_follow_on_what_is_kept_or_are_refused(open_archive: Open) -> None:
    """Who stood still and comes with what was read long ago changes nothing."""
    archive = await open_archive()
    await archive.add(0, 1, 0, [line(1), line(2)])
    for after in (0, 1, 3):
        with pytest.raises(Overtaken):
            await archive.add(0, 1, after, [line(after + 1, b"late"), line(after + 2, b"late")])
    assert await archive.lines(0, 0, 10) == [line(1), line(2)]
    assert await archive.last(0) == line(2)
    with pytest.raises(Overtaken):
        await archive.add(0, 1, 5, [line(6)])


async def test_nothing_is_added_behind_what_was_never_there(open_archive: Open) -> None:
    archive = await open_archive()
    with pytest.raises(Overtaken):
        await archive.add(0, 1, 5, [line(6)])
    assert (await archive.shards(), await archive.last(0), await archive.lines(0, 0, 10)) == (0, None, [])


async def test_of_many_at_once_one_is_taken(open_archive: Open) -> None:
    """Each with other lines; those of one are there as a whole, and those of all others are not."""
    archives = [await open_archive() for _ in range(4)]

    async def add(archive: SqlLogArchive, content: bytes) -> bytes | None:
        try:
            await archive.add(0, 1, 0, [line(position, content) for position in range(1, 301)])
        except Overtaken:
            return None
        return content

    answers = await asyncio.gather(*(add(archive, b"%d" % place) for place, archive in enumerate(archives)))
    [taken] = [answer for answer in answers if answer is not None]
    assert [found.content for found in await archives[0].lines(0, 0, 1_000)] == [taken] * 300


async def test_the_log_of_another_number_of_shards_is_refused(open_archive: Open) -> None:
    archive = await open_archive()
    await archive.add(0, 4, 0, [line(1)])
    assert await archive.shards() == 4
    with pytest.raises(Invalid, match="4 shards, not 1"):
        await archive.add(0, 1, 1, [line(2)])
    assert await archive.last(0) == line(1)
