"""Any life of a ledger: random boards, events, changes, restarts and losses, compared with the ledger that is right."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.domain.board import Aggregation, Board, LateEvents, Numbering, Order, Ties
from palmares.domain.local_time import DAY, HOUR
from palmares.domain.points import Rule, Scheme
from palmares.domain.value import MICROS
from palmares.ledger.contract import Entry
from tests.effort import tries
from tests.ledger_world import CALM, Clock, everything, memory_folder, open_embedded
from tests.twins import Twins
from tests.world import HOURS, LAPS, LEVEL, POOL, day, make_board, make_system

pytestmark = pytest.mark.anyio

USERS = ["ann", "bob", "cat", "dee", "Eve"]
GOLD = make_system().counter
METRICS = [LAPS, HOURS, GOLD]
ZONES = [None, "Pacific/Kiritimati", "America/New_York", "Etc/GMT+12"]
LOSSES = [(), ("standings",), ("projection",), ("standings", "projection"), ("archive",), ("archive", "standings")]
# By hand to every corner of a day: over midnights, over noons at which runs become final, over whole runs.
HOURS_LATER = [1, 5, 11, 13, 24, 36, 24 * 7, 24 * 40]

boards = st.builds(
    lambda subject, first, length, window, runs, **fields: make_board(
        number=0,
        rank_by="points" if subject is GOLD else "metric",
        metric=None if subject is GOLD else subject,
        points_system=GOLD if subject is GOLD else None,
        start=first,
        end=None if length is None else first + length,
        start_time=window[0],
        end_time=window[1],
        run_unit=runs[0],
        run_interval=runs[1],
        **fields,
    ),
    first=st.integers(day("2026-02-20"), day("2026-03-06")),
    length=st.sampled_from([None, None, None, 5, 12, 60]),
    window=st.sampled_from([(None, None), (None, None), (None, None), ("06:00", "18:00")]),
    runs=st.sampled_from([(None, None), ("day", 1), ("day", 2), ("day", 7), ("month", 1)]),
    subject=st.sampled_from([LAPS, LAPS, HOURS, GOLD]),
    breakdown=st.sampled_from([(), (), (POOL,), (POOL, LEVEL)]),
    filters=st.sampled_from([(), (), ((LEVEL, "pro"),)]),
    aggregation=st.sampled_from(get_args(Aggregation)),
    order=st.sampled_from(get_args(Order)),
    ties=st.sampled_from(get_args(Ties)),
    numbering=st.sampled_from(get_args(Numbering)),
    late_events=st.sampled_from(get_args(LateEvents)),
    max_participants=st.sampled_from([None, 1, 2, 10]),
)


def numbered(made: list[Board]) -> list[Board]:
    return [replace(board, number=number, key=f"board-{number}") for number, board in enumerate(made, 1)]


changes = st.fixed_dictionaries(
    {},
    optional={
        "attributes": st.dictionaries(
            st.sampled_from(["pool", "level"]), st.sampled_from(["pro", "east", "west", None]), max_size=2
        ),
        "tz": st.sampled_from(ZONES),
        "name": st.sampled_from(["A", "B", None]),
    },
)
# Few instants and few amounts, so that ties, standstills and late events are common.
events = st.builds(
    lambda **fields: fields,
    user_id=st.sampled_from(USERS),
    changes=st.one_of(st.just({}), changes),
    metric=st.sampled_from([LAPS, LAPS, LAPS, HOURS, None]),
    amount=st.sampled_from([-2 * MICROS, -1, 0, 1, MICROS, MICROS, 2 * MICROS, 3 * MICROS]),
    idempotency_key=st.sampled_from([None, None, None, "one", "two"]),
    hours_ago=st.sampled_from([None, None, None, 0, 1, 7, 24, 60, 24 * 6, 24 * 15]),
    history=st.sampled_from([False, False, True]),
    total=st.sampled_from([None, None, None, None, None, None, 0, 2 * MICROS]),
)
refused = st.just({"user_id": "ann", "changes": {"tz": "nowhere"}, "metric": LAPS, "amount": MICROS})
voids = st.builds(lambda pick: {"void": pick}, st.integers(0, 12))
requests = st.lists(st.one_of(events, events, events, events, voids, refused), min_size=1, max_size=4)

Action = Callable[[Twins], Awaitable[None]]


def entry_of(now: int, hours_ago: int | None = None, **fields: Any) -> Entry:
    occurred_at = None if hours_ago is None or fields["metric"] is None else now - hours_ago * HOUR
    return Entry(DEFAULT_SCOPE, occurred_at=occurred_at, **fields)


def record(together: list[list[dict[str, Any]]]) -> Action:
    async def act(twins: Twins) -> None:
        await twins.record([[await entry_for(twins, fields) for fields in request] for request in together])

    return act


async def entry_for(twins: Twins, fields: Mapping[str, Any]) -> Entry:
    """The entry of one that was drawn: a void, or an event or a change of a user."""
    if "void" in fields:
        return await twins.entry_of_void(fields["void"])
    return entry_of(twins.clock(), **fields)


def hide(user_id: str, hidden: bool) -> Action:
    """Take a user out of the rankings, or bring one back; it may be somebody unknown."""

    async def act(twins: Twins) -> None:
        await twins.record([[Entry(DEFAULT_SCOPE, user_id, {"hidden": hidden}, must_exist=True)]])

    return act


def wait(hours: int, told: bool) -> Action:
    """Time passes; what is due then is done at once, or when somebody records or looks."""

    async def act(twins: Twins) -> None:
        twins.clock.now += hours * HOUR
        if told:
            await twins.advance()

    return act


# Few thresholds and many crossings, up and down.
rules = st.builds(
    Rule,
    trigger=st.sampled_from(["one", "two", "three"]),
    metric=st.sampled_from([LAPS.number, LAPS.number, HOURS.number]),
    points=st.sampled_from([-1, 1, 2, 3]),
    threshold=st.sampled_from([MICROS, MICROS, 2 * MICROS]),
    user_attributes=st.sampled_from([(), (), (("pool", "east"),)]),
    blocks=st.sampled_from([False, False, False, True]),
)
schemes = st.builds(
    Scheme,
    number=st.just(GOLD.number),
    key=st.just("gold"),
    max_points=st.sampled_from([None, None, 4]),
    # A trigger is one rule of its system.
    rules=st.lists(rules, max_size=3, unique_by=lambda rule: rule.trigger).map(tuple),
)


# Those of which every event is taken.
open_schemes = schemes.map(
    lambda scheme: replace(scheme, rules=tuple(replace(rule, blocks=False) for rule in scheme.rules))
)


def pay(scheme: Scheme) -> Action:
    async def act(twins: Twins) -> None:
        await twins.set_points(DEFAULT_SCOPE, [scheme])

    return act


def restart(how: str, without: tuple[str, ...]) -> Action:
    async def act(twins: Twins) -> None:
        await getattr(twins, how)(without=without)
        await twins.compare(USERS, METRICS)

    return act


def about_board(what: str, board: Board) -> Action:
    async def act(twins: Twins) -> None:
        number = board.number or 1
        if what == "follow":
            await twins.follow(replace(board, number=number, key=f"board-{number}"))
        elif number in twins.boards:
            if what == "forget":
                twins.forget(number)
            elif what == "finish":
                await twins.finish(number)
            else:
                await twins.freeze(number)

    return act


crowds = st.builds(
    record,
    st.lists(
        st.lists(st.one_of(events, events, events, events, voids), min_size=1, max_size=5), min_size=2, max_size=4
    ),
)
hides = st.builds(hide, st.sampled_from(USERS), st.booleans())
waits = st.builds(wait, st.sampled_from(HOURS_LATER), st.booleans())
restarts = st.builds(restart, st.sampled_from(["restart", "crash"]), st.sampled_from(LOSSES))
follows = st.builds(
    lambda board, number: about_board("follow", replace(board, number=number)), boards, st.integers(1, 5)
)
ends = st.builds(
    lambda what, board, number: about_board(what, replace(board, number=number)),
    st.sampled_from(["forget", "freeze", "finish"]),
    boards,
    st.integers(1, 4),
)
pays = st.builds(pay, schemes)
# Much has to happen before time brings an end to anything, so boards are mostly left alone.
actions = st.one_of(
    st.builds(record, st.lists(requests, min_size=1, max_size=3)),
    crowds, crowds, crowds, crowds, waits, waits, waits, waits, pays, restarts, follows, ends, hides,
)  # fmt: skip


@given(
    made=st.lists(boards, min_size=2, max_size=4).map(numbered),
    scheme=schemes,
    life=st.lists(actions, min_size=10, max_size=30),
)
@settings(max_examples=tries(18))
async def test_any_life_is_told_like_the_slow_ledger_tells_it(
    made: list[Board], scheme: Scheme, life: list[Action]
) -> None:
    """Every outcome, every rank, every place, total and day, with restarts and losses at any point."""
    with memory_folder() as folder:
        twins = Twins(folder, Clock())
        await twins.open()
        try:
            await pay(scheme)(twins)
            for board in made:
                await twins.follow(board)
            for action in life:
                await action(twins)
            await twins.compare(USERS, METRICS)
        finally:
            await twins.close()


# Beside the others as ids sort, whether by this id or by an anonymous one, so that exact equals stay where they are.
MORTAL = "erase-me"
# What attributes an erased user had is known to nobody who makes rankings anew.
plain_boards = boards.map(lambda board: replace(board, breakdown=(), filters=()))


def erase(compacted: bool) -> Action:
    """Erase the one user to whom that happens, if there is one, and maybe compact the files."""

    async def act(twins: Twins) -> None:
        await twins.record([[Entry(DEFAULT_SCOPE, MORTAL, erase=True, must_exist=True)]])
        if compacted:
            erasures = await twins.embedded.unfinished_erasures()
            await twins.embedded.compact([erasure.number for erasure in erasures])

    return act


def restart_mortally(how: str, without: tuple[str, ...]) -> Action:
    async def act(twins: Twins) -> None:
        await getattr(twins, how)(without=without)
        await twins.compare([*USERS, MORTAL], METRICS)

    return act


mortal_events = events.flatmap(
    lambda fields: st.sampled_from([MORTAL, MORTAL, "ann", "bob", "dee"]).map(lambda user: fields | {"user_id": user})
)
mortal_lives = st.one_of(
    *[st.builds(record, st.lists(st.lists(mortal_events, min_size=1, max_size=4), min_size=1, max_size=3))] * 4,
    *[waits] * 3,
    st.builds(erase, st.booleans()),
    st.builds(erase, st.booleans()),
    st.builds(hide, st.just(MORTAL), st.booleans()),
    st.builds(restart_mortally, st.sampled_from(["restart", "crash"]), st.sampled_from(LOSSES)),
    st.builds(
        lambda board, number: about_board("follow", replace(board, number=number)), plain_boards, st.integers(1, 4)
    ),
)


@given(
    made=st.lists(plain_boards, min_size=2, max_size=3).map(numbered),
    life=st.lists(mortal_lives, min_size=10, max_size=25),
)
@settings(max_examples=tries(8))
async def test_any_life_with_erasures_is_told_like_the_slow_ledger_tells_it(
    made: list[Board], life: list[Action]
) -> None:
    """In final runs made before, after and anew, and with the same id again and again."""
    with memory_folder() as folder:
        twins = Twins(folder, Clock())
        await twins.open()
        try:
            for board in made:
                await twins.follow(board)
            for action in life:
                await action(twins)
            await twins.compare([*USERS, MORTAL], METRICS)
        finally:
            await twins.close()


happened = st.lists(
    st.tuples(
        st.sampled_from(USERS),
        st.sampled_from([-2 * MICROS, -1, 0, 1, MICROS, 2 * MICROS]),
        # One instant each: between events of one instant, the order of the log is part of what happened.
        st.integers(0, 400),
    ),
    min_size=2,
    max_size=14,
    unique_by=lambda event: event[2],
)


boards_of_laps = boards.map(lambda board: replace(board, rank_by="metric", metric=LAPS, points_system=None))


@given(made=st.lists(boards_of_laps, min_size=3, max_size=6).map(numbered), story=happened, data=st.data())
@settings(max_examples=tries(12))
async def test_the_order_of_arrival_does_not_matter(
    made: list[Board], story: list[tuple[str, int, int]], data: st.DataObject
) -> None:
    """What is recorded with its time gives the same rankings in any order, in lists of any length."""
    shuffled = data.draw(st.permutations(story))
    pieces = data.draw(st.integers(1, len(story)))
    found = []
    for arrival, size in ((sorted(story, key=lambda event: event[2]), 1), (shuffled, pieces)):
        with memory_folder() as folder:
            clock = Clock("2026-03-10T12:00:00Z")
            ledger = await open_embedded(folder, clock, made, CALM)
            # All users first: who has the lower number must not depend on the order of arrival either.
            await ledger.record([Entry(DEFAULT_SCOPE, user_id, PROFILES[user_id]) for user_id in USERS])
            entries = [
                Entry(DEFAULT_SCOPE, user_id, metric=LAPS, amount=amount, occurred_at=clock() - hours * HOUR)
                for user_id, amount, hours in arrival
            ]
            for start in range(0, len(entries), size):
                await ledger.record(entries[start : start + size])
            found.append(await everything(ledger, made, USERS, [LAPS]))
            await ledger.close()
    assert found[0] == found[1]


PROFILES: dict[str, dict[str, Any]] = {
    "ann": {"attributes": {"pool": "east", "level": "pro"}},
    "bob": {"attributes": {"pool": "west", "level": "pro"}, "tz": "Pacific/Kiritimati"},
    "cat": {"attributes": {"pool": "east"}, "tz": "America/New_York"},
    "dee": {"attributes": {"level": "new", "pool": "west"}},
    "Eve": {},
}


@given(
    made=st.lists(boards, min_size=1, max_size=3).map(numbered),
    scheme=open_schemes,
    story=st.lists(requests, min_size=1, max_size=8),
)
@settings(max_examples=tries(12))
async def test_recording_everything_twice_changes_nothing(
    made: list[Board], scheme: Scheme, story: list[list[dict[str, Any]]]
) -> None:
    """Each request is sent once more, after a restart and much later, with the same keys: all are replays."""
    keyed = [
        [
            fields | {"total": None} | {"idempotency_key": f"{number}-{place}", "metric": fields["metric"] or LAPS}
            for place, fields in enumerate(request)
            if "void" not in fields and fields["changes"].get("tz") != "nowhere"
        ]
        for number, request in enumerate(story)
    ]
    with memory_folder() as folder:
        twins = Twins(folder, Clock())
        await twins.open()
        await pay(scheme)(twins)
        for board in made:
            await twins.follow(board)
        now = twins.clock()
        requests_of_all = [[entry_of(now, **fields) for fields in request] for request in keyed]
        await twins.record(requests_of_all)
        await twins.restart()
        twins.clock.now += 40 * DAY
        await twins.compare(USERS, METRICS)
        before = await everything(twins.embedded, made, USERS, METRICS)
        log = await twins.embedded.records(0, 1000)
        for request in requests_of_all:
            outcomes = await twins.embedded.record(request)
            assert all(outcome.replayed for outcome in outcomes)
        await twins.embedded.settle()
        assert await everything(twins.embedded, made, USERS, METRICS) == before
        assert await twins.embedded.records(0, 1000) == log
        await twins.close()
