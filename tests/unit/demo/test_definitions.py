"""The demo's boards cover its flights, and name only what is defined."""

from datetime import date

from palmares.demo.definitions import ATTRIBUTES, BOARDS, METRICS


def test_every_board_covers_the_first_flight() -> None:
    """Runs begin on or before New Year's Day of 2013, weeks on a Monday."""
    starts = {board["key"]: date.fromisoformat(board["start"]) for board in BOARDS}

    assert all(start <= date(2013, 1, 1) for start in starts.values())
    assert starts["weekly-flights"].isoweekday() == 1


def test_boards_name_only_what_is_defined() -> None:
    """A key that is misspelt would fail on somebody's machine."""
    metrics = {metric["key"] for metric in METRICS}
    attributes = {attribute["key"] for attribute in ATTRIBUTES if attribute["type"] == "user"}

    assert {board["metric"] for board in BOARDS} == metrics
    assert {key for board in BOARDS for key in board.get("breakdown", [])} == attributes
