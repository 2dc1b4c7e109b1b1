"""The official SDK drives the server; nothing is changed but its base URLs and its key.

Every test runs with the synchronous client and with the asynchronous one. The SDK checks each answer against its own
models and raises `ParsingError` where one does not fit, so a test that passes shows that, too.
"""

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from trophy import (
    BatchMetricEvent,
    BatchMetricEventUser,
    CreateLeaderboardRequestItemUserAttributesItem,
    CreateMetricRequestItem,
    UpdateAttributeRequestItem,
    UpdateLeaderboardRequestItem,
    UpdateMetricRequestItem,
    UpsertedUser,
)
from trophy.core.api_error import ApiError
from trophy.errors import BadRequestError, NotFoundError, UnauthorizedError, UnprocessableEntityError

from tests.acceptance.process import ADMIN_KEY, Process
from tests.acceptance.sdk import awaited_client, define_attribute, define_board, define_metric, sync_client

CLIENTS = {"sync": sync_client, "async": awaited_client}
UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"
numbers = count(1)


@pytest.fixture(scope="module", params=CLIENTS)
def client(request: pytest.FixtureRequest, server: Process) -> Iterator[Any]:
    """The SDK with a key that opens everything."""
    with CLIENTS[request.param](server.address, ADMIN_KEY) as client:
        yield client


@pytest.fixture
def mark() -> str:
    """What the keys and ids of one test begin with."""
    return f"sdk{next(numbers)}"


def sent(key: str, user: str, value: float, **fields: Any) -> BatchMetricEvent:
    """An event of a batch. Fields are the user's, but for the time and the idempotency key."""
    beside = {name: fields.pop(name) for name in ("timestamp", "idempotency_key") if name in fields}
    return BatchMetricEvent(key=key, user=BatchMetricEventUser(id=user, **fields), value=value, **beside)


def rows(page: Any) -> list[tuple[int, str, int]]:
    """(rank, user, value) of each row."""
    return [(row.rank, row.user_id, row.value) for row in page.rankings]


def test_attributes_are_defined_listed_renamed_and_deleted(client: Any, mark: str) -> None:
    """Every call of `admin.attributes`."""
    pool = define_attribute(client, f"{mark}-pool")
    stroke = define_attribute(client, f"{mark}-stroke", "event")
    assert client.admin.attributes.get(pool).type == "user"
    assert client.admin.attributes.get(stroke).key == f"{mark}-stroke"
    assert {pool, stroke} <= {one.id for one in listed(client.admin.attributes)}
    changed = client.admin.attributes.update(request=[UpdateAttributeRequestItem(id=pool, name="Swimming pool")])
    assert [one.name for one in changed.updated] == ["Swimming pool"]
    removed = client.admin.attributes.delete(ids=[pool, stroke])
    assert [one.id for one in removed.deleted] == [pool, stroke]
    with pytest.raises(NotFoundError):
        client.admin.attributes.get(pool)


def test_metrics_are_defined_listed_renamed_and_deleted(client: Any, mark: str) -> None:
    """Every call of `admin.metrics` but events; one item that cannot be created does not stop the others."""
    items = [
        CreateMetricRequestItem(name="Laps swum", key=f"{mark}-laps", units="laps"),
        CreateMetricRequestItem(name="Broken", key="has space"),
        CreateMetricRequestItem(name="Money spent", key=f"{mark}-money", unit_type="currency", units="EUR"),
    ]
    made = client.admin.metrics.create(request=items)
    assert [(one.key, one.unit_type, one.units) for one in made.created] == [
        (f"{mark}-laps", "number", "laps"),
        (f"{mark}-money", "currency", "EUR"),
    ]
    assert [(one.index, one.severity) for one in made.issues] == [(1, "error")]
    laps, money = (one.id for one in made.created)
    assert client.admin.metrics.get(laps).name == "Laps swum"
    assert {laps, money} <= {one.id for one in listed(client.admin.metrics)}
    changed = client.admin.metrics.update(request=[UpdateMetricRequestItem(id=laps, name="Laps")])
    assert [one.name for one in changed.updated] == ["Laps"]
    removed = client.admin.metrics.delete(ids=[laps, UNKNOWN_ID])
    assert [one.id for one in removed.deleted] == [laps]
    assert [(one.id, one.severity) for one in removed.issues] == [(UNKNOWN_ID, "error")]
    with pytest.raises(ApiError) as refusal:
        client.metrics.event(key=f"{mark}-laps", user=UpsertedUser(id=mark), value=1)
    assert refusal.value.status_code == 404


