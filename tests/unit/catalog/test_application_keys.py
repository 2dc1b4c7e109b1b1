"""Application keys in the catalog: read when they are used, and gone everywhere when they are deleted."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from palmares.catalog import application_keys
from palmares.catalog.contract import ApplicationKey, Catalog
from palmares.catalog.sql import SqlCatalog
from palmares.domain.errors import Unavailable
from tests.databases import Place, sqlite_in
from tests.definitions import SCOPE, Clock

pytestmark = pytest.mark.anyio

ANN = ApplicationKey("key-1", SCOPE, "ann", "app_aaaaa", b"\0hash\xff", 5)
BOB = ApplicationKey("key-2", SCOPE, "bob é/7", "app_bbbbb", b"another hash", 6)
MINUTE = 60_000_000


@pytest.fixture
async def catalog(place: Place) -> AsyncIterator[SqlCatalog]:
    catalog = await open_at(place)
    yield catalog
    await catalog.close()


@pytest.fixture
async def other(place: Place, catalog: SqlCatalog) -> AsyncIterator[SqlCatalog]:
    """A second process on the same database."""
    other = await open_at(place)
    yield other
    await other.close()


async def open_at(place: Place) -> SqlCatalog:
    return await SqlCatalog.open(place.url, Clock("2026-03-04 10:00"))


async def found(catalog: Catalog) -> list[ApplicationKey | None]:
    return [await catalog.application_key(key.prefix) for key in (ANN, BOB)]


async def test_what_was_saved_is_found_by_everybody_at_once(catalog: SqlCatalog, other: SqlCatalog) -> None:
    """No refresh is needed, and nobody has to look at the definitions again."""
    assert await found(other) == [None, None]

    await catalog.save_application_keys([ANN, BOB])

    assert await found(catalog) == await found(other) == [ANN, BOB]
    assert not await other.refresh()
    assert await other.application_keys(SCOPE, [BOB.id, "nobody"]) == [BOB]
    assert await other.application_keys(SCOPE + 1, [BOB.id]) == []


async def test_saving_is_all_or_none(catalog: SqlCatalog) -> None:
    """Another process may have given a prefix meanwhile."""
    await catalog.save_application_keys([ANN])

    with pytest.raises(Unavailable):
        await catalog.save_application_keys([BOB, replace(ANN, id="key-3")])

    assert await found(catalog) == [ANN, None]


async def test_a_key_in_use_is_not_read_again(
    catalog: SqlCatalog, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every request asks for it."""
    await catalog.save_application_keys([ANN])
    await found(catalog)

    def fail(*_: object) -> None:
        raise AssertionError("the database was asked")

    monkeypatch.setattr(catalog._application_keys, "find", fail)
    assert await catalog.application_key(ANN.prefix) == ANN


async def test_no_more_are_remembered_than_there_is_room_for(
    catalog: SqlCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then they are read again."""
    monkeypatch.setattr(application_keys, "MOST_REMEMBERED", 1)
    await catalog.save_application_keys([ANN, BOB])

    assert [await found(catalog) for _ in range(2)] == [[ANN, BOB]] * 2
    assert len(catalog._application_keys._by_prefix) == 1


async def test_a_deleted_key_is_gone_at_once_and_elsewhere_with_the_next_refresh(
    catalog: SqlCatalog, other: SqlCatalog
) -> None:
    """Though it was in use in both processes."""
    await catalog.save_application_keys([ANN, BOB])
    await found(catalog), await found(other)

    await catalog.delete_application_keys([ANN])
    assert await found(catalog) == [None, BOB]
    await other.refresh()
    assert await found(other) == [None, BOB]

    await other.delete_application_keys([BOB])
    await catalog.refresh()
    assert await found(catalog) == [None, None]


async def test_deletions_of_two_processes_at_once_are_both_taken_up(catalog: SqlCatalog, other: SqlCatalog) -> None:
    """One's own deletion must not hide that somebody else deleted something before."""
    await catalog.save_application_keys([ANN, BOB])
    await found(catalog), await found(other)

    await other.delete_application_keys([ANN])
    await catalog.delete_application_keys([BOB])
    for process in (catalog, other):
        await process.refresh()

    assert await found(catalog) == await found(other) == [None, None]


async def test_ones_own_deletion_forgets_no_other_keys(catalog: SqlCatalog) -> None:
    """Users log out all the time, and the others should not have to be read again for it."""
    await catalog.save_application_keys([ANN, BOB])
    await found(catalog)

    await catalog.delete_application_keys([ANN])
    await catalog.refresh()

    assert list(catalog._application_keys._by_prefix) == [BOB.prefix]


async def test_the_last_use_is_written_once_a_minute(place: Place) -> None:
    """With a refresh, or when the catalog closes."""
    catalog = await open_at(place)
    await catalog.save_application_keys([ANN, BOB])
    for now in (77, 78, 77 + MINUTE - 1):
        [ann, _] = await found(catalog)
        assert ann is not None
        catalog.touch_application_key(ann, now)
        assert await catalog.refresh() == (now == 77)
    assert await found(catalog) == [replace(ANN, last_used=77), BOB]

    [ann, bob] = await found(catalog)
    assert ann is not None
    assert bob is not None
    catalog.touch_application_key(ann, 77 + MINUTE)
    catalog.touch_application_key(bob, 99)
    await catalog.close()

    again = await open_at(place)
    assert await found(again) == [replace(ANN, last_used=77 + MINUTE), replace(BOB, last_used=99)]
    await again.close()


async def test_a_use_that_could_not_be_written_is_written_later(
    catalog: SqlCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the latest time of all holds."""
    await catalog.save_application_keys([ANN, BOB])
    await found(catalog)
    catalog.touch_application_key(ANN, 77)
    catalog.touch_application_key(BOB, 78)

    with monkeypatch.context() as patched:
        patched.setattr(catalog, "_refresh", unavailable)
        with pytest.raises(Unavailable):
            await catalog.refresh()
    catalog.touch_application_key(ANN, 99)
    await catalog.refresh()

    assert await found(catalog) == [replace(ANN, last_used=99), replace(BOB, last_used=78)]


def unavailable(*_: object) -> bool:
    raise Unavailable("the disk is full")


async def test_the_keys_of_users_are_found_in_their_scope(catalog: SqlCatalog) -> None:
    """Oldest first, of all who are named."""
    second = replace(ANN, id="key-3", prefix="app_ccccc")
    await catalog.save_application_keys([ANN, BOB, second])

    assert await catalog.application_keys_of(SCOPE, ["ann", "nobody"]) == [ANN, second]
    assert await catalog.application_keys_of(SCOPE, ["bob é/7", "ann"]) == [ANN, BOB, second]
    assert await catalog.application_keys_of(SCOPE + 1, ["ann"]) == []


def files_with(folder: Path, text: bytes) -> list[str]:
    return [path.name for path in folder.iterdir() if text in path.read_bytes()]


async def test_after_compacting_the_files_hold_nothing_of_deleted_keys(tmp_path: Path) -> None:
    """And everything of the others."""
    catalog = await open_at(sqlite_in(tmp_path))
    many = [replace(ANN, id=f"many-{n}", prefix=f"app_{n:05}", user_id=f"xyzzy-{n}") for n in range(100)]
    await catalog.save_application_keys([*many, BOB])
    await catalog.delete_application_keys(many)
    await catalog.compact()

    assert files_with(tmp_path, b"xyzzy") == []
    assert await catalog.application_key(BOB.prefix) == BOB
    await catalog.close()
