"""What may change of a board, when, and which status follows from the one asked for."""

from dataclasses import replace

import pytest

from palmares.domain.board import LOCKED, Board
from palmares.domain.board_change import Change, changed, created, keeps_rankings
from palmares.domain.errors import Invalid
from palmares.domain.metric import Attribute, Metric
from tests.definitions import day, instant

METRIC = Metric(1, "m-1", 1, "laps", "Laps")
OTHER_METRIC = Metric(2, "m-2", 1, "miles", "Miles")
COINS = Metric(-1, "p-1", 1, "coins", "Coins")
POOL = Attribute("a-1", 1, "user", "pool", "Pool")
NOW = instant("2026-03-04 09:00")
BOARD = Board(
    number=7, id="b-7", scope=1, key="laps", name="Laps", rank_by="metric", metric=METRIC, start=day("2026-03-01")
)
ACTIVE = replace(BOARD, asked_status="active")
SCHEDULED = replace(ACTIVE, start=day("2026-03-06"))
ENDED = replace(ACTIVE, end=day("2026-03-02"))
FINISHED = replace(BOARD, asked_status="finished", end=day("2026-03-03"), finished_position=9)


def test_the_boards_of_these_tests_have_the_status_they_are_named_for() -> None:
    """Otherwise the tests below would claim something else than they show."""
    statuses = [board.status_at(NOW) for board in (BOARD, ACTIVE, SCHEDULED, ENDED, FINISHED)]

    assert statuses == ["inactive", "active", "scheduled", "finished", "finished"]


# Creating


@pytest.mark.parametrize("status", ["inactive", "active"])
def test_a_board_that_has_begun_gets_the_status_asked_for(status: str) -> None:
    """Nothing to remark when all came as asked."""
    change = created(BOARD, status, NOW)

    assert (change.board.status_at(NOW), change.remark) == (status, None)


@pytest.mark.parametrize(
    ("board", "asked", "reached"),
    [
        (replace(BOARD, start=day("2026-03-06")), "active", "scheduled"),
        (BOARD, "scheduled", "active"),
        (replace(BOARD, end=day("2026-03-02")), "active", "finished"),
        (replace(BOARD, end=day("2026-03-02")), "scheduled", "finished"),
    ],
)
def test_a_status_that_the_days_contradict_comes_with_a_remark(board: Board, asked: str, reached: str) -> None:
    """Whether a board is scheduled or active is told by its start, whatever was asked for."""
    change = created(board, asked, NOW)

    assert change.board.status_at(NOW) == reached
    assert change.remark is not None
    assert reached in change.remark


def test_a_board_can_be_created_finished_when_its_end_is_past() -> None:
    """A season that is over can be put up for the record."""
    change = created(replace(BOARD, end=day("2026-03-03")), "finished", NOW)

    assert change == Change(replace(BOARD, end=day("2026-03-03"), asked_status="finished"))


@pytest.mark.parametrize("end", [None, day("2026-03-04"), day("2026-04-01")])
def test_a_board_cannot_be_created_finished_when_its_end_is_not_past(end: int | None) -> None:
    """Finished at creation needs an end before today."""
    with pytest.raises(Invalid, match=r"^status: "):
        created(replace(BOARD, end=end), "finished", NOW)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "a\0b"}, "name"),
        ({"key": "has space"}, "key"),
        ({"description": "\0"}, "description"),
        ({"metric": None}, "metricId"),
        ({"rank_by": "streak"}, "metricId"),
        ({"rank_by": "points", "metric": None}, "pointsSystemId"),
        ({"points_system": COINS}, "pointsSystemId"),
        ({"end": day("2026-02-28")}, "end"),
        ({"run_unit": "day"}, "runInterval"),
        ({"run_interval": 7}, "runInterval"),
        ({"run_unit": "day", "run_interval": 0}, "runInterval"),
        ({"run_unit": "day", "run_interval": 2**31}, "runInterval"),
        ({"rank_by": "streak", "metric": None, "run_unit": "day", "run_interval": 7}, "runUnit"),
        ({"start_time": "12:00", "end_time": "12:00"}, "startTime"),
        ({"start_time": "12:00", "end_time": "11:59:59"}, "startTime"),
        ({"start_time": "25:00"}, "startTime"),
        ({"end_time": "9:00"}, "endTime"),
        ({"max_participants": 0}, "maxParticipants"),
        ({"max_participants": 2**31}, "maxParticipants"),
        ({"breakdown": (POOL, POOL)}, "breakdownAttributes"),
        ({"filters": ((POOL, "east"), (POOL, "west"))}, "userAttributes"),
        ({"filters": ((POOL, "\0"),)}, "userAttributes"),
    ],
)
def test_what_does_not_fit_together_is_refused_naming_the_field(fields: dict[str, object], field: str) -> None:
    """The same checks hold for a new board and for a change."""
    with pytest.raises(Invalid, match=f"^{field}: "):
        created(replace(BOARD, **fields), "inactive", NOW)
    with pytest.raises(Invalid, match=f"^{field}: "):
        # Another rank_by drops the metric, so that change is made from the field that still contradicts.
        changed(replace(BOARD, **fields), {"name": fields.get("name", "New")}, NOW)


