"""An installation moves from a data folder into a cluster and back, and is the same on both sides."""

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from anyio import fail_after
from anyio.lowlevel import checkpoint

from palmares import AsyncPalmares
from palmares.comparing import differences
from palmares.config import Settings, load
from palmares.doctor.finding import Finding
from palmares.doctor.kept_log import examine_kept_log
from palmares.domain.errors import Invalid, NotAllowed, Unavailable
from palmares.domain.local_time import DAY
from palmares.embedded import compact
from palmares.ledger.embedded.folder import Folder, FolderInUse
from palmares.ledger.valkey.keys import ShardKeys
from palmares.ledger.valkey.servers import read_servers
from palmares.ledger.valkey.store import Glide
from palmares.machine import system_clock
from palmares.moving import move_to_cluster, move_to_folder, rebuild_cluster
from palmares.sql.claim import Claim, DatabaseInUse
from palmares.stored_clock import ClockAhead, FileNote, StoredClock
from tests.databases import Place, Postgres
from tests.ledger_world import memory_folder
from tests.valkey_servers import READ, Address, connected, fresh_name

pytestmark = pytest.mark.anyio
USERS = "ann ben cat dan eve".split()
WHO = "somebody-to-forget"
DAYS = ["2026-03-04", "2026-03-05"]


@dataclass
class Installations:
    """A data folder with a short history, an empty cluster, and a folder that is not there yet."""

    folder: Path
    new: Path
    place: Place
    variables: dict[str, str]

    @property
    def settings(self) -> Settings:
        return load({}, **self.variables)

    async def differences(self, folder: Path) -> list[str]:
        return [found async for found in differences(folder, self.settings)]


@pytest.fixture(params=[1])
def both(request: pytest.FixtureRequest, valkey: list[Address], postgres: Postgres) -> Iterator[Installations]:
    """With so many shards in the cluster."""
    with memory_folder() as folder, postgres.database("template1") as place:
        [(host, port)] = valkey
        variables = {
            "valkey_url": f"valkey://{host}:{port}",
            "database_url": place.url,
            "valkey_name": fresh_name(),
            "valkey_shards": str(request.param),
        }
        yield Installations(folder / "old", folder / "new", place, variables)


def deaf(done: int, total: int) -> None:
    """Nobody watches."""


async def live(palmares: AsyncPalmares, first: int, last: int) -> None:
    """Some events of everybody, with keys, names and attributes."""
    for number in range(first, last):
        for place, user in enumerate(USERS):
            profile = {"id": user, "name": user.title(), "attributes": {"pool": "ew"[(number + place) % 2]}}
            await palmares.record("laps", profile, number * place + 0.5, idempotency_key=f"{number}")


async def define(palmares: AsyncPalmares) -> None:
    await palmares.create("metrics", {"key": "laps", "name": "Laps"})
    [attribute] = await palmares.create("attributes", {"type": "user", "key": "pool", "name": "Pool"})
    [metric] = await palmares.call("GET", "/admin/v1/metrics")
    trigger = {"type": "metric", "status": "active", "metricId": metric["id"], "metricThreshold": 2}
    [gold] = await palmares.create("points", {"key": "gold", "name": "Gold", "triggers": [trigger | {"points": 5}]})
    common = {"rankBy": "metric", "metricId": metric["id"], "status": "active"}
    await palmares.create(
        "leaderboards",
        {"key": "all", "name": "All", **common},
        {"key": "pools", "name": "Pools", "breakdownAttributes": [attribute["id"]], **common},
        {"key": "best", "name": "Best", "aggregation": "max", "numbering": "dense", **common},
        {"key": "daily", "name": "Daily", "runUnit": "day", "runInterval": 1, "start": DAYS[0], **common},
        {"key": "gold", "name": "Gold", "rankBy": "points", "pointsSystemId": gold["id"], "status": "active"},
        {"key": "streak", "name": "Streak", "rankBy": "streak", "status": "active"},
    )


async def pay_otherwise(palmares: AsyncPalmares) -> None:
    [gold] = await palmares.call("GET", "/admin/v1/points")
    path = f"/admin/v1/points/{gold['id']}/triggers"
    [trigger] = await palmares.call("GET", path)
    await palmares.call("PATCH", path, [{"id": trigger["id"], "points": 7}])


@pytest.fixture(scope="module")
def template() -> Iterator[Path]:
    """The folder, lived in once for all."""
    with memory_folder() as folder:
        asyncio.run(live_in(folder / "old"))
        yield folder / "old"


@pytest.fixture
def lived(both: Installations, template: Path) -> Installations:
    shutil.copytree(template, both.folder)
    return both


