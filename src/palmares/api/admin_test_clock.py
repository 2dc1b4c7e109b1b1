"""The test clock for administrators: where it stands, and move it. There only on a server that was started with one."""

from __future__ import annotations

from msgspec import Struct
from msgspec.json import Decoder

from palmares.api.endpoint import Answer, Call, Endpoint, read_body
from palmares.api.wire import Instant
from palmares.domain.local_time import format_instant
from palmares.service.test_clock import ClockMover, parse_stand


class TestClock(Struct):
    """The instant that the server takes for the present."""

    now: Instant


_DECODER = Decoder(TestClock)


def endpoints_of(mover: ClockMover) -> tuple[Endpoint, ...]:
    """The endpoints of one test clock."""

    async def get_test_clock(call: Call) -> Answer:
        return Answer(200, TestClock(format_instant(mover.now)))

    async def put_test_clock(call: Call) -> Answer:
        await mover.move(parse_stand(read_body(call, _DECODER).now))
        return Answer(200, TestClock(format_instant(mover.now)))

    answers = {200: TestClock}
    return (
        Endpoint("GET", "/test-clock", get_test_clock, "Get where the test clock stands", answers),
        Endpoint("PUT", "/test-clock", put_test_clock, "Move the test clock forward", answers, body=TestClock),
    )
