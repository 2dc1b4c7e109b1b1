"""Valkey fails half-way, or whoever asked goes away: what worked goes on working."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from palmares.domain.errors import Invalid, Unavailable
from palmares.domain.value import MICROS
from palmares.ledger.valkey.keys import user_name
from palmares.ledger.valkey.ledger import ValkeyLedger
from palmares.ledger.valkey.store import Glide, Halted
from tests.ledger_world import Clock, run_on, swim
from tests.unit.ledger.valkey.conftest import Open
from tests.valkey_servers import Address, fresh_name, one_server
from tests.world import make_board

pytestmark = pytest.mark.anyio

BOARD = make_board()
OTHER = replace(BOARD, max_participants=500)
RUN = run_on(BOARD, "2026-03-04")
USERS = [f"user-{place}" for place in range(12)]
Fails = Callable[[str, Sequence[bytes]], BaseException | None]


class Failing:
    """A store whose scripts fail when the test says so."""

    def __init__(self, store: Glide, fails: Fails) -> None:
        self._store = store
        self._fails = fails

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def script(self, name: str, keys: Sequence[bytes], arguments: Sequence[bytes]) -> Any:
        error = self._fails(name, keys)
        if error is not None:
            raise error
        return await self._store.script(name, keys, arguments)


def fail(ledger: ValkeyLedger, fails: Fails) -> None:
    ledger._shards.store = Failing(ledger._store, fails)


def heal(ledger: ValkeyLedger) -> None:
    ledger._shards.store = ledger._store


async def standings(ledger: ValkeyLedger) -> list[tuple[str, int]]:
    rows = await ledger.page(1, RUN, [()], 0, 1000)
    return sorted((row.user_id, row.value // MICROS) for row in rows)


def generations(ledger: ValkeyLedger) -> list[int]:
    """How many each shard has."""
    return [len(shard.boards.of(1)) for shard in ledger._shards.all]


# Boards that are followed


async def test_a_board_works_on_though_its_next_making_fails_in_one_shard(open_worker: Open) -> None:
    """While the new one is installed; the next one that is followed takes the place of all."""
    ledger = await open_worker([BOARD], 4)
    await ledger.record([swim(user_id, 1) for user_id in USERS])
    broken = ledger._shards.all[2].keys.head
    fail(ledger, lambda name, keys: Unavailable("broken") if name == "boards" and keys[0] == broken else None)
    with pytest.raises(Unavailable, match="broken"):
        await ledger.follow(OTHER)
    heal(ledger)
    assert await standings(ledger) == [(user_id, 1) for user_id in sorted(USERS)]
    await ledger.record([swim(user_id, 1) for user_id in USERS])
    assert await standings(ledger) == [(user_id, 2) for user_id in sorted(USERS)]
    await ledger.follow(OTHER)
    assert await standings(ledger) == [(user_id, 2) for user_id in sorted(USERS)]
    assert generations(ledger) == [1] * 4


async def test_a_board_is_installed_though_each_shard_fails_once(open_worker: Open) -> None:
    ledger = await open_worker([BOARD], 4)
    await ledger.record([swim(user_id, 1) for user_id in USERS])
    failed = set()

    def fails(name: str, keys: Sequence[bytes]) -> BaseException | None:
        if name != "boards" or keys[0] in failed:
            return None
        failed.add(keys[0])
        return Unavailable("broken")

    fail(ledger, fails)
    await ledger.follow(OTHER)
    assert len(failed) == 4
    assert generations(ledger) == [1] * 4
    assert await standings(ledger) == [(user_id, 1) for user_id in sorted(USERS)]


async def test_an_install_goes_on_though_its_caller_has_gone(open_worker: Open) -> None:
    ledger = await open_worker([BOARD], 4)
    await ledger.record([swim(user_id, 1) for user_id in USERS])

    def fails(name: str, keys: Sequence[bytes]) -> None:
        if name == "boards":
            following.cancel()

    fail(ledger, fails)
    following = asyncio.ensure_future(ledger.follow(OTHER))
    with suppress(asyncio.CancelledError):
        await following
    await asyncio.wait(ledger._installs)
    assert generations(ledger) == [1] * 4
    assert await standings(ledger) == [(user_id, 1) for user_id in sorted(USERS)]


async def test_a_board_is_followed_twice_at_once(open_worker: Open) -> None:
    """Neither stumbles over what the other says of its progress."""
    ledger = await open_worker([BOARD])
    await asyncio.gather(ledger.follow(OTHER), ledger.follow(OTHER))
    assert ledger.progress(1) is None


async def test_a_board_that_is_begun_again_because_the_answer_got_lost_is_begun_once(
    open_worker: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = await open_worker([BOARD], 4)
    reload, lost = ledger._shards.reload, list[int]()
    before = [shard.boards.newest for shard in ledger._shards.all]

    async def lose(shard: Any) -> None:
        if shard.place not in lost:
            lost.append(shard.place)
            raise Unavailable("broken")
        await reload(shard)

    monkeypatch.setattr(ledger._shards, "reload", lose)
    await ledger.follow(OTHER)
    assert len(lost) == 4
    assert generations(ledger) == [1] * 4
    # Generations are numbered by the changes of a shard's boards: begun and ready came before this one.
    assert [shard.boards.version - shard.boards.newest for shard in ledger._shards.all] == [2] * 4
    assert [shard.boards.newest for shard in ledger._shards.all] == [newest + 2 for newest in before]


# Opening and closing


def workers() -> list[str]:
    return [task.get_name() for task in asyncio.all_tasks() if task.get_name() == "palmares-worker"]


async def test_a_ledger_that_cannot_be_opened_leaves_nothing_running(
    valkey: list[Address], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = []
    close = Glide.close

    async def close_and_note(store: Glide) -> None:
        closed.append(store)
        await close(store)

    async def break_down(ledger: ValkeyLedger, board: Any) -> None:
        assert workers()
        raise RuntimeError("broken")

    monkeypatch.setattr(Glide, "close", close_and_note)
    monkeypatch.setattr(ValkeyLedger, "follow", break_down)
    with pytest.raises(RuntimeError, match="broken"):
        await ValkeyLedger.open(valkey, [BOARD], clock, "worker", name=fresh_name())
    assert (len(closed), workers()) == (1, [])


async def test_closing_lets_go_of_everything_though_valkey_fails(
    valkey: list[Address], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = await ValkeyLedger.open(valkey, [BOARD], clock, "worker", name=fresh_name())
    fail(ledger, lambda name, keys: Unavailable("broken"))
    ledger.forget(1)

    async def refuse(commands: Any) -> list[Any]:
        raise Unavailable("broken")

    monkeypatch.setattr(ledger._shards.store, "read", refuse, raising=False)
    await ledger.close()
    assert workers() == []
    with pytest.raises(Unavailable):
        await ledger._store.read([[b"PING"]])


async def test_a_server_that_does_not_tell_its_settings_is_used_all_the_same(
    valkey: list[Address], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def forbidden(store: Glide, pattern: str) -> list[dict[str, str]]:
        raise Unavailable("no permission")

    monkeypatch.setattr(Glide, "configuration", forbidden)
    ledger = await ValkeyLedger.open(valkey, [BOARD], clock, "worker", name=fresh_name())
    assert ledger.promise == "unknown"
    await ledger.record([swim("ann", 1)])
    await ledger.close()


# Data that is lost


@pytest.mark.parametrize("lost", ["head", "log"])
async def test_a_shard_without_its_head_or_log_takes_nothing(open_worker: Open, lost: str) -> None:
    """And changes nothing: no user is made."""
    ledger = await open_worker([BOARD])
    await ledger.record([swim("ann", 1)])
    keys = ledger._shards.all[0].keys
    await ledger._store.read([[b"DEL", getattr(keys, lost)]])
    with pytest.raises(Unavailable, match="lost a part"):
        await ledger.record([swim("bob", 1)])
    assert await ledger.user(1, "bob") is None


async def test_a_script_that_stops_in_the_middle_is_told_to_be_doubtful(open_worker: Open) -> None:
    ledger = await open_worker([BOARD])
    keys = ledger._shards.all[0].keys
    await ledger._store.read([[b"SET", keys.names, b"of another type"]])
    with pytest.raises(Unavailable, match="whether this was stored is not known"):
        await ledger.record([swim("ann", 1)])
    await ledger._store.read([[b"DEL", keys.names]])
    with pytest.raises(Halted):
        await ledger._store.script("commit", [keys.head], [b""])


async def test_a_server_that_throws_keys_away_is_refused(clock: Clock) -> None:
    with (
        one_server(**{"maxmemory-policy": "allkeys-lru"}) as addresses,
        pytest.raises(Invalid, match="maxmemory-policy"),
    ):
        await ValkeyLedger.open(addresses, [BOARD], clock, "worker")


async def test_an_unexpected_error_of_one_shard_is_told_to_its_requests_only(open_worker: Open) -> None:
    """As doubtful; who is in other shards is recorded, though in the same batch."""
    ledger = await open_worker([BOARD], 4)
    broken = ledger._shards.all[2]
    fail(ledger, lambda name, keys: KeyError("broken") if keys[0] == broken.keys.head else None)
    answers = await asyncio.gather(*(ledger.record([swim(user_id, 1)]) for user_id in USERS), return_exceptions=True)
    heal(ledger)
    there = [ledger._shards.of(user_name(1, user_id)) is broken for user_id in USERS]
    assert any(there)
    assert [isinstance(answer, Unavailable) for answer in answers] == there
    assert all("not known" in str(answer.message) for answer in answers if isinstance(answer, Unavailable))
    stored = [user_id for user_id, lost in zip(USERS, there, strict=True) if not lost]
    assert await standings(ledger) == [(user_id, 1) for user_id in sorted(stored)]
