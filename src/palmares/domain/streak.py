"""Streaks: how many periods in a row a user has met the condition of the settings.

A period counts at the event with which its condition is met, and stays so. The first that counts makes the length 1,
and each one that directly follows adds 1; a day off that is missed is passed over. A streak whose next period is over
without counting is broken; nothing happens to its state at that moment, which `breaks_at` tells, and `at` shows it.

The events are taken in the order in which they happened, those of one instant in the order of the log. A user who
travels west over the date line comes into an earlier day once more: events there count for nothing once a later period
has begun.

A state says no more than the next event needs. An event that leaves it as it is would have done so too if another had
come between: that is why `latest` need not know of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from palmares.domain.local_time import begins_at, day_of
from palmares.domain.period import LAST_DAY, Period, end_of_period, period_before, start_of_period, weekday_of
from palmares.domain.points import is_counter
from palmares.domain.streak_settings import StreakSettings
from palmares.domain.value import LEAST


class Streak(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The streak of a user, as of the last event that changed it.

    `version` is that of the settings it was made by. `started` is the local day on which it began, `extended_on` the
    one on which the latest period counted, `extended_at` the instant; `breaks_at` is when the streak is over unless
    extended, in the zone that the user has. `longest_at` is when the longest length so far was reached.

    `period` is the first day of the present period: it has counted, or else `sums` has for each metric of the settings
    what there is of it in micros, and `reached` a bit for each that has met its threshold. `latest` is the instant of
    the last event that changed anything.
    """

    version: int = 0
    length: int = 0
    longest: int = 0
    longest_at: int | None = None
    started: int | None = None
    extended_on: int | None = None
    extended_at: int | None = None
    breaks_at: int | None = None
    period: int | None = None
    sums: tuple[int, ...] = ()
    reached: int = 0
    latest: int | None = None


class StreakEvent(NamedTuple):
    """An event as streaks need it. Sorting puts events in the order in which they are taken."""

    occurred_at: int
    position: int
    metric: int
    amount: int
    local_at: int


class CountedPeriod(NamedTuple):
    """A period that counted, by its first day, and the length with it."""

    start: int
    length: int


class PeriodLength(NamedTuple):
    """A period, first and last day included, and how long the streak was at its end, or is now."""

    start: int
    end: int
    length: int


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Streak)


def encode(state: Streak) -> str:
    """The state as a short text: a JSON array, so that SQL can read it too."""
    return _ENCODER.encode(state).decode()


def encode_change(before: Streak, after: Streak) -> str | None:
    """The streak as a log keeps it behind a line; None where it is what it was."""
    return None if after is before else encode(after)


def decode(text: str) -> Streak:
    """The state of that text."""
    return _DECODER.decode(text)


def blank(settings: StreakSettings) -> Streak:
    """The state of a user without events."""
    return Streak(settings.version)


# Taking in events


def concerns(settings: StreakSettings, metric: int, amount: int) -> bool:
    """Whether such an event can matter to the streak of a user with these settings."""
    if not settings.enabled or is_counter(metric):
        return False
    return settings.uses(metric) if settings.metrics else amount > 0


def may_concern(settings: StreakSettings, metric: int, amount: int) -> bool:
    """Whether such an event can matter to the streak of anybody in a scope with these settings."""
    return (settings.customization_enabled and not is_counter(metric)) or concerns(settings, metric, amount)


def in_order(state: Streak, occurred_at: int) -> bool:
    """Whether `step` may take an event of that instant; an earlier one needs a `fold` of them all."""
    return state.latest is None or occurred_at >= state.latest


def step(settings: StreakSettings, state: Streak, event: StreakEvent, tz: str | None) -> Streak:
    """The state after one more event, which is `in_order`, in the zone that the user has now.

    The same object when the event changes nothing. Constant time.
    """
    after = _step(settings, state, event)
    return state if after is state else in_zone(settings, after, tz)


def fold(settings: StreakSettings, events: Iterable[StreakEvent], tz: str | None) -> Streak:
    """The state that events make, which are sorted, in the zone that the user has now. Linear."""
    state = blank(settings)
    for event in events:
        state = _step(settings, state, event)
    return in_zone(settings, state, tz)


def in_zone(settings: StreakSettings, state: Streak, tz: str | None) -> Streak:
    """The state of a user who has a zone from now on; the same object when that changes nothing."""
    expires = expires_on(settings, state)
    breaks_at = None if expires is None else begins_at(expires + 1, tz)
    return state if breaks_at == state.breaks_at else replace(state, breaks_at=breaks_at)


def counted_periods(settings: StreakSettings, events: Iterable[StreakEvent]) -> list[CountedPeriod]:
    """Every period that counted, ascending, by events that are sorted. Linear."""
    found: list[CountedPeriod] = []
    state = blank(settings)
    for event in events:
        after = _step(settings, state, event)
        if after is not state and not after.sums and after.period is not None:
            found.append(CountedPeriod(after.period, after.length))
        state = after
    return found