def test_boards_are_defined_listed_changed_and_deleted(client: Any, mark: str) -> None:
    """Every call of `admin.leaderboards`; a board that is active locks what its rankings depend on."""
    laps, pool = define_metric(client, f"{mark}-laps"), define_attribute(client, f"{mark}-pool")
    matching = CreateLeaderboardRequestItemUserAttributesItem(attribute_id=pool, attribute_value="east")
    board = define_board(
        client, f"{mark}-weekly", laps, status="inactive", user_attributes=[matching],
        breakdown_attributes=[pool], run_unit="day", run_interval=7, end="2026-12-31", start_time="06:00",
    )  # fmt: skip
    shown = client.admin.leaderboards.get(board)
    assert (shown.status, shown.start, shown.end, shown.start_time) == ("inactive", "2026-03-02", "2026-12-31", "06:00")
    assert (shown.run_unit, shown.run_interval, shown.max_participants) == ("day", 7, 1_000_000)
    assert shown.breakdown_attributes == [pool]
    assert [(one.attribute_id, one.attribute_value) for one in shown.user_attributes] == [(pool, "east")]
    assert board in {one.id for one in listed(client.admin.leaderboards)}

    given = UpdateLeaderboardRequestItem(id=board, status="active", end=None, name="Weekly Laps")
    [activated] = client.admin.leaderboards.update(request=[given]).updated
    assert (activated.status, activated.name) == ("active", "Weekly Laps")
    refused = client.admin.leaderboards.update(request=[UpdateLeaderboardRequestItem(id=board, key="other")])
    assert refused.updated == []
    assert [(one.id, one.severity) for one in refused.issues] == [(board, "error")]
    assert client.admin.leaderboards.get(board).key == f"{mark}-weekly"

    assert [one.id for one in client.admin.leaderboards.delete(ids=board).deleted] == [board]
    with pytest.raises(ApiError) as gone:
        client.leaderboards.get(f"{mark}-weekly", user_attributes=f"{mark}-pool:east")
    assert gone.value.status_code == 404


