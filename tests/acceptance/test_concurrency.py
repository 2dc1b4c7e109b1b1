"""Many requests at once: nothing is lost, doubled or half-done, and what is too much is refused before it is stored."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import httpx
import pytest
from trophy import TrophyApi, UpsertedUser

from tests.acceptance.calls import Caller, together
from tests.acceptance.conftest import Start
from tests.acceptance.process import ADMIN_KEY, Process
from tests.acceptance.sdk import environment

numbers = count(1)


@pytest.fixture
def board(caller: Caller) -> str:
    """A metric of its own for each test and a board that ranks by it; both have this key."""
    return define(caller, f"many{next(numbers)}")


def define(caller: Caller, key: str) -> str:
    """A metric, and a board of the same key that ranks by it."""
    caller.define_board(key, caller.define_metric(key))
    return key


def item(board: str, user: str, value: Any = 1, **fields: Any) -> dict[str, Any]:
    """An event of a batch."""
    return {"key": board, "user": {"id": user}, "value": value} | fields


def test_200_parallel_events_of_one_user_all_count(caller: Caller, board: str) -> None:
    """In some order: each total from 1 to 200 is answered once, and the user's rank is told with each."""
    answers = together(lambda _: caller.event(board, board, 1), 200)
    assert {answer.status_code for answer in answers} == {201}
    assert sorted(answer.json()["total"] for answer in answers) == list(range(1, 201))
    # Ids sort like places in the log, and totals like them.
    in_log = sorted(answers, key=lambda answer: answer.json()["eventId"])
    assert [answer.json()["total"] for answer in in_log] == list(range(1, 201))
    first, *others = [answer.json()["leaderboards"][board]["previousRank"] for answer in in_log]
    assert first is None
    assert set(others) == {1}
    assert caller.page(board) == [(1, board, 200)]


def test_20_parallel_requests_with_one_idempotency_key_count_once(caller: Caller, board: str) -> None:
    """Exactly one is processed; the others wait and answer with the first one's id and the present state."""
    answers = together(lambda number: caller.event(board, board, number + 1, key="one"), 20)
    first = [answer.json() for answer in answers if answer.status_code == 201]
    replays = [answer.json() for answer in answers if answer.status_code == 202]
    assert (len(first), len(replays)) == (1, 19)
    assert first[0]["idempotentReplayed"] is False
    assert {(one["eventId"], one["total"], one["idempotentReplayed"]) for one in replays} == {
        (first[0]["eventId"], first[0]["total"], True)
    }
    assert caller.total(board, board) == first[0]["total"]


def test_one_key_counts_once_over_both_routes(caller: Caller, board: str) -> None:
    """Single events and batches in parallel, all with the same key, and twice within each batch."""
    twice = [item(board, board, idempotencyKey="one"), item(board, board, idempotencyKey="one")]
    answers = together(
        lambda number: caller.event(board, board, 1, key="one") if number % 2 else caller.batch(twice), 20
    )
    assert {answer.status_code for answer in answers} <= {201, 202}
    assert caller.total(board, board) == 1


def test_parallel_batches_of_a_thousand_are_counted_whole(caller: Caller, board: str) -> None:
    """Four batches over the same hundred users: every total is exact and the ranking complete."""
    answers = together(lambda _: caller.batch(item(board, f"{board}-{n % 100:02}", n % 100) for n in range(1000)), 4)
    assert [(answer.status_code, answer.json()) for answer in answers] == [(202, {"accepted": 1000})] * 4
    expected = [(100 - n, f"{board}-{n:02}", 40 * n) for n in range(99, -1, -1)]
    assert caller.page(board, limit=100) == expected


BAD = {
    "unknown metric": (404, lambda key: item(f"{key}-nope", key)),
    "unknown user attribute": (400, lambda key: item(key, key) | {"user": {"id": key, "attributes": {"nope": "x"}}}),
    "unknown event attribute": (400, lambda key: item(key, key, attributes={"nope": "x"})),
    "emails without an address": (400, lambda key: item(key, key) | {"user": {"id": key, "subscribeToEmails": True}}),
    "no value": (422, lambda key: {"key": key, "user": {"id": key}}),
    "value as text": (422, lambda key: item(key, key, "1")),
    "no user": (422, lambda key: {"key": key, "value": 1}),
    "empty user id": (422, lambda key: item(key, "")),
    "user id too long": (422, lambda key: item(key, "x" * 256)),
    "unknown zone": (422, lambda key: item(key, key) | {"user": {"id": key, "tz": "Mars/Olympus"}}),
    "not an object": (422, lambda key: 5),
    "value out of range": (422, lambda key: item(key, key, 9_223_372_036_855)),
    "total out of range": (422, lambda key: item(key, f"{key}-rich", 9_223_372_036_854)),
    "in the future": (422, lambda key: item(key, key, timestamp="2999-01-01T00:00:00Z")),
    "no date-time": (422, lambda key: item(key, key, timestamp="2026-03-04")),
}