def _step(settings: StreakSettings, state: Streak, event: StreakEvent) -> Streak:
    """What `step` does, but for the zone."""
    if not concerns(settings, event.metric, event.amount):
        return state
    day = day_of(event.local_at)
    period = start_of_period(settings.frequency, day)
    if _is_settled(state, period):
        return state
    if not settings.metrics:
        return _count(settings, state, period, day, event.occurred_at)
    added = _add(settings, state, period, event)
    if _is_met(settings, added.reached):
        return _count(settings, state, period, day, event.occurred_at)
    return state if added == state else replace(added, latest=event.occurred_at)


def _is_settled(state: Streak, period: int) -> bool:
    """Whether nothing that happens in a period matters any more: it has counted, or a later one has begun."""
    return state.period is not None and (period < state.period or (period == state.period and not state.sums))


def _add(settings: StreakSettings, state: Streak, period: int, event: StreakEvent) -> Streak:
    """The state with an event in the sums of a period; those of an earlier one are dropped."""
    same = period == state.period
    sums, reached = (list(state.sums), state.reached) if same else ([0] * len(settings.metrics), 0)
    for place, (number, threshold) in enumerate(settings.metrics):
        # What has been reached stays so, and its sum is of no more use.
        if number == event.metric and not reached >> place & 1:
            # A sum may leave the range of values, though no total does; this far below no threshold is in sight.
            sums[place] = max(sums[place] + event.amount, LEAST)
            if sums[place] >= threshold:
                sums[place], reached = 0, reached | 1 << place
    return replace(state, version=settings.version, period=period, sums=tuple(sums), reached=reached)


def _is_met(settings: StreakSettings, reached: int) -> bool:
    everything = (1 << len(settings.metrics)) - 1
    return reached == everything if settings.evaluation_mode == "AND" else reached > 0


def _count(settings: StreakSettings, state: Streak, period: int, day: int, occurred_at: int) -> Streak:
    """The state with a period that counts by an event of that day and instant."""
    before = counted_period(settings, state)
    goes_on = before is not None and period <= _next_period(settings, before)
    length = state.length + 1 if goes_on else 1
    return Streak(
        version=settings.version,
        length=length,
        longest=max(state.longest, length),
        longest_at=occurred_at if length > state.longest else state.longest_at,
        started=state.started if goes_on else day,
        extended_on=day,
        extended_at=occurred_at,
        period=period,
        latest=occurred_at,
    )


def _next_period(settings: StreakSettings, start: int) -> int:
    """The latest period that directly follows one: all between are days off."""
    following = end_of_period(settings.frequency, start) + 1
    while weekday_of(following) in settings.days_off:
        following += 1
    return following


# What is alive


def expires_on(settings: StreakSettings, state: Streak) -> int | None:
    """The last local day on which the user can still go on with the streak; None without one."""
    counted = counted_period(settings, state)
    if counted is None:
        return None
    following = _next_period(settings, counted)
    # The last periods of the calendar are followed by none.
    return end_of_period(settings.frequency, following) if following <= LAST_DAY else LAST_DAY


def at(state: Streak, now: int) -> Streak:
    """The state as it shows at an instant; of one that is over, only the longest is left."""
    if state.breaks_at is None or now < state.breaks_at:
        return state
    return Streak(state.version, longest=state.longest, longest_at=state.longest_at)


def counted_period(settings: StreakSettings, state: Streak) -> int | None:
    """The first day of the latest period that counted."""
    return None if state.extended_on is None else start_of_period(settings.frequency, state.extended_on)


# The past


def history(settings: StreakSettings, counted: Sequence[CountedPeriod], today: int, periods: int) -> list[PeriodLength]:
    """The last so many periods up to that of today, ascending, by all periods that counted."""
    lengths = dict(counted)
    frequency, present = settings.frequency, start_of_period(settings.frequency, today)
    starts = _starts_up_to(frequency, present, periods)
    before = [one for one in counted if one.start < starts[0]]
    last = before[-1] if before else None
    found = []
    for start in starts:
        if start in lengths:
            last = CountedPeriod(start, lengths[start])
        found.append(PeriodLength(start, end_of_period(frequency, start), _length(settings, last, start, present)))
    return found


def _length(settings: StreakSettings, last: CountedPeriod | None, start: int, present: int) -> int:
    """The length at the end of a period, or now if it is the present one, by the last that counted until then."""
    if last is None:
        return 0
    following = _next_period(settings, last.start)
    return last.length if start < following or start == following == present else 0


def _starts_up_to(frequency: Period, present: int, periods: int) -> list[int]:
    starts = [present]
    while len(starts) < periods and period_before(frequency, starts[-1]) < starts[-1]:
        starts.append(period_before(frequency, starts[-1]))
    return starts[::-1]