async def live_in(folder: Path) -> None:
    async with AsyncPalmares.open(folder) as palmares:
        await define(palmares)
        past = [
            {"key": "laps", "user": {"id": user}, "value": place + 1, "timestamp": f"{day}T10:00:00Z"}
            for day in DAYS
            for place, user in enumerate([*USERS, "gus"])
        ]
        await palmares.call("POST", "/admin/v1/metrics/events", past, history="true")
        await live(palmares, 1, 3)
        await pay_otherwise(palmares)
        await live(palmares, 3, 4)
        taken_back = await palmares.record("laps", "ben", 50)
        await palmares.call("DELETE", "/admin/v1/events", ids=taken_back["eventId"], reason="sensor")
        await palmares._server.context.ledger.settle()


async def boards(palmares: AsyncPalmares) -> list[Any]:
    """Every ranking, of "pools" those of both groups, of "daily" those of days that are over."""
    asked: list[dict[str, str]] = [{"key": key} for key in ("all", "best", "gold", "streak")]
    asked += [{"key": "pools", "userAttributes": f"pool:{pool}"} for pool in "ew"]
    asked += [{"key": "daily", "run": day} for day in DAYS]
    return [(await palmares.leaderboard(**query, limit=100))["rankings"] for query in asked]


async def events(palmares: AsyncPalmares, **wanted: Any) -> list[Any]:
    """All events that can be found, page by page."""
    found, page = [], {"cursor": None, "events": []}
    while page["cursor"] is not None or not found:
        page = await palmares.call("GET", "/admin/v1/events", limit=7, cursor=page["cursor"], **wanted)
        found += page["events"]
    return found


@pytest.mark.parametrize("both", [1, 16], indirect=True)
async def test_a_data_folder_becomes_a_cluster_that_goes_on(lived: Installations) -> None:
    """With the same ranks, ids of events and keys; and what comes next is numbered behind that."""
    told: list[tuple[int, int]] = []
    async with AsyncPalmares.open(lived.folder) as palmares:
        before = await boards(palmares)
        [first] = [await palmares.record("laps", "ann", 0.5, idempotency_key="1")]
        found, of_ann = await events(palmares), await events(palmares, userId="ann")
    assert len(found) > 20
    await move_to_cluster(lived.folder, lived.settings, lambda done, total: told.append((done, total)))
    assert told[-1][0] == told[-1][1] > 15
    assert await lived.differences(lived.folder) == []
    async with AsyncPalmares.open(None, **lived.variables) as palmares:
        assert await boards(palmares) == before
        again = await palmares.record("laps", "ann", 0.5, idempotency_key="1")
        assert (again["eventId"], again["idempotentReplayed"]) == (first["eventId"], True)
        assert await events(palmares) == found
        assert await events(palmares, userId="ann") == of_ann
        await taken_back(palmares, found)
        await palmares.create("metrics", {"key": "hours", "name": "Hours"})
        await live(palmares, 4, 5)
        await palmares.record("laps", "fay", 100)
        assert (await palmares.leaderboard("all", limit=1))["rankings"][0]["userId"] == "fay"
        later = await events(palmares)
        assert [event["id"] for event in later[6:]] == [event["id"] for event in found]
        assert len({event["id"] for event in later}) == len(later)
    assert len(await lived.differences(lived.folder)) > 3


async def finish_best(palmares: AsyncPalmares) -> None:
    [best] = [one for one in await palmares.call("GET", "/admin/v1/leaderboards") if one["key"] == "best"]
    answer = await palmares.call("PATCH", "/admin/v1/leaderboards", [{"id": best["id"], "status": "finished"}])
    assert [one["status"] for one in answer["updated"]] == ["finished"]


async def taken_back(palmares: AsyncPalmares, found: list[Any]) -> None:
    """The best of ann's events in the present, which another one earned something behind."""
    [best, *_] = sorted(
        (event for event in found if event["userId"] == "eve"), key=lambda event: event["value"], reverse=True
    )
    points = (await palmares.call("GET", "/v1/users/eve/points/gold"))["total"]
    answer = await palmares.call("DELETE", "/admin/v1/events", ids=best["id"], reason="too good")
    assert [one["id"] for one in answer["deleted"]] == [best["id"]]
    told = await palmares.call("GET", f"/admin/v1/events/{best['id']}")
    assert (told["value"], told["voided"]["reason"]) == (best["value"], "too good")
    assert (await palmares.call("GET", "/v1/users/eve/points/gold"))["total"] < points


