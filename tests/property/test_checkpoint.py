"""A checkpoint that is written while events go on stands for one moment all the same."""

from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.domain.board import Board
from palmares.ledger.contract import Entry
from palmares.ledger.embedded import builder, checkpoint, upkeep
from tests.effort import tries
from tests.ledger_world import CALM, Clock, memory_folder
from tests.property.test_ledger import METRICS, boards, changes, numbered
from tests.twins import Twins
from tests.world import LAPS

pytestmark = pytest.mark.anyio

USERS = [f"user-{number}" for number in range(12)]
# Mostly small steps and moves between groups, so that entries pass the place that the writer has come to.
entries = st.builds(
    lambda user_id, amount, changed, is_event: Entry(
        DEFAULT_SCOPE, user_id, changed, LAPS if is_event else None, amount if is_event else 0
    ),
    st.sampled_from(USERS),
    st.integers(-5, 5),
    st.one_of(st.just({}), changes),
    st.sampled_from([True, True, True, False]),
)
stories = st.lists(st.lists(entries, min_size=1, max_size=3), max_size=15)


@given(made=st.lists(boards, min_size=1, max_size=3).map(numbered), before=stories, meanwhile=stories, after=stories)
@settings(max_examples=tries(30))
async def test_a_checkpoint_written_while_events_go_on_restores_exactly(
    made: list[Board], before: list[list[Entry]], meanwhile: list[list[Entry]], after: list[list[Entry]]
) -> None:
    """Between any two slices anybody may move anywhere; what is read back and replayed equals what happened."""
    with memory_folder() as folder:
        twins = Twins(folder, Clock(), CALM)
        await twins.open()
        for board in made:
            await twins.follow(board)
        await twins.record([[Entry(DEFAULT_SCOPE, user_id, metric=LAPS, amount=1)] for user_id in USERS])
        await twins.record(before)
        waiting = list(meanwhile)

        async def live_on() -> None:
            twins.clock.now += 1
            await twins.record([waiting.pop(0)] if waiting else [])

        with patch.object(checkpoint, "_ENTRIES_PER_SLICE", 2), patch.object(upkeep, "pause", live_on):
            await twins.embedded.checkpoint()
        await twins.record(waiting)
        await twins.record(after)
        with patch.object(builder, "Build", side_effect=AssertionError("it was made from the log")):
            await twins.crash(without=("projection",))
        await twins.compare(USERS, METRICS)
        await twins.close()
