"""Any life of streaks and of the boards that rank by them, compared with the ledger that is right."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.domain.board import Board, LateEvents, Numbering, Order, Ties
from palmares.domain.value import MICROS
from palmares.ledger.embedded.ledger import Limits
from tests.effort import tries
from tests.ledger_world import BUSY, CALM, Clock, memory_folder
from tests.property.test_ledger import (
    METRICS,
    USERS,
    Action,
    about_board,
    events,
    numbered,
    record,
    requests,
    restart,
    wait,
)
from tests.twins import Twins
from tests.world import HOURS, LAPS, LEVEL, POOL, day, make_board

pytestmark = pytest.mark.anyio

# Around local midnights, over one and more of them, over the end of a run.
HOURS_LATER = [0, 1, 5, 7, 9, 11, 14, 18, 20, 24, 24, 30, 24 * 3, 24 * 9]
LOSSES = [(), ("standings",), ("projection",), ("standings", "projection")]

what_counts = st.fixed_dictionaries(
    {},
    optional={
        "frequency": st.sampled_from(["daily", "daily", "weekly", "monthly"]),
        "evaluation_mode": st.sampled_from(["OR", "AND"]),
        "metrics": st.sampled_from([(), ((LAPS.number, 2 * MICROS),), ((LAPS.number, MICROS), (HOURS.number, MICROS))]),
        "customization_enabled": st.booleans(),
    },
) | st.fixed_dictionaries({"frequency": st.just("daily"), "days_off": st.sampled_from([(0, 6), (3,), ()])})


# Events and changes of users who prefer something else about streaks from then on, or come back to what all have.
preferring = st.builds(
    lambda streak, **fields: fields | {"changes": {"preferences": {"streak": streak}}},
    streak=st.fixed_dictionaries(
        {"enabled": st.booleans()},
        optional={
            "evaluation_mode": st.sampled_from(["OR", "AND", None]),
            "metrics": st.sampled_from(
                [None, (), ((HOURS.number, MICROS),), ((LAPS.number, 1), (HOURS.number, MICROS))]
            ),
            "days_off": st.sampled_from([None, (), (3, 4), (0, 5, 6)]),
        },
    ),
    user_id=st.sampled_from(USERS),
    metric=st.sampled_from([LAPS, None, None]),
    amount=st.just(MICROS),
    hours_ago=st.sampled_from([None, 24]),
)


def streak_boards(*lengths: int | None) -> st.SearchStrategy[Board]:
    return st.builds(
        lambda first, length, **fields: make_board(
            number=0,
            rank_by="streak",
            metric=None,
            start=first,
            end=None if length is None else first + length,
            **fields,
        ),
        first=st.integers(day("2026-02-28"), day("2026-03-06")),
        length=st.sampled_from(lengths),
        breakdown=st.sampled_from([(), (), (POOL,)]),
        filters=st.sampled_from([(), (), ((LEVEL, "pro"),)]),
        order=st.sampled_from(get_args(Order)),
        ties=st.sampled_from(get_args(Ties)),
        numbering=st.sampled_from(get_args(Numbering)),
        late_events=st.sampled_from(get_args(LateEvents)),
        max_participants=st.sampled_from([None, 1, 10]),
    )


def set_streaks(given: Mapping[str, Any]) -> Action:
    async def act(twins: Twins) -> None:
        await twins.set_streaks(DEFAULT_SCOPE, given)

    return act


def actions(boards: st.SearchStrategy[Board], *about: str) -> list[st.SearchStrategy[Action]]:
    recording = st.builds(record, st.lists(requests, min_size=1, max_size=3))
    mixed = st.lists(st.lists(preferring | events, min_size=1, max_size=3), min_size=1, max_size=2)
    waiting = st.builds(wait, st.sampled_from(HOURS_LATER), st.booleans())
    starting = st.builds(restart, st.sampled_from(["restart", "crash"]), st.sampled_from(LOSSES))
    chosen = st.builds(lambda board, number: replace(board, number=number), boards, st.integers(1, 3))
    preferences = st.builds(record, mixed)
    return [
        recording,
        waiting,
        recording,
        waiting,
        preferences,
        starting,
        st.builds(about_board, st.sampled_from(about), chosen),
    ]


ENDING = streak_boards(None, 2, 3, 4, 5, 6, 8, 12)
OPEN = streak_boards(None)


# With little in memory, and with everything.
LIMITS = st.sampled_from([BUSY, CALM])


async def live(made: list[Board], life: list[Action], given: Mapping[str, Any], limits: Limits) -> None:
    with memory_folder() as folder:
        twins = Twins(folder, Clock(), limits)
        await twins.open()
        try:
            await twins.set_streaks(DEFAULT_SCOPE, given)
            for board in made:
                await twins.follow(board)
            for action in life:
                await action(twins)
            await twins.compare(USERS, METRICS)
        finally:
            await twins.close()


@given(
    made=st.lists(ENDING, min_size=1, max_size=2).map(numbered),
    life=st.lists(st.one_of(actions(ENDING, "follow", "follow", "forget")), min_size=4, max_size=25),
    counting=what_counts,
    limits=LIMITS,
)
@settings(max_examples=tries(24))
async def test_any_life_of_streaks_is_told_like_the_slow_ledger_tells_it(
    made: list[Board], life: list[Action], counting: dict[str, Any], limits: Limits
) -> None:
    """Every outcome, every rank, every day, with restarts and losses at any point."""
    await live(made, life, counting, limits)


@given(
    made=st.lists(OPEN, min_size=1, max_size=2).map(numbered),
    life=st.lists(
        st.one_of(st.builds(set_streaks, what_counts), *actions(OPEN, "follow", "forget")), min_size=4, max_size=25
    ),
    limits=LIMITS,
)
@settings(max_examples=tries(16))
async def test_settings_may_change_at_any_time(made: list[Board], life: list[Action], limits: Limits) -> None:
    """Boards that go on are by the newest."""
    await live(made, life, {}, limits)