@pytest.mark.parametrize("both", [1, 4], indirect=True)
async def test_a_cluster_becomes_a_data_folder_that_goes_on(lived: Installations) -> None:
    """What was recorded in the cluster, too."""
    await move_to_cluster(lived.folder, lived.settings, deaf)
    async with AsyncPalmares.open(None, **lived.variables) as palmares:
        await pay_otherwise(palmares)
        await live(palmares, 4, 6)
        await finish_best(palmares)
        before, found = await boards(palmares), await events(palmares)
    told: list[tuple[int, int]] = []
    await move_to_folder(lived.settings, lived.new, lambda done, total: told.append((done, total)))
    assert told[-1][0] == told[-1][1] > 15
    assert await lived.differences(lived.new) == []
    async with AsyncPalmares.open(lived.new) as palmares:
        assert await boards(palmares) == before
        assert {event["id"]: event for event in await events(palmares)} == {event["id"]: event for event in found}
        again = await palmares.record("laps", "ann", 0.5, idempotency_key="5")
        assert again["idempotentReplayed"]
        assert again["eventId"] in {event["id"] for event in found}
        await taken_back(palmares, found)
        await live(palmares, 6, 7)
        assert await boards(palmares) != before
        later = [event["id"] for event in await events(palmares)]
        assert len({*later}) == len(later) == len(found) + 5
    assert len(await lived.differences(lived.new)) > 3


async def test_a_cluster_is_rebuilt_after_valkey_lost_it(lived: Installations) -> None:
    """Under another name, which is empty as a new server is."""
    await move_to_cluster(lived.folder, lived.settings, deaf)
    lived.variables["valkey_name"] = fresh_name()
    assert await rebuild_cluster(lived.settings, deaf) > 15
    assert await lived.differences(lived.folder) == []
    assert await rebuild_cluster(lived.settings, deaf) == 0


@pytest.mark.parametrize("both", [4], indirect=True)
async def test_what_a_cluster_recorded_behind_a_move_is_rebuilt(lived: Installations) -> None:
    """With numbers and ids that no folder would have given; nearly all lines are only in the database then."""
    await move_to_cluster(lived.folder, lived.settings, deaf)
    async with AsyncPalmares.open(None, **lived.variables) as palmares:
        await pay_otherwise(palmares)
        await live(palmares, 4, 6)
        await palmares.record("laps", "fay", 100, idempotency_key="1")
        before, found = await boards(palmares), await events(palmares)
    # What came last is kept, before it is lost.
    assert await rebuild_cluster(lived.settings, deaf) == 0
    lived.variables["valkey_name"] = fresh_name()
    assert await rebuild_cluster(lived.settings, deaf, lines_left=2) > 40
    async with AsyncPalmares.open(None, **lived.variables) as palmares:
        assert (await boards(palmares), await events(palmares)) == (before, found)
        again = await palmares.record("laps", "fay", 100, idempotency_key="1")
        assert (again["eventId"], again["idempotentReplayed"]) == (found[0]["id"], True)
        await taken_back(palmares, found)
        await live(palmares, 6, 7)


@pytest.mark.parametrize("both", [4], indirect=True)
async def test_what_was_taken_over_is_known_though_the_ledger_lost_what_it_has_as_a_whole(lived: Installations) -> None:
    """Each shard says so: ids of events do not change by what lies beside them."""
    await move_to_cluster(lived.folder, lived.settings, deaf)
    async with AsyncPalmares.open(None, **lived.variables) as palmares:
        found = await events(palmares)
    async with store_of(lived) as store:
        [keys] = await store.read([[b"KEYS", b"{%b}:*" % lived.variables["valkey_name"].encode()]])
        assert len(keys) > 3
        await store.read([[b"DEL", *keys]])
    async with AsyncPalmares.open(None, **lived.variables) as palmares:
        assert await events(palmares) == found
        await live(palmares, 4, 5)
    async with store_of(lived) as store:
        await store.read([[b"HDEL", ShardKeys(lived.variables["valkey_name"], 2).head, b"inherited_lines"]])
    with pytest.raises(Invalid, match="do not agree"):
        async with AsyncPalmares.open(None, **lived.variables):
            raise AssertionError("it was opened")


async def test_a_test_clock_moves_along(lived: Installations) -> None:
    """What it made is compared where it stands, and the real clock has to wait for it on the other side, too."""
    stand = (system_clock() + 3 * DAY) // 1000 * 1000
    await StoredClock(FileNote(lived.folder)).note(stand)
    await move_to_cluster(lived.folder, lived.settings, deaf)
    assert await lived.differences(lived.folder) == []
    with pytest.raises(ClockAhead):
        async with AsyncPalmares.open(None, **lived.variables):
            raise AssertionError("it was opened")
    await move_to_folder(lived.settings, lived.new, deaf)
    assert await StoredClock(FileNote(lived.new)).stood() == stand
    lived.variables["valkey_name"] = fresh_name()
    await rebuild_cluster(lived.settings, deaf)
    assert await lived.differences(lived.new) == []


