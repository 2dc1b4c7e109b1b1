"""Streaks that nobody wrote down, or that were counted by other settings, are worked out when the ledger is opened."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest

from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.domain.streak_settings import StreakSettings
from palmares.ledger.contract import StreakRow
from palmares.ledger.embedded.ledger import EmbeddedLedger
from tests.ledger_world import CALM, Clock, memory_folder, open_embedded, swim

pytestmark = pytest.mark.anyio

DAILY = StreakSettings()
WEEKLY = StreakSettings("weekly", version=1)


async def open_with(folder: Path, settings: StreakSettings) -> EmbeddedLedger:
    streaks: Mapping[int, StreakSettings] = {DEFAULT_SCOPE: settings}
    return await open_embedded(folder, Clock("2026-03-04T12:00:00Z"), [], CALM, streaks)


async def fill(folder: Path) -> None:
    """On 4 March a has acted on three days in a row, b in two weeks in a row."""
    ledger = await open_with(folder, DAILY)
    for user, days in (("a", ("03-02", "03-03", "03-04")), ("b", ("02-25", "03-04"))):
        await ledger.record([swim(user, 1, f"2026-{day}T08:00:00Z") for day in days])
    await ledger.close()


async def rows(ledger: EmbeddedLedger) -> list[StreakRow]:
    return await ledger.streak_rankings(DEFAULT_SCOPE, "active", 10)


async def test_a_log_from_before_streaks_were_counted_gets_them() -> None:
    """Its lines have no such column, and its projection no such table."""
    with memory_folder() as folder:
        await fill(folder)
        with closing(sqlite3.connect(folder / "log.sqlite3")) as log:
            log.execute("ALTER TABLE log DROP COLUMN streak")
            log.commit()
        (folder / "projection.sqlite3").unlink()
        ledger = await open_with(folder, DAILY)

        assert await rows(ledger) == [("a", None, 3), ("b", None, 1)]
        assert (await ledger.record([swim("a", 1)]))[0].streak.length == 3
        await ledger.close()


async def test_streaks_by_other_settings_are_worked_out_once() -> None:
    """After that, the projection tells by which settings its streaks are."""
    with memory_folder() as folder:
        await fill(folder)
        ledger = await open_with(folder, WEEKLY)
        found = await rows(ledger)
        await ledger.close()
        with closing(sqlite3.connect(folder / "projection.sqlite3")) as projection:
            noted = projection.execute("SELECT scope, version FROM streak_rules").fetchall()
            states = projection.execute("SELECT user, json_extract(state, '$[0]') FROM streaks").fetchall()

        assert found == [("b", None, 2), ("a", None, 1)]
        assert noted == [(DEFAULT_SCOPE, 1)]
        assert states == [(1, 1), (2, 1)]


async def test_what_does_not_count_any_more_is_let_go() -> None:
    """Nobody has events of that metric."""
    with memory_folder() as folder:
        await fill(folder)
        ledger = await open_with(folder, StreakSettings(metrics=((9, 1),), version=1))

        assert await rows(ledger) == []
        assert (await ledger.record([swim("a", 1)]))[0].streak.length == 0
        await ledger.close()
