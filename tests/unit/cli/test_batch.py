"""Only the bad events of a refused batch are left out, and the order stays."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palmares.cli.batch import MOST_BYTES, MOST_ITEMS, Line, Sender, batches
from palmares.cli.client import Refused, Reply


class Server:
    """Takes a batch whole or refuses it whole, as the batch route does. An item is bad when it is in `bad`."""

    def __init__(self, bad: set[int], complaint: Callable[[int, int], str]) -> None:
        self.bad = bad
        self.complaint = complaint
        self.taken: list[int] = []
        self.requests = 0

    def post(self, body: bytes) -> Reply:
        self.requests += 1
        items = json.loads(body)
        for index, item in enumerate(items):
            if item in self.bad:
                return Reply(422, json.dumps({"error": self.complaint(index, item)}).encode())
        self.taken += items
        return Reply(202, json.dumps({"accepted": len(items)}).encode())


def pointing(index: int, item: int) -> str:
    return f"[{index}].value: {item} is bad"


def silent(index: int, item: int) -> str:
    return "one of the items is bad"


def lying(index: int, item: int) -> str:
    return f"[{item % 7}].value: {item} is bad"


def lines(count: int) -> list[Line]:
    """Lines 1 to count; each item is its line's number."""
    return [Line(number, b"%d" % number) for number in range(1, count + 1)]


@given(
    count=st.integers(1, 60),
    bad=st.sets(st.integers(1, 60)),
    complaint=st.sampled_from([pointing, silent, lying]),
)
def test_exactly_the_bad_items_are_rejected_and_the_others_arrive_in_order(
    count: int, bad: set[int], complaint: Callable[[int, int], str]
) -> None:
    """Whatever the server's message points to, even to the wrong item."""
    server, rejected = Server(bad, complaint), []
    sender = Sender(server.post, lambda line, reason: rejected.append(line))

    sender.send(lines(count))

    assert server.taken == [number for number in range(1, count + 1) if number not in bad]
    assert rejected == [number for number in range(1, count + 1) if number in bad]
    assert sender.accepted == len(server.taken)


def test_a_batch_without_bad_items_is_one_request() -> None:
    """Cutting is for refused batches only."""
    server = Server(set(), silent)

    Sender(server.post, lambda line, reason: None).send(lines(1000))

    assert server.requests == 1


def test_a_message_that_points_to_the_bad_item_saves_the_halving() -> None:
    """One bad item among a thousand costs three more requests."""
    server = Server({500}, pointing)

    Sender(server.post, lambda line, reason: None).send(lines(1000))

    assert server.requests == 4


def test_a_batch_of_nothing_but_bad_items_is_taken_apart() -> None:
    """A thousand bad lines in a row do not exhaust the stack."""
    server, rejected = Server(set(range(1, 1001)), pointing), []

    Sender(server.post, lambda line, reason: rejected.append(line)).send(lines(1000))

    assert rejected == list(range(1, 1001))


def test_a_reason_does_not_say_which_item_of_its_request_it_is_about() -> None:
    """The person who reads it knows the line; the index was that of a request of one."""
    server, reasons = Server({3}, pointing), []

    Sender(server.post, lambda line, reason: reasons.append(reason)).send(lines(5))

    assert reasons == ["value: 3 is bad"]


@pytest.mark.parametrize("status", [401, 403, 405])
def test_a_refusal_that_is_not_about_the_events_stops_the_sending(status: int) -> None:
    """A wrong key would otherwise reject every line of the file."""
    sender = Sender(lambda body: Reply(status, b'{"error": "no"}'), lambda line, reason: None)

    with pytest.raises(Refused, match=f"{status}: no"):
        sender.send(lines(2))


def test_a_batch_holds_at_most_as_many_items_as_the_route_takes() -> None:
    """The route's limit is 1,000 items."""
    assert [len(batch) for batch in batches(lines(2 * MOST_ITEMS + 1))] == [MOST_ITEMS, MOST_ITEMS, 1]


def test_large_items_make_smaller_batches() -> None:
    """A request body stays below what servers take."""
    large = [Line(number, b"x" * (MOST_BYTES // 3)) for number in range(1, 6)]

    assert [len(batch) for batch in batches(large)] == [2, 2, 1]


def test_an_item_larger_than_a_batch_is_sent_alone() -> None:
    """The server decides about it."""
    huge = [Line(1, b"1"), Line(2, b"x" * (2 * MOST_BYTES)), Line(3, b"3")]

    assert [len(batch) for batch in batches(huge)] == [1, 1, 1]