async def kept_log(lived: Installations) -> Finding:
    servers, name = read_servers(lived.variables["valkey_url"]), lived.variables["valkey_name"]
    [found] = await examine_kept_log(servers, name, 1, lived.place.url)
    return found


async def test_a_worker_does_not_go_on_with_a_valkey_that_lost_data(lived: Installations) -> None:
    """It would number other lines like those that are kept; the doctor tells so too."""
    await move_to_cluster(lived.folder, lived.settings, deaf)
    assert (await kept_log(lived)).level == "ok"
    lived.variables["valkey_name"] = fresh_name()
    assert (await kept_log(lived)).level == "wrong"
    with pytest.raises(Unavailable, match="run `palmares rebuild`"):
        async with AsyncPalmares.open(None, **lived.variables):
            raise AssertionError("it was opened")
    await rebuild_cluster(lived.settings, deaf)
    async with AsyncPalmares.open(None, **lived.variables) as palmares:
        await palmares.record("laps", "ann", 1)


async def test_a_worker_keeps_the_log_in_the_database(both: Installations) -> None:
    """Soon after something was recorded, without being asked."""
    async with AsyncPalmares.open(None, **both.variables) as palmares:
        await define(palmares)
        await live(palmares, 1, 3)
        kept = "SELECT count(*) FROM log_lines WHERE kind = 'event' AND metric > 0"
        with fail_after(60):
            while both.place.execute(kept) != [(10,)]:
                await checkpoint()


async def test_a_difference_is_told(lived: Installations) -> None:
    """One total, and the ranks that follow from it."""
    await move_to_cluster(lived.folder, lived.settings, deaf)
    async with AsyncPalmares.open(lived.folder) as palmares:
        await palmares.record("laps", "ann", 1000)
    found = await lived.differences(lived.folder)
    assert any("lines of the log" in sentence for sentence in found)
    assert any("totals and streak of user 'ann'" in sentence for sentence in found)
    assert any("leaderboard 'best'" in sentence and "rows from 0" in sentence for sentence in found)


# Users who were erased


async def erased(palmares: AsyncPalmares) -> None:
    """One of a name that nothing else has, with a little of everything, is erased."""
    await palmares.record("laps", {"id": WHO, "name": f"{WHO} in person"}, 7, idempotency_key=f"{WHO}-1")
    gone = await palmares.record("laps", WHO, 2)
    await palmares.call("DELETE", "/admin/v1/events", ids=gone["eventId"], reason=f"{WHO} never did")
    await palmares.call("DELETE", f"/admin/v1/users/{WHO}")
    await palmares.record("laps", "ann", 2)