def test_an_event_answers_where_it_left_its_user_on_each_board(client: Any, mark: str) -> None:
    """The contract's example: from rank 9 to rank 4 with 12 laps, in the group of the user's pool."""
    laps, pool = define_metric(client, f"{mark}-laps"), define_attribute(client, f"{mark}-pool")
    # A run of fifty years, so that no midnight falls into the test.
    board = define_board(
        client, f"{mark}-laps", laps, breakdown_attributes=[pool], max_participants=100,
        run_unit="year", run_interval=50,
    )  # fmt: skip
    define_board(client, f"{mark}-unmoved", define_metric(client, f"{mark}-other"))
    east, key = {f"{mark}-pool": "east"}, f"{mark}-laps"
    before = {"swim-7": 46, "a": 70, "b": 65, "swim-2": 61, "c": 57, "swim-31": 56, "d": 55, "e": 50, "f": 47}
    client.admin.metrics.batch_events(
        request=[
            sent(key, f"{mark}swim-7", 82, timestamp="2026-02-27T08:00:00Z"),
            *(sent(key, mark + user, value, attributes=east) for user, value in before.items()),
        ]
    )
    noor = UpsertedUser(id=f"{mark}swim-7", name="Noor Haddad", attributes=east)
    answer = client.metrics.event(key=key, user=noor, value=12, idempotency_key="session-884")
    assert (answer.metric_id, answer.total, answer.achievements, answer.points) == (laps, 140, [], {})
    # The batch came today, too, and began the streak.
    assert answer.current_streak.length == 1
    assert answer.current_streak.extended is False
    assert (answer.idempotency_key, answer.idempotent_replayed) == ("session-884", False)
    assert list(answer.leaderboards) == [f"{mark}-laps"]
    counted = answer.leaderboards[f"{mark}-laps"]
    assert (counted.id, counted.rank, counted.previous_rank, counted.threshold) == (board, 4, 9, 0)
    assert (counted.start, counted.end, counted.run_unit) == ("2026-03-02", "2076-03-01", "year")
    assert (counted.breakdown_attribute, counted.breakdown_attribute_value) == (f"{mark}-pool", "east")
    assert [(one.key, one.value) for one in counted.breakdown_attribute_values] == [(f"{mark}-pool", "east")]

    # An equal value that was reached later stands below.
    client.metrics.event(key=key, user=UpsertedUser(id=f"{mark}swim-31"), value=2)
    page = client.leaderboards.get(
        f"{mark}-laps", user_id=f"{mark}swim-7", offset=-1, limit=3, user_attributes=f"{mark}-pool:east"
    )
    assert rows(page) == [(3, f"{mark}swim-2", 61), (4, f"{mark}swim-7", 58), (5, f"{mark}swim-31", 58)]
    assert [row.user_name for row in page.rankings] == [None, "Noor Haddad", None]


def test_an_event_sent_twice_with_one_key_counts_once(client: Any, mark: str) -> None:
    """The second answer is marked as replayed, names the first event, and changes nothing, not even the user."""
    key = f"{mark}-laps"
    define_board(client, key, define_metric(client, key))
    first = client.metrics.event(key=key, user=UpsertedUser(id=mark, name="Noor"), value=3, idempotency_key="k")
    again = client.metrics.event(key=key, user=UpsertedUser(id=mark, name="Ivo"), value=5, idempotency_key="k")
    other = client.metrics.event(key=key, user=UpsertedUser(id=f"{mark}b"), value=5, idempotency_key="k")
    assert (first.idempotent_replayed, again.idempotent_replayed, other.idempotent_replayed) == (False, True, False)
    assert (again.event_id, again.total) == (first.event_id, 3)
    assert (again.leaderboards[key].rank, again.leaderboards[key].previous_rank) == (1, 1)
    assert client.users.get(mark).name == "Noor"
    assert rows(client.leaderboards.get(key)) == [(1, f"{mark}b", 5), (2, mark, 3)]
    # The batch route knows the same keys.
    accepted = client.admin.metrics.batch_events(request=[sent(key, mark, 9, idempotency_key="k")])
    assert accepted.accepted == 1
    assert client.users.single_metric(mark, key).current == 3


def test_numbers_are_exact_and_rounded_only_on_boards(client: Any, mark: str) -> None:
    """Ten events of 0.1 are 1, and a value of 2.5 is shown as 3."""
    key = f"{mark}-laps"
    define_board(client, key, define_metric(client, key))
    client.admin.metrics.batch_events(request=[sent(key, mark, 0.1) for _ in range(10)])
    assert client.users.single_metric(mark, key).current == 1
    answer = client.metrics.event(key=key, user=UpsertedUser(id=mark), value=1.5)
    assert answer.total == 2.5
    assert rows(client.leaderboards.get(key)) == [(1, mark, 3)]


@pytest.fixture(scope="module")
def swimmers(client: Any) -> str:
    """A board of twelve swimmers, u1 with 120 laps down to u12 with 10; its key."""
    key = f"swimmers{next(numbers)}"
    define_board(client, key, define_metric(client, key))
    values = {f"{key}-u{place}": 130 - 10 * place for place in range(1, 13)}
    client.admin.metrics.batch_events(request=[sent(key, user, value) for user, value in values.items()])
    return key