# Changing the status


@pytest.mark.parametrize(
    ("board", "asked", "reached"),
    [
        (BOARD, "inactive", "inactive"),
        (BOARD, "active", "active"),
        (replace(BOARD, start=day("2026-03-06")), "scheduled", "scheduled"),
        (ACTIVE, "active", "active"),
        (ACTIVE, "inactive", "inactive"),
        (SCHEDULED, "scheduled", "scheduled"),
        (SCHEDULED, "inactive", "inactive"),
        (BOARD, "finished", "finished"),
        (ACTIVE, "finished", "finished"),
        (ENDED, "finished", "finished"),
        (FINISHED, "finished", "finished"),
    ],
)
def test_a_status_that_can_follow_follows_without_a_remark(board: Board, asked: str, reached: str) -> None:
    """The table on top of the rules, where it does not refuse or remark."""
    change = changed(board, {"status": asked}, NOW)

    assert (change.board.status_at(NOW), change.remark) == (reached, None)


@pytest.mark.parametrize(
    ("board", "asked", "reached"),
    [
        (ACTIVE, "scheduled", "active"),
        (SCHEDULED, "active", "scheduled"),
        (BOARD, "scheduled", "active"),
        (replace(BOARD, start=day("2026-03-06")), "active", "scheduled"),
        (replace(BOARD, end=day("2026-03-02")), "active", "finished"),
    ],
)
def test_a_status_other_than_the_one_asked_for_is_remarked(board: Board, asked: str, reached: str) -> None:
    """The change is made all the same."""
    change = changed(board, {"status": asked}, NOW)

    assert change.board.status_at(NOW) == reached
    assert change.remark is not None
    assert reached in change.remark


@pytest.mark.parametrize("board", [ENDED, FINISHED])
@pytest.mark.parametrize("status", ["inactive", "scheduled", "active"])
def test_finished_is_terminal(board: Board, status: str) -> None:
    """However the board came to be finished."""
    with pytest.raises(Invalid, match=r"^status: "):
        changed(board, {"status": status}, NOW)


@pytest.mark.parametrize("board", [SCHEDULED, replace(BOARD, start=day("2026-03-06"))])
def test_a_board_that_has_not_begun_cannot_be_finished(board: Board) -> None:
    """There would be nothing to freeze."""
    with pytest.raises(Invalid, match=r"^status: "):
        changed(board, {"status": "finished"}, NOW)


@pytest.mark.parametrize(
    ("end", "ends"),
    [
        (None, "2026-03-04"),
        ("2026-03-31", "2026-03-04"),
        ("2026-03-04", "2026-03-04"),
        ("2026-03-03", "2026-03-03"),
    ],
)
def test_finishing_by_hand_ends_the_board_today_unless_it_ended_before(end: str | None, ends: str) -> None:
    """The end is set when it was unset or later; the date is that of UTC."""
    board = replace(ACTIVE, end=end and day(end))

    finished = changed(board, {"status": "finished"}, NOW).board

    assert (finished.asked_status, finished.end) == ("finished", day(ends))


def test_a_board_finished_before_its_first_day_begins_in_utc_ends_on_that_day() -> None:
    """It is open in the earliest zones already, and an end before its start would be no end."""
    board = replace(ACTIVE, start=day("2026-03-05"))

    finished = changed(board, {"status": "finished"}, instant("2026-03-04 10:00")).board

    assert finished.end == day("2026-03-05")


def test_an_end_given_with_the_status_is_taken_before_finishing() -> None:
    """Both fields of one item count."""
    change = changed(ACTIVE, {"status": "finished", "end": day("2026-03-02")}, NOW)

    assert (change.board.end, change.board.asked_status) == (day("2026-03-02"), "finished")


# Changing fields