def says_who(place: Place) -> list[str]:
    """The tables of a database with the name of the one who was erased in any column of any row."""
    tables = [name for (name,) in place.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    in_hex = WHO.encode().hex()
    found = {name: str(place.execute(f"SELECT * FROM {name} t, CAST(t AS text) whole")) for name in tables}
    return [name for name, rows in found.items() if WHO in rows or in_hex in rows]


def store_of(lived: Installations) -> AbstractAsyncContextManager[Glide]:
    return connected(lived.variables["valkey_url"])


async def every_byte(lived: Installations) -> bytes:
    """What Valkey has of the installation."""
    async with store_of(lived) as store:
        [keys] = await store.read([[b"KEYS", b"{%b*" % lived.variables["valkey_name"].encode()]])
        kinds = [bytes(kind) for key in keys for kind in await store.read([[b"TYPE", key]])]
        commands = [[READ[kind][0], key, *READ[kind][1:]] for key, kind in zip(keys, kinds, strict=True)]
        return repr([keys, [await store.read([command]) for command in commands]]).encode()


async def until_compacted(lived: Installations) -> None:
    """A worker removes what is left of erased users, without being asked."""
    shards, name = lived.settings.valkey_shards, lived.variables["valkey_name"]
    commands = [[b"EXISTS", ShardKeys(name, place).erasures] for place in range(shards)]
    async with store_of(lived) as store:
        with fail_after(60):
            while any([(await store.read([command]))[0] for command in commands]):
                await checkpoint()


@pytest.mark.parametrize("both", [4], indirect=True)
async def test_who_is_erased_is_nowhere_and_the_log_can_be_rebuilt_and_moved(lived: Installations) -> None:
    """Not in Valkey, not in any table; not after Valkey lost all, and not in a folder that takes over."""
    async with AsyncPalmares.open(lived.folder) as palmares:
        await palmares.record("laps", {"id": WHO, "name": f"{WHO} in person"}, 7, idempotency_key=f"{WHO}-0")
    await move_to_cluster(lived.folder, lived.settings, deaf)
    async with AsyncPalmares.open(None, **lived.variables) as palmares:
        await erased(palmares)
        before = await boards(palmares)
        await until_compacted(lived)
    assert says_who(lived.place) == []
    assert WHO.encode() not in await every_byte(lived)
    lived.variables["valkey_name"] = fresh_name()
    assert await rebuild_cluster(lived.settings, deaf) > 20
    assert WHO.encode() not in await every_byte(lived)
    async with AsyncPalmares.open(None, **lived.variables) as palmares:
        assert await boards(palmares) == before
    await move_to_folder(lived.settings, lived.new, deaf)
    assert await lived.differences(lived.new) == []
    assert not [file for file in lived.new.rglob("*") if file.is_file() and WHO.encode() in file.read_bytes()]
    async with AsyncPalmares.open(lived.new) as palmares:
        assert await boards(palmares) == before
        again = await palmares.record("laps", WHO, 1, idempotency_key=f"{WHO}-1")
        assert again["total"] == 1


@pytest.mark.parametrize("both", [4], indirect=True)
async def test_a_folder_with_erased_users_becomes_a_cluster(lived: Installations) -> None:
    """Once the files say nothing of them; a leaderboard that was finished by hand stays so."""
    async with AsyncPalmares.open(lived.folder) as palmares:
        await finish_best(palmares)
        await erased(palmares)
        before = await boards(palmares)
    await compact(load({}, data=str(lived.folder)))
    await move_to_cluster(lived.folder, lived.settings, deaf)
    assert await lived.differences(lived.folder) == []
    assert says_who(lived.place) == []
    async with AsyncPalmares.open(None, **lived.variables) as palmares:
        assert await boards(palmares) == before


# What is refused


async def test_nothing_is_moved_into_what_is_not_empty(lived: Installations) -> None:
    await move_to_cluster(lived.folder, lived.settings, deaf)
    with pytest.raises(NotAllowed, match="has events already"):
        await move_to_cluster(lived.folder, lived.settings, deaf)
    with pytest.raises(NotAllowed, match="is not empty"):
        await move_to_folder(lived.settings, lived.folder, deaf)
    assert await lived.differences(lived.folder) == []


async def test_nothing_is_copied_where_the_database_has_definitions(lived: Installations) -> None:
    async with AsyncPalmares.open(None, **lived.variables) as palmares:
        await palmares.create("metrics", {"key": "mine", "name": "Mine"})
    with pytest.raises(NotAllowed, match="the catalog that is to be filled has something"):
        await move_to_cluster(lived.folder, lived.settings, deaf)
    assert lived.place.execute("SELECT count(*) FROM log_lines") == [(0,)]


async def test_nothing_is_moved_while_a_server_runs(lived: Installations) -> None:
    held = Folder(lived.folder)
    with pytest.raises(FolderInUse):
        await move_to_cluster(lived.folder, lived.settings, deaf)
    held.release()
    worker = Claim(lived.place.url, shared=True)
    worker.keep()
    for move in (move_to_cluster(lived.folder, lived.settings, deaf), rebuild_cluster(lived.settings, deaf)):
        with pytest.raises(DatabaseInUse):
            await move
    worker.close()


async def test_a_folder_that_still_says_who_was_erased_is_not_moved(lived: Installations) -> None:
    """The databases stay empty, and so may be tried again later."""
    async with AsyncPalmares.open(lived.folder) as palmares:
        await palmares.call("DELETE", "/admin/v1/users/eve")
    with pytest.raises(NotAllowed, match="run `palmares compact` first"):
        await move_to_cluster(lived.folder, lived.settings, deaf)
    tables = lived.place.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    assert {name for (name,) in tables} == {"log_archive_version", "log_lines", "log_shards"}


@pytest.mark.parametrize("both", [4], indirect=True)
async def test_a_folder_that_was_put_together_from_shards_is_not_moved_again(lived: Installations) -> None:
    """Ids of events would not stay what they are."""
    async with AsyncPalmares.open(None, **lived.variables) as palmares:
        await define(palmares)
        await live(palmares, 1, 3)
    await move_to_folder(lived.settings, lived.new, deaf)
    assert await lived.differences(lived.new) == []
    with pytest.raises(NotAllowed, match="put together from several shards"):
        await move_to_cluster(lived.new, lived.settings, deaf)