def ranks(client: Any, key: str, user: int | None = None, **query: Any) -> list[int]:
    """The ranks of a page of `swimmers`; each row is checked to be the swimmer of that rank."""
    if user is not None:
        query["user_id"] = f"{key}-u{user}"
    page = rows(client.leaderboards.get(key, **query))
    assert page == [(rank, f"{key}-u{rank}", 130 - 10 * rank) for rank, _, _ in page]
    return [rank for rank, _, _ in page]


def test_rankings_are_read_by_page(client: Any, swimmers: str) -> None:
    """Ten rows without a limit; past the end there are none."""
    assert ranks(client, swimmers) == list(range(1, 11))
    assert ranks(client, swimmers, offset=10) == [11, 12]
    assert ranks(client, swimmers, offset=3, limit=4) == [4, 5, 6, 7]
    assert ranks(client, swimmers, limit=0) == []
    assert ranks(client, swimmers, offset=12) == []


def test_rankings_are_read_around_a_user(client: Any, swimmers: str) -> None:
    """Centred without an offset and moved inside at the ends; with one, counted from the user's row."""
    assert ranks(client, swimmers, user=6, limit=5) == [4, 5, 6, 7, 8]
    assert ranks(client, swimmers, user=6, limit=4) == [4, 5, 6, 7]
    assert ranks(client, swimmers, user=1, limit=5) == [1, 2, 3, 4, 5]
    assert ranks(client, swimmers, user=12, limit=5) == [8, 9, 10, 11, 12]
    assert ranks(client, swimmers, user=6, offset=0, limit=2) == [6, 7]
    assert ranks(client, swimmers, user=8, offset=-5) == [3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
    assert ranks(client, swimmers, user=2, offset=-5, limit=3) == [1, 2, 3]
    assert ranks(client, swimmers, user=11, offset=2, limit=3) == []
    assert ranks(client, swimmers, user=99) == []


def test_rankings_are_read_by_group(client: Any, mark: str) -> None:
    """Each combination of attribute values is a ranking; a part of a combination is the union, ranked anew."""
    key, pool, level = f"{mark}-laps", f"{mark}-pool", f"{mark}-level"
    attributes = [define_attribute(client, pool), define_attribute(client, level)]
    define_board(client, key, define_metric(client, key), breakdown_attributes=attributes)
    people = [("a", "east", "pro", 9), ("b", "east", "new", 8), ("c", "west", "pro", 7), ("d", "east", "pro", 6)]
    events = [sent(key, user, value, attributes={pool: east, level: pro}) for user, east, pro, value in people]
    client.admin.metrics.batch_events(request=[*events, sent(key, "no-group", 99)])

    def group(*values: str, **query: Any) -> list[tuple[int, str, int]]:
        return rows(client.leaderboards.get(key, user_attributes=",".join(values) or None, **query))

    assert group(f"{pool}:east", f"{level}:pro") == [(1, "a", 9), (2, "d", 6)]
    assert group(f"{pool}:east") == [(1, "a", 9), (2, "b", 8), (3, "d", 6)]
    assert group(f"{level}:pro") == [(1, "a", 9), (2, "c", 7), (3, "d", 6)]
    assert group(f"{pool}:north") == []
    assert group(user_id="d") == [(1, "a", 9), (2, "d", 6)]
    # Whoever moves takes the whole value along.
    client.users.update("d", attributes={pool: "west"})
    assert group(f"{pool}:east", f"{level}:pro") == [(1, "a", 9)]
    assert group(f"{pool}:west") == [(1, "c", 7), (2, "d", 6)]
    with pytest.raises(UnprocessableEntityError):
        group()
    with pytest.raises(UnprocessableEntityError):
        group("colour:red")


def test_rankings_are_read_by_run(client: Any, mark: str) -> None:
    """Any day selects its week; what happened later or earlier is in other weeks."""
    key = f"{mark}-laps"
    metric = define_metric(client, key)
    client.admin.metrics.batch_events(
        request_options={"additional_query_parameters": {"history": "true"}},
        request=[
            sent(key, f"{mark}a", 5, timestamp="2026-03-02T00:00:00Z"),
            sent(key, f"{mark}b", 6, timestamp="2026-03-08T23:59:59.999Z"),
            sent(key, f"{mark}b", 7, timestamp="2026-03-09T00:00:00Z"),
            # In Tokyo it is the next week already.
            sent(key, f"{mark}c", 8, timestamp="2026-03-08T15:00:00Z", tz="Asia/Tokyo"),
            sent(key, f"{mark}a", 1, timestamp="2026-03-01T23:59:59Z"),
        ],
    )
    define_board(client, key, metric, run_unit="day", run_interval=7)
    first = [(1, f"{mark}b", 6), (2, f"{mark}a", 5)]
    assert rows(client.leaderboards.get(key, run="2026-03-02")) == first
    assert rows(client.leaderboards.get(key, run="2026-03-08")) == first
    assert rows(client.leaderboards.get(key, run="2026-03-09")) == [(1, f"{mark}c", 8), (2, f"{mark}b", 7)]
    assert rows(client.leaderboards.get(key, run="2026-03-16")) == []
    standing = client.users.leaderboard(f"{mark}b", key, run="2026-03-04")
    assert (standing.rank, standing.value, standing.start, standing.end) == (1, 6, "2026-03-02", None)
    assert client.users.single_metric(f"{mark}a", key).current == 6
    for run in ("2026-03-01", "2099-01-01"):
        with pytest.raises(ApiError) as refusal:
            client.leaderboards.get(key, run=run)
        assert refusal.value.status_code == 404
    with pytest.raises(UnprocessableEntityError):
        client.leaderboards.get(key, run="2026-02-30")


def test_the_list_of_boards_shows_finished_ones_when_asked(client: Any, mark: str) -> None:
    """Oldest first; what is inactive is in no list."""
    laps = define_metric(client, f"{mark}-laps")
    define_board(client, f"{mark}-a", laps)
    define_board(client, f"{mark}-b", laps, end="2026-03-31", status="finished")
    define_board(client, f"{mark}-c", laps, status="inactive")
    define_board(client, f"{mark}-d", laps, start="2199-01-01", status="scheduled")

    def shown(**query: Any) -> list[tuple[str, str]]:
        boards = client.leaderboards.all_(**query)
        return [(one.key.removeprefix(mark), one.status) for one in boards if one.key.startswith(f"{mark}-")]

    assert shown() == [("-a", "active"), ("-d", "scheduled")]
    assert shown(include_finished=True) == [("-a", "active"), ("-b", "finished"), ("-d", "scheduled")]
    assert shown(include_finished=False) == shown()
    assert rows(client.leaderboards.get(f"{mark}-d")) == []
    with pytest.raises(ApiError) as refusal:
        client.leaderboards.get(f"{mark}-c")
    assert refusal.value.status_code == 404


def test_users_are_created_read_identified_and_updated(client: Any, mark: str) -> None:
    """Given fields replace stored ones, attributes are merged, and what is not given stays."""
    pool, level = f"{mark}-pool", f"{mark}-level"
    define_attribute(client, pool)
    define_attribute(client, level)
    made = client.users.create(
        id=mark, email="noor@example.com", name="Noor Haddad", tz="Asia/Tokyo", sign_up_date="2026-02-27",
        device_tokens=["phone"], subscribe_to_emails=True, attributes={pool: "east"},
    )  # fmt: skip
    assert made == client.users.get(mark)
    assert (made.email, made.name, made.tz) == ("noor@example.com", "Noor Haddad", "Asia/Tokyo")
    assert (made.sign_up_date, made.device_tokens) == ("2026-02-27", ["phone"])
    assert (made.subscribe_to_emails, made.control, made.attributes) == (True, False, {pool: "east"})

    changed = client.users.update(mark, name="Noor", attributes={level: "pro"})
    assert (changed.name, changed.email, changed.created) == ("Noor", "noor@example.com", made.created)
    assert changed.attributes == {pool: "east", level: "pro"}
    declined = client.users.identify(mark, subscribe_to_emails=False, tz=None)
    assert (declined.email, declined.subscribe_to_emails, declined.tz, declined.name) == (None, False, None, "Noor")
    fresh = client.users.identify(f"{mark}/with slash", name="Ivo")
    assert fresh.id == f"{mark}/with slash"
    assert client.users.get(f"{mark}/with slash").name == "Ivo"
    again = client.users.create(id=mark, name="Noor again")
    assert (again.name, again.tz) == ("Noor again", None)


def test_metrics_of_a_user_are_read_and_summarized(client: Any, mark: str) -> None:
    """Totals of every metric, also of those without events; days, weeks from Sunday and months of one of them."""
    laps, hours = f"{mark}-laps", f"{mark}-hours"
    define_metric(client, laps)
    define_metric(client, hours)
    days = {"2026-02-27": 4, "2026-03-02": 1, "2026-03-04": 2.5, "2026-03-07": -1, "2026-03-08": 10}
    client.admin.metrics.batch_events(
        request=[sent(laps, mark, value, timestamp=f"{day}T12:00:00Z") for day, value in days.items()]
    )
    totals = {one.key: one.current for one in client.users.all_metrics(mark) if one.key.startswith(f"{mark}-")}
    assert totals == {laps: 16.5, hours: 0}
    one = client.users.single_metric(mark, laps)
    assert (one.key, one.current, one.achievements) == (laps, 16.5, [])

    def summary(aggregation: str, first: str, last: str) -> list[tuple[str, float, float]]:
        answer = client.users.metric_event_summary(mark, laps, aggregation=aggregation, start_date=first, end_date=last)
        return [(row.date, row.total, row.change) for row in answer]

    assert summary("daily", "2026-03-02", "2026-03-04") == [
        ("2026-03-02", 5, 1),
        ("2026-03-03", 5, 0),
        ("2026-03-04", 7.5, 2.5),
    ]
    assert summary("weekly", "2026-03-01", "2026-03-14") == [("2026-03-01", 6.5, 2.5), ("2026-03-08", 16.5, 10)]
    assert summary("monthly", "2026-02-01", "2026-03-31") == [("2026-02-01", 4, 4), ("2026-03-01", 16.5, 12.5)]


def test_a_user_has_a_standing_on_a_board(client: Any, swimmers: str, mark: str) -> None:
    """Rank and value, or nulls for a user whom the board does not know."""
    standing = client.users.leaderboard(f"{swimmers}-u4", swimmers, num_events=5)
    assert (standing.key, standing.rank, standing.value) == (swimmers, 4, 90)
    client.users.create(id=mark)
    absent = client.users.leaderboard(mark, swimmers)
    assert (absent.rank, absent.value, absent.history) == (None, None, [])


def test_a_filter_lets_only_matching_users_take_part(client: Any, mark: str) -> None:
    """Whoever starts to match brings along what was earned before."""
    key, plan = f"{mark}-laps", f"{mark}-plan"
    matching = CreateLeaderboardRequestItemUserAttributesItem(
        attribute_id=define_attribute(client, plan), attribute_value="pro"
    )
    define_board(client, key, define_metric(client, key), user_attributes=[matching])
    pro = UpsertedUser(id=f"{mark}a", attributes={plan: "pro"})
    assert client.metrics.event(key=key, user=pro, value=1).leaderboards[key].rank == 1
    assert client.metrics.event(key=key, user=UpsertedUser(id=f"{mark}b"), value=7).leaderboards == {}
    assert rows(client.leaderboards.get(key)) == [(1, f"{mark}a", 1)]
    client.users.update(f"{mark}b", attributes={plan: "pro"})
    page = client.leaderboards.get(key)
    assert rows(page) == [(1, f"{mark}b", 7), (2, f"{mark}a", 1)]
    assert [(one.key, one.value) for one in page.user_attributes] == [(plan, "pro")]


def test_the_cap_of_a_board_leaves_the_rest_unranked(client: Any, mark: str) -> None:
    """The threshold is the value at the last rank of a full board; an equal value stays out."""
    key = f"{mark}-laps"
    define_board(client, key, define_metric(client, key), max_participants=2)
    outcomes = []
    for user, value in (("a", 5), ("b", 4), ("c", 4), ("c", 0.5)):
        counted = client.metrics.event(key=key, user=UpsertedUser(id=mark + user), value=value).leaderboards[key]
        outcomes.append((counted.rank, counted.previous_rank, counted.threshold))
    assert outcomes == [(1, None, 0), (2, None, 4), (None, None, 4), (2, None, 5)]
    assert [user for _, user, _ in rows(client.leaderboards.get(key))] == [f"{mark}a", f"{mark}c"]


def test_errors_come_as_the_sdk_documents_them(client: Any, server: Process, mark: str) -> None:
    """Documented statuses are typed; the others are the general error, which carries the status and the body."""
    key = f"{mark}-laps"
    define_metric(client, key)
    user = UpsertedUser(id=mark)
    with pytest.raises(BadRequestError) as unknown_attribute:
        client.metrics.event(key=key, user=UpsertedUser(id=mark, attributes={f"{mark}-nope": "x"}), value=1)
    assert f"{mark}-nope" in unknown_attribute.value.body["error"]
    with pytest.raises(BadRequestError):
        client.users.create(id=mark, subscribe_to_emails=True)
    with pytest.raises(UnprocessableEntityError) as too_much:
        client.metrics.event(key=key, user=user, value=1e13)
    assert set(too_much.value.body) == {"error"}
    with pytest.raises(UnprocessableEntityError):
        client.users.identify(mark, tz="Mars/Olympus")
    with pytest.raises(NotFoundError):
        client.users.update(f"{mark}-nobody", name="x")
    with pytest.raises(NotFoundError):
        client.users.single_metric(f"{mark}-nobody", key)
    with pytest.raises(NotFoundError):
        client.admin.leaderboards.get(UNKNOWN_ID)
    for call in (
        lambda: client.metrics.event(key=f"{mark}-nope", user=user, value=1),
        lambda: client.users.get(f"{mark}-nobody"),
        lambda: client.leaderboards.get(f"{mark}-nope"),
    ):
        with pytest.raises(ApiError) as not_found:
            call()
        assert not_found.value.status_code == 404
        assert set(not_found.value.body) == {"error"}


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize("key", ["", "acceptTs", "acceptTs.wrong", "unknown1.secret", f"{ADMIN_KEY}x"])
def test_a_wrong_key_opens_nothing(server: Process, kind: str, key: str) -> None:
    """Neither of the two APIs; the error is the typed one."""
    with CLIENTS[kind](server.address, key) as client:
        with pytest.raises(UnauthorizedError):
            client.leaderboards.all_()
        with pytest.raises(UnauthorizedError):
            client.admin.metrics.list()


def test_a_tenant_id_is_ignored_without_tenants(client: Any, server: Process, mark: str) -> None:
    """Some SDKs always send the header; here it names nothing."""
    options = {"additional_headers": {"Tenant-ID": "somebody"}}
    client.users.create(id=mark, request_options=options)
    assert client.users.get(mark).id == mark


def listed(resource: Any) -> list[Any]:
    """All things of an admin list, a hundred at a time."""
    found: list[Any] = []
    while part := resource.list(limit=100, skip=len(found)):
        found += part
    return found
