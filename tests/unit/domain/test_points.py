"""What points systems and triggers may be, and what an event earns by them."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palmares.domain.errors import Invalid, NotAllowed
from palmares.domain.points import (
    MOST,
    Earned,
    Rule,
    Scheme,
    check_system,
    check_trigger,
    earned,
    is_counter,
    schemes_of,
)
from palmares.domain.value import MICROS
from tests.world import HOURS, LAPS, LEVEL, POOL, STROKE, make_system, make_trigger

TRIGGER = make_trigger()
SYSTEM = make_system(TRIGGER)
RULE = Rule("t", LAPS.number, 5, 10 * MICROS)


def scheme(*rules: Rule, most: int | None = None) -> Scheme:
    return Scheme(-1, "gold", most, rules)


def paid(one: Scheme, before: int, after: int, points: int = 0, **attributes: Any) -> list[tuple[int, int]]:
    """What each rule pays, and what the user has then, all in whole numbers."""
    given = attributes.get("user", {}), attributes.get("event", {})
    found = earned(one, LAPS.number, (before * MICROS, after * MICROS), points * MICROS, *given)
    return [(amount // MICROS, total // MICROS) for _, amount, total in found]


# Definitions


def test_good_definitions_are_given_back() -> None:
    """At the ends of what is allowed too."""
    for system in (SYSTEM, replace(SYSTEM, max_points=1, badge_url="x"), replace(SYSTEM, max_points=MOST)):
        assert check_system(system) is system
    for fields in ({}, {"points": -MOST, "threshold": 1}, {"points": MOST, "threshold": MOST}):
        trigger = make_trigger(**fields)
        assert check_trigger(trigger) is trigger


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": " "}, "name"),
        ({"key": "a b"}, "key"),
        ({"description": "nul\0"}, "description"),
        ({"badge_url": ""}, "badge.url"),
        ({"badge_url": "x" * 5000}, "badge.url"),
        ({"badge_url": "nul\0"}, "badge.url"),
        ({"max_points": 0}, "maxPoints"),
        ({"max_points": MOST + 1}, "maxPoints"),
    ],
)
def test_a_system_that_does_not_fit_is_refused_by_the_name_of_the_field(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid, match=rf"^{field}: "):
        check_system(replace(SYSTEM, **fields))


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"points": 0}, "points"),
        ({"points": MOST + 1}, "points"),
        ({"points": -MOST - 1}, "points"),
        ({"threshold": 0}, "metricThreshold"),
        ({"threshold": MOST + 1}, "metricThreshold"),
        ({"user_filters": ((POOL, "a"), (POOL, "b"))}, "userAttributes"),
        ({"user_filters": ((POOL, "nul\0"),)}, "userAttributes"),
        ({"event_filters": ((STROKE, "a"), (STROKE, "a"))}, "eventAttributes"),
    ],
)
def test_a_trigger_that_does_not_fit_is_refused_by_the_name_of_the_field(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid, match=rf"^{field}: "):
        check_trigger(replace(TRIGGER, **fields))


def test_the_number_of_a_system_is_no_metrics() -> None:
    counters = [make_system(number=number, key=f"s{number}").counter for number in (1, 2)]

    assert [counter.number for counter in counters] == [-1, -2]
    assert [is_counter(one.number) for one in (*counters, LAPS, HOURS)] == [True, True, False, False]


def test_only_active_triggers_make_a_scheme() -> None:
    """A system without any pays for nothing."""
    full = make_trigger(
        2, points=-1, metric=HOURS, threshold=3, user_filters=((POOL, "east"), (LEVEL, "pro")),
        event_filters=((STROKE, "free"),), block_if_out_of_points=True,
    )  # fmt: skip
    idle = make_trigger(3, status="inactive")
    systems = [make_system(TRIGGER, idle, full, max_points=9), make_system(idle, number=2, key="silver")]

    user, event = (("pool", "east"), ("level", "pro")), (("stroke", "free"),)
    assert schemes_of(systems) == (
        Scheme(
            -1,
            "gold",
            9,
            (
                Rule(TRIGGER.id, LAPS.number, 5, 10 * MICROS),
                Rule(full.id, HOURS.number, -1, 3 * MICROS, user, event, blocks=True),
            ),
        ),
    )


# Paying


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (0, 9, []),
        (0, 10, [(5, 5)]),
        (9, 10, [(5, 5)]),
        (10, 19, []),
        (10, 45, [(15, 15)]),
        (10, 9, [(-5, -5)]),
        (10, 10, []),
        (0, -1, [(-5, -5)]),
        (-1, 0, [(5, 5)]),
        (-10, -11, [(-5, -5)]),
        (-25, 5, [(15, 15)]),
    ],
)
def test_each_multiple_that_is_crossed_is_paid_for(before: int, after: int, expected: list[Any]) -> None:
    """And taken back on the way down, below zero too."""
    assert paid(scheme(RULE), before, after) == expected


def test_a_part_of_a_threshold_is_nothing_yet() -> None:
    one = scheme(replace(RULE, threshold=MICROS))

    assert earned(one, LAPS.number, (0, MICROS - 1), 0, {}, {}) == []
    assert earned(one, LAPS.number, (MICROS - 1, MICROS), 0, {}, {}) == [Earned("t", 5 * MICROS, 5 * MICROS)]


@given(
    threshold=st.integers(1, 7),
    amounts=st.lists(st.integers(-30, 30), max_size=20),
    points=st.sampled_from([-2, 1, 3]),
)
def test_points_are_those_of_the_total_however_it_came_about(threshold: int, amounts: list[int], points: int) -> None:
    """Multiples of the threshold are counted one by one."""
    one = scheme(replace(RULE, threshold=threshold * MICROS, points=points))
    total = held = 0
    for amount in amounts:
        held += sum(award for award, _ in paid(one, total, total + amount, held))
        total += amount

    full = sum(1 for step in range(threshold, total + 1, threshold)) if total >= 0 else 0
    owed = sum(1 for _ in range(0, -total, threshold)) if total < 0 else 0
    assert held == (full - owed) * points


@pytest.mark.parametrize(
    ("points", "after", "expected"),
    [
        (0, 20, [(10, 10)]),
        (5, 20, [(7, 12)]),
        (12, 20, []),
        (30, 20, []),
        (30, -5, [(-5, 25)]),
    ],
)
def test_the_limit_cuts_what_goes_beyond_it(points: int, after: int, expected: list[Any]) -> None:
    """Who has more, since the limit was lowered, keeps it."""
    assert paid(scheme(RULE, most=12), 0, after, points) == expected


def test_rules_pay_one_after_the_other() -> None:
    """Those of other metrics do not."""
    one = scheme(RULE, replace(RULE, metric=HOURS.number), replace(RULE, points=-2, threshold=5 * MICROS), RULE, most=8)

    assert paid(one, 0, 10) == [(5, 5), (-4, 1), (5, 6)]


@pytest.mark.parametrize(
    ("attributes", "pays"),
    [
        ({}, False),
        ({"user": {"pool": "east"}}, False),
        ({"user": {"pool": "east", "level": "pro"}}, False),
        ({"user": {"pool": "east", "level": "new"}, "event": {"stroke": "free"}}, False),
        ({"user": {"pool": "east", "level": "pro"}, "event": {"stroke": "Free"}}, False),
        ({"user": {"pool": "east", "level": "pro", "x": "y"}, "event": {"stroke": "free", "x": "y"}}, True),
    ],
)
def test_every_filter_has_to_match(attributes: dict[str, Any], pays: bool) -> None:
    rule = replace(RULE, user_attributes=(("pool", "east"), ("level", "pro")), event_attributes=(("stroke", "free"),))

    assert bool(paid(scheme(rule), 0, 10, **attributes)) == pays


def test_a_blocking_rule_lets_nobody_fall_below_zero() -> None:
    """Down to zero is allowed, and rising from below."""
    one = scheme(replace(RULE, blocks=True))

    assert paid(one, 10, 5, 5) == [(-5, 0)]
    assert paid(one, 0, 10, -20) == [(5, -15)]
    with pytest.raises(NotAllowed, match=r"'gold' would fall below zero"):
        paid(one, 10, 5, 4)


def test_points_stay_in_the_range_of_values() -> None:
    """Neither one award nor what a user has may leave it."""
    most = scheme(replace(RULE, points=MOST, threshold=MICROS))

    for before, after, points in ((0, 5_000, 0), (0, 1, 9_223_372_036_854), (0, -5_000, 0)):
        with pytest.raises(Invalid, match=r"'gold': .* out of range"):
            paid(most, before, after, points)
