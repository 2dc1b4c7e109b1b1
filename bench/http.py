"""The whole server over HTTP, beside a bare one that reads and answers the same bytes without any work between.

Rivals are asked in turn, A B A B, and compared turn by turn, so that whatever else the machine does meets both; the
median of the turns counts. During its rival's turn Palmares is halted: what it does behind the scenes would slow the
rival down on their common core. It has to catch up in its own turn.
"""

from __future__ import annotations

import asyncio
import gc
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple, TypeVar

import uvloop

from bench import load, machine, processes, rivals, world
from bench.finding import Finding
from bench.processes import Served
from bench.seed import copy_of_world

Outcome = TypeVar("Outcome")
_EVENTS_PER_BATCH = 1_000
_BATCHES_AT_ONCE = 8
_COMMANDS_PER_PIPELINE = 32
_PIPELINES_AT_ONCE = 4
_RANKING = b"ranking"


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured: users, different events, turns of each rival and their length, events that are timed.

    With more than 100,000 timed events, the projection is filled at least once meanwhile.
    """

    users: int
    restart_users: int
    events: int
    turns: int
    turn_seconds: float
    warm_up_seconds: float
    timed_events: int


class Pace(NamedTuple):
    """What a server did in a turn: so much a second, and the processor's microseconds that each took of it.

    The rate suffers from whatever else runs on the machine, processor time hardly.
    """

    rate: float
    cpu_micros: float


Turn = Callable[[float], Pace]


class Turns(NamedTuple):
    """What each did, turn by turn."""

    ours: list[Pace]
    rivals: list[Pace]

    @property
    def ratio(self) -> float:
        """The median of the ratios of the turns."""
        return median(our.rate / rival.rate for our, rival in zip(self.ours, self.rivals, strict=True))

    @property
    def cpu_ratio(self) -> float:
        """The same as far as it is a matter of the processor."""
        return median(rival.cpu_micros / our.cpu_micros for our, rival in zip(self.ours, self.rivals, strict=True))


def measure_ceiling(scale: Scale) -> Iterator[Finding]:
    """Whether the load generator can ask for more than even the bare server can answer."""
    request = world.event_requests(scale.users, 1, seed=1)[0]
    with processes.bare(201, b"x" * 2_000) as bare:
        began = bare.cpu_seconds
        run = _run(load.closed_loop(bare.port, cycle([request]), scale.warm_up_seconds + scale.turn_seconds))
        serving = (bare.cpu_seconds - began) / run.seconds
    yield Finding(
        "load generator: share of its core, asking bare",
        f"{run.busy:.0%}",
        f"bare {serving:.0%} at {run.rate:,.0f}/s",
        target="≤ 80%",
        reached=run.busy <= 0.8,
    )


def measure_reads(scale: Scale) -> Iterator[Finding]:
    """A standing, the first ten, five rows around a user."""
    asked = {
        "standing": world.standing_requests(scale.users, 50_000, seed=2),
        "top 10": [world.top_request()],
        "around a user, ±5": world.around_requests(scale.users, 50_000, seed=3),
    }
    with _world(scale.users) as folder, processes.palmares(folder) as server:
        for what, requests in asked.items():
            with bare_like(server, requests[0]) as bare:
                turns = against_bare(scale, server, bare, cycle(requests))
            yield from beside(f"read: {what}, {short(scale.users)} users", turns, "bare", target=0.65)


def measure_events(scale: Scale) -> Iterator[Finding]:
    """Single events, each counted on three boards and durable before its answer."""
    requests = cycle(world.event_requests(scale.users, scale.events, seed=4))
    what = f"event: 3 boards, {short(scale.users)} users"
    with (
        _world(scale.users) as folder,
        processes.palmares(folder) as server,
        bare_like(server, next(requests)) as bare,
    ):
        turns = against_bare(scale, server, bare, requests)
        yield from beside(what, turns, "bare", target=0.45)
        half = median(pace.rate for pace in turns.ours) / 2
        took = _run(load.open_loop(server.port, requests, half, scale.timed_events / half))
        yield _latency(f"{what}, at half load ({half:,.0f}/s)", took)
        turns = against_bare(scale, server, bare, world.with_keys(requests))
        yield from beside(f"{what}, with an idempotency key", turns, "bare")


def measure_batches(scale: Scale) -> Iterator[Finding]:
    """Batches of 1,000 events on one board, beside Valkey adding to a sorted set with as many members."""
    requests = world.batch_requests(scale.users, 200, _EVENTS_PER_BATCH, seed=6)
    with _world(scale.users) as folder, processes.palmares(folder) as server, _filled_valkey(scale.users) as rival:
        _leave_one_board(server)
        increments = [
            rivals.command(b"ZINCRBY", _RANKING, b"1", world.user_id(number).encode())
            for number in world.draw_users(scale.users, 200_000, seed=6)
        ]
        pipelines = cycle(rivals.batches(increments, _COMMANDS_PER_PIPELINE))
        ours = _closed(server, cycle(requests), _BATCHES_AT_ONCE, _EVENTS_PER_BATCH)
        theirs = _closed(rival, pipelines, _PIPELINES_AT_ONCE, _COMMANDS_PER_PIPELINE, _are_increments)
        turns = _in_turn(scale, server, ours, theirs)
    what = f"batch: events in lists of 1,000, 1 board, {short(scale.users)} users"
    yield from beside(what, turns, "Valkey ZINCRBY", target=1.0)


def measure_restart(scale: Scale) -> Iterator[Finding]:
    """From the start of the process to the first right answer, and how much memory it then holds."""
    users = scale.restart_users
    request = world.standing_requests(users, 1, seed=7)[0]
    with _world(users) as folder:
        with processes.palmares(folder) as server:
            _leave_one_board(server)
            right = ask(server, request)
        restarts = [_restart(folder, request, right) for _ in range(3)]
        lost = _crash(scale, folder)
        after_crash = _restart(folder, request)
    with tempfile.TemporaryDirectory() as empty:
        base = _restart(Path(empty)).resident_bytes
    seconds = median(restart.seconds for restart in restarts)
    size = (median(restart.resident_bytes for restart in restarts) - base) / users
    yield Finding(
        f"restart: to the first answer, {short(users)} participants",
        f"{seconds:.1f} s",
        target="≤ 10 s at 10 M",
        reached=seconds <= 10 if users >= 10_000_000 else None,
    )
    yield Finding(f"restart: after a crash, {lost:,} events behind the checkpoint", f"{after_crash.seconds:.1f} s")
    yield Finding(f"memory: resident bytes a participant, {short(users)}", f"{size:.0f}")


class _Restart(NamedTuple):
    seconds: float
    resident_bytes: int


def _restart(folder: Path, request: bytes | None = None, right: bytes | None = None) -> _Restart:
    """Start a server, and wait for the answer if something is asked; raises when it is not the right one."""
    began = time.perf_counter()
    with processes.palmares(folder) as server:
        if request is not None and right not in (ask(server, request), None):
            raise RuntimeError("the first answer after a restart is wrong")
        return _Restart(time.perf_counter() - began, server.resident_bytes)


def _crash(scale: Scale, folder: Path) -> int:
    """Record events, then kill the server; returns how many events the checkpoint does not have."""
    requests = world.batch_requests(scale.restart_users, 100, _EVENTS_PER_BATCH, seed=8)
    with processes.palmares(folder) as server:
        run = _run(load.closed_loop(server.port, cycle(requests), scale.turn_seconds, _BATCHES_AT_ONCE))
        server.kill()
    return run.answers * _EVENTS_PER_BATCH


def _in_turn(scale: Scale, server: Served, ours: Turn, theirs: Turn) -> Turns:
    """Both in turn, after a warm-up of each; `server` is ours."""
    ours(scale.warm_up_seconds)
    theirs(scale.warm_up_seconds)
    turns = Turns([], [])
    for _ in range(scale.turns):
        turns.ours.append(ours(scale.turn_seconds))
        with server.halted():
            turns.rivals.append(theirs(scale.turn_seconds))
    return turns


def against_bare(scale: Scale, server: Served, bare: Served, requests: Iterator[bytes]) -> Turns:
    """A server and the bare one in turn."""
    # The bare server sees the same few again and again: to it all are alike, and ours should meet no user too often.
    some = cycle(list(islice(requests, 1_000)))
    return _in_turn(scale, server, _closed(server, requests), _closed(bare, some))


def _closed(
    server: Served | rivals.Valkey,
    requests: Iterator[bytes],
    connections: int = load.CONNECTIONS,
    counting: int = 1,
    is_whole: load.IsWhole = load.http_answer,
) -> Turn:
    """A turn of so many seconds, in which each answer counts so much."""

    def turn(seconds: float) -> Pace:
        began = server.cpu_seconds
        run = _run(load.closed_loop(server.port, requests, seconds, connections, is_whole))
        cpu_seconds = server.cpu_seconds - began
        return Pace(run.rate * counting, cpu_seconds * 1e6 / (run.answers * counting))

    return turn


def _are_increments(received: bytes) -> bool:
    """Whether the answers to a pipeline of increments are there: each a length and a number."""
    if received.startswith(b"-"):
        raise load.Refused(received.decode())
    return received.count(b"\r\n") == 2 * _COMMANDS_PER_PIPELINE


def _run(measurement: Coroutine[Any, Any, Outcome]) -> Outcome:
    """Run a part of the load generator, on its core, undisturbed by the garbage collector."""
    gc.collect()
    gc.disable()
    try:
        with machine.staying_on(machine.LOAD_CORE), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(measurement)
    finally:
        gc.enable()


@contextmanager
def _world(users: int) -> Iterator[Path]:
    """A data folder of its own, in which so many users have a value."""
    with tempfile.TemporaryDirectory(prefix="palmares-bench-") as folder:
        yield copy_of_world(users, Path(folder))


@contextmanager
def bare_like(server: Served, request: bytes) -> Iterator[Served]:
    """A bare server that answers as the server does to one request."""
    answer = ask(server, request)
    with processes.bare(int(answer[9:12]), answer.partition(b"\r\n\r\n")[2]) as bare:
        yield bare


@contextmanager
def _filled_valkey(members: int) -> Iterator[rivals.Valkey]:
    """A Valkey on the serving core with one sorted set."""
    with machine.staying_on(machine.SERVING_CORE), rivals.valkey() as rival:
        with machine.staying_on(machine.LOAD_CORE):
            for start in range(0, members, 1_000):
                numbers = range(start, min(start + 1_000, members))
                pairs = [word for number in numbers for word in (b"%d" % number, world.user_id(number).encode())]
                rival.send(rivals.command(b"ZADD", _RANKING, *pairs), lines=1)
        yield rival


def ask(server: Served, request: bytes) -> bytes:
    """One whole answer."""
    return _run(load.ask(server.port, request))


def _leave_one_board(server: Served) -> None:
    """Make all boards but one inactive."""
    hidden = [{"id": str(board.id), "status": "inactive"} for board in world.boards(world.METRIC)[1:]]
    ask(server, world.post("/admin/v1/leaderboards", hidden, "PATCH"))


def beside(what: str, turns: Turns, rival: str, target: float | None = None) -> Iterator[Finding]:
    """What turns have shown: the rate, and the processor time of one answer."""
    yield Finding(
        what,
        f"{median(pace.rate for pace in turns.ours):,.0f}/s",
        f"{rival} {median(pace.rate for pace in turns.rivals):,.0f}/s",
        f"{turns.ratio:.2f} ×",
        "" if target is None else f"≥ {target} ×",
        None if target is None else turns.ratio >= target,
    )
    yield Finding(
        f"{what}: processor time of one",
        f"{median(pace.cpu_micros for pace in turns.ours):.1f} µs",
        f"{rival} {median(pace.cpu_micros for pace in turns.rivals):.1f} µs",
        f"{turns.cpu_ratio:.2f} ×",
    )


def _latency(what: str, took: Sequence[float]) -> Finding:
    milliseconds = {percent: load.percentile(took, percent) * 1000 for percent in (50, 99, 99.9)}
    shown = ", ".join(f"p{percent} {value:.1f}" for percent, value in milliseconds.items())
    return Finding(what, f"{shown} ms", target="p99 ≤ 15 ms", reached=milliseconds[99] <= 15)


def short(count: int) -> str:
    """A number as a person says it."""
    return f"{count // 1_000_000} M" if count >= 1_000_000 else f"{count // 1_000} k"