DIFFERENT = {
    "key": "other",
    "rank_by": "streak",
    "metric": OTHER_METRIC,
    "points_system": COINS,
    "max_participants": None,
    "start": day("2026-03-02"),
    "start_time": "08:00",
    "end_time": "20:00",
    "breakdown": (POOL,),
    "filters": ((POOL, "east"),),
    "run_unit": "day",
    "run_interval": 7,
    "aggregation": "max",
    "order": "asc",
    "ties": "last",
    "numbering": "dense",
    "late_events": "revise",
}


def test_there_is_another_value_for_every_locked_field() -> None:
    """So that the two tests below miss none."""
    assert DIFFERENT.keys() == LOCKED


@pytest.mark.parametrize("board", [ACTIVE, SCHEDULED, ENDED, FINISHED])
@pytest.mark.parametrize("name", sorted(LOCKED))
def test_a_locked_field_may_be_given_as_it_is_but_not_differ(board: Board, name: str) -> None:
    """While the board is not inactive."""
    assert changed(board, {name: getattr(board, name)}, NOW) == Change(board)
    with pytest.raises(Invalid, match=": locked"):
        changed(board, {name: DIFFERENT[name]}, NOW)


@pytest.mark.parametrize("name", sorted(LOCKED - {"run_unit", "run_interval", "points_system"}))
def test_no_field_is_locked_while_the_board_is_inactive(name: str) -> None:
    """Three fields cannot change alone; they are not locked either."""
    assert getattr(changed(BOARD, {name: DIFFERENT[name]}, NOW).board, name) == DIFFERENT[name]
    assert changed(BOARD, {"run_unit": "day", "run_interval": 7}, NOW).board.run_interval == 7


def test_a_message_names_the_locked_field_as_the_wire_does() -> None:
    """A client knows no other name."""
    with pytest.raises(Invalid, match=r"^breakdownAttributes: locked"):
        changed(ACTIVE, {"breakdown": (POOL,)}, NOW)
    with pytest.raises(Invalid, match=r"^maxParticipants: locked"):
        changed(ACTIVE, {"max_participants": 5}, NOW)


@pytest.mark.parametrize("board", [ACTIVE, SCHEDULED])
def test_name_description_and_end_stay_open(board: Board) -> None:
    """They are what a board may change while it runs."""
    change = changed(board, {"name": "New", "description": "What it is", "end": day("2026-04-01")}, NOW)

    assert change == Change(replace(board, name="New", description="What it is", end=day("2026-04-01")))


@pytest.mark.parametrize("board", [ENDED, FINISHED])
def test_the_end_of_a_finished_board_is_locked(board: Board) -> None:
    """A later end would open it again."""
    with pytest.raises(Invalid, match=r"^end: locked"):
        changed(board, {"end": None}, NOW)
    assert changed(board, {"name": "New"}, NOW).board.name == "New"


def test_what_is_locked_stays_locked_in_the_change_that_deactivates() -> None:
    """A change is judged by the status that it finds."""
    with pytest.raises(Invalid, match=r"^key: locked"):
        changed(ACTIVE, {"status": "inactive", "key": "other"}, NOW)


def test_nothing_given_changes_nothing() -> None:
    """An update with nothing to change succeeds."""
    assert changed(ACTIVE, {}, NOW) == Change(ACTIVE)


def test_clearing_the_run_unit_clears_the_run_interval() -> None:
    """One without the other means nothing."""
    weekly = replace(BOARD, run_unit="day", run_interval=7)

    cleared = changed(weekly, {"run_unit": None}, NOW).board

    assert (cleared.run_unit, cleared.run_interval) == (None, None)


def test_another_rank_by_drops_what_the_former_one_needed() -> None:
    """A streak board has no metric."""
    assert changed(BOARD, {"rank_by": "streak"}, NOW).board.metric is None
    points = changed(BOARD, {"rank_by": "points", "points_system": COINS}, NOW).board
    assert (points.metric, points.counted) == (None, COINS)
    assert changed(points, {"rank_by": "metric", "metric": METRIC}, NOW).board == BOARD


# Which events count


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        (None, None, True),
        ("2026-03-02", "2026-03-02", True),
        (None, "2026-03-05", True),
        ("2026-03-05", None, True),
        ("2026-03-05", "2026-04-05", True),
        (None, "2026-03-04", False),
        ("2026-03-04", None, False),
        ("2026-03-04", "2026-03-05", False),
    ],
)
def test_an_end_from_tomorrow_on_has_cut_nothing_off_yet(before: str | None, after: str | None, same: bool) -> None:
    """In the earliest zone it is tomorrow already while UTC has today."""
    boards = [replace(ACTIVE, end=end and day(end)) for end in (before, after)]

    assert keeps_rankings(boards[0], boards[1], NOW) is same