@pytest.mark.parametrize("place", [0, 500, 999])
@pytest.mark.parametrize("bad", BAD)
def test_one_bad_item_refuses_a_whole_batch(caller: Caller, board: str, bad: str, place: int) -> None:
    """Nothing of the 999 good ones is there, not even their users; without the bad one, the same keys are new."""
    assert caller.batch([item(board, f"{board}-rich", 1)]).status_code == 202
    items = [item(board, f"{board}-{n}", 1, idempotencyKey=f"k{n}") for n in range(1000)]
    status, make = BAD[bad]
    answer = caller.batch([*items[:place], make(board), *items[place + 1 :]])
    assert (answer.status_code, set(answer.json())) == (status, {"error"})
    assert caller.page(board) == [(1, f"{board}-rich", 1)]
    assert caller.send("GET", f"/v1/users/{board}-{(place + 1) % 1000}").status_code == 404
    # The message names the place, so that an importer can leave the item out.
    assert answer.json()["error"].startswith(f"[{place}]")


def test_a_refused_batch_can_be_sent_again_without_its_bad_item(caller: Caller, board: str) -> None:
    """Its idempotency keys were not used up."""
    items = [item(board, f"{board}-{n}", 1, idempotencyKey=f"k{n}") for n in range(1000)]
    assert caller.batch([*items[:999], item(f"{board}-nope", board)]).status_code == 404
    assert caller.batch(items).status_code == 202
    assert caller.batch(items).status_code == 202
    assert caller.get(f"/v1/leaderboards/{board}")["totalParticipants"] == 1000
    assert caller.total(f"{board}-0", board) == 1


@pytest.mark.parametrize("size", [0, 1001])
def test_a_batch_of_no_or_too_many_items_is_refused(caller: Caller, board: str, size: int) -> None:
    """The limits are 1 and 1,000."""
    answer = caller.batch([item(board, board)] * size)
    assert (answer.status_code, set(answer.json())) == (422, {"error"})
    assert caller.page(board) == []


def test_readers_see_a_batch_whole_or_not_at_all(caller: Caller, board: str) -> None:
    """While batches of a hundred users come, every page has all hundred, and all with the same value."""
    batches = 20
    done = threading.Event()

    def write() -> None:
        for _ in range(batches):
            assert caller.batch(item(board, f"{board}-{n:02}") for n in range(100)).status_code == 202
        done.set()

    pages = []
    with ThreadPoolExecutor(1) as writer:
        writing = writer.submit(write)
        while not (done.is_set() or writing.done()):
            pages.append(caller.page(board, limit=100))
        writing.result()
    pages.append(caller.page(board, limit=100))
    for page in pages:
        assert len(page) in (0, 100)
        assert len({value for _, _, value in page}) <= 1
    assert {value for _, _, value in pages[-1]} == {batches}


def test_a_full_queue_refuses_before_anything_is_stored(start: Start, call: Callable[[Process], Caller]) -> None:
    """429 says when to try again; exactly the events that were answered 201 count."""
    caller = call(start(PALMARES_QUEUE_LIMIT="1"))
    board = define(caller, "many")
    answers = flood(lambda number: caller.event(board, f"u{number % 7}", 1, key=f"k{number}"))
    counted = [answer for answer in answers if answer.status_code == 201]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(counted) + len(refused) == len(answers)
    for answer in refused:
        assert set(answer.json()) == {"error"}
        assert int(answer.headers["Retry-After"]) >= 1
        assert int(answer.headers["X-RateLimit-Reset"]) > 1_700_000_000
    assert sum(value for _, _, value in caller.page(board)) == len(counted)
    refusals = caller.figure('palmares_requests_total{route="POST /v1/metrics/{key}/event",status="429"}')
    assert refusals == len(refused)
    # What was refused has not used up its key.
    again = [caller.event(board, f"u{n % 7}", 1, key=f"k{n}").status_code for n in range(len(answers))]
    assert again.count(201) == len(refused)
    assert sum(value for _, _, value in caller.page(board)) == len(answers)


def test_the_sdk_tries_again_when_the_queue_is_full(start: Start, call: Callable[[Process], Caller]) -> None:
    """It waits as long as the answer says and gets through, and its event counts once."""
    process = start(PALMARES_QUEUE_LIMIT="1")
    caller = call(process)
    board = define(caller, "many")
    statuses: list[int] = []
    refused = threading.Event()

    def note(answer: httpx.Response) -> None:
        statuses.append(answer.status_code)
        if answer.status_code == 429:
            refused.set()

    def press(number: int) -> None:
        while not refused.is_set():
            caller.event(board, f"other{number}", 1)

    def drive(client: TrophyApi) -> None:
        for number in range(10_000):
            client.metrics.event(key=board, user=UpsertedUser(id="patient"), value=1, idempotency_key=str(number))
            if refused.is_set():
                return

    with httpx.Client(timeout=60, event_hooks={"response": [note]}) as connection, ThreadPoolExecutor(16) as threads:
        client = TrophyApi(environment=environment(process.address), api_key=ADMIN_KEY, httpx_client=connection)
        pressing = [threads.submit(press, number) for number in range(15)]
        try:
            drive(client)
        finally:
            refused.set()
        for one in pressing:
            one.result()
    assert statuses.count(429) >= 1
    assert statuses[-1] == 201
    assert caller.total("patient", board) == statuses.count(201)


def flood(send: Callable[[int], httpx.Response]) -> list[httpx.Response]:
    """Send forty requests at a time until one is refused for a full queue; all answers, in the order of sending."""
    answers: list[httpx.Response] = []
    for _ in range(50):
        base = len(answers)
        answers += together(lambda number, base=base: send(base + number), 40)
        if any(answer.status_code == 429 for answer in answers):
            return answers
    raise AssertionError("the queue was never full")
