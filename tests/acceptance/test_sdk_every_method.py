"""Every method that the official Python SDK has, against a real server.

The methods are found by looking at the SDK's client, and each needs a line in the table below: a release of the SDK
with a new method fails here, by its name. A call has to get along with one request: no answer that the SDK cannot
read, none that it tries again. What it raises is what its documentation lists.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any

import pytest
import trophy
from trophy import AsyncTrophyApi, TrophyApi
from trophy.admin.streaks import ResetStreaksRequestUsersItem, RestoreStreaksRequestUsersItem
from trophy.admin.streaks.freezes import CreateStreakFreezesRequestFreezesItem
from trophy.admin.streaks.pauses import CreateStreakPausesRequestPausesItem
from trophy.core.api_error import ApiError
from trophy.errors import NotFoundError

from tests.acceptance.calls import Caller
from tests.acceptance.homes import Homes
from tests.acceptance.process import ADMIN_KEY, Process
from tests.acceptance.sdk import Statuses, awaited_client, environment, sync_client

CLIENTS = {"sync": sync_client, "async": awaited_client}
UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"
RAW = "with_raw_response"


@dataclass
class World:
    """A server with a bit of everything; what a call needs for itself is made on the way, under a new key."""

    caller: Caller
    laps: str
    pool: str
    board: str
    gold: str

    def __post_init__(self) -> None:
        self._numbers = count(1)

    def key(self) -> str:
        """A key that nothing has yet."""
        return f"key-{next(self._numbers)}"

    def made(self, things: str, **fields: Any) -> str:
        """The id of a new thing of the Admin API."""
        answer = self.caller.send("POST", f"/admin/v1/{things}", [fields])
        assert answer.status_code == 201, answer.text
        made: str = answer.json()["created"][0]["id"]
        return made

    def metric(self) -> str:
        return self.made("metrics", key=self.key(), name="Metric")

    def attribute(self) -> str:
        return self.made("attributes", key=self.key(), name="Attribute", type="user")

    def leaderboard(self) -> str:
        return self.made("leaderboards", key=self.key(), name="Board", rankBy="metric", metricId=self.laps)

    def tenant(self) -> str:
        return self.made("tenants", customerId=self.key(), name="Tenant")

    def points_system(self) -> str:
        return self.made("points", key=self.key(), name="Silver")

    def trigger(self) -> str:
        return self.made(f"points/{self.gold}/triggers", type="metric", points=1, metricId=self.laps, metricThreshold=5)

    def application_key(self) -> str:
        return self.made("application-api-keys", userId="ada")


@pytest.fixture(scope="module")
def server(homes: Homes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server of its own: settings change here."""
    with homes(tmp_path_factory.mktemp("sdk")) as home, home.serve() as process:
        yield process


@pytest.fixture(scope="module")
def world(server: Process) -> Iterator[World]:
    with Caller(server.address, ADMIN_KEY) as caller:
        laps, pool = caller.define_metric("laps"), caller.define_attribute("pool")
        board = caller.define_board("weekly", laps, runUnit="day", runInterval=7, maxParticipants=100)
        gold = caller.define_points("gold", laps, maxPoints=1000)
        for value, user in enumerate(("ada", "bob", "cleo"), 1):
            assert caller.event("laps", user, value, name=user.title()).status_code == 201
        yield World(caller, laps, pool, board, gold)


@pytest.fixture(scope="module")
def statuses() -> Statuses:
    """The status of every answer that the clients got since the list was cleared."""
    return []


@pytest.fixture(scope="module")
def clients(server: Process, statuses: Statuses) -> Iterator[Mapping[str, Any]]:
    """The SDK's two clients, with a key that opens everything."""
    with ExitStack() as opened:
        yield {
            name: opened.enter_context(client(server.address, ADMIN_KEY, statuses)) for name, client in CLIENTS.items()
        }


# What may come of a call


def fine(answer: Any) -> None:
    """Done, without a remark."""
    assert getattr(answer, "issues", []) == []


def done(answer: Any) -> None:
    """A bulk call of which something was done."""
    fine(answer)
    assert any(getattr(answer, name, []) for name in ("created", "updated", "deleted"))


def nothing(answer: Any) -> None:
    """An empty list."""
    assert answer == []


def refused(answer: Any) -> None:
    """A bulk call of which nothing was done: it says so of each item."""
    assert [issue.severity for issue in answer.issues] == ["error"]
    others = {name: value for name, value in answer.dict().items() if name != "issues"}
    assert not any(others.values())


@dataclass
class Line:
    """What a method is called with, and what comes of it: something to check, or an error."""

    arguments: Callable[[World], dict[str, Any]]
    comes: Callable[[Any], None] | type[ApiError] = fine


def line(comes: Callable[[Any], None] | type[ApiError] = fine, /, **arguments: Any) -> Line:
    """A line with the same arguments every time."""
    return Line(lambda world: arguments, comes)


def items(kind: Any, comes: Callable[[Any], None] | type[ApiError] = done, /, **fields: Any) -> Line:
    """A line of a bulk call with one item. A field that is a function is given the world."""
    return Line(lambda world: {"request": [kind(**_filled(world, fields))]}, comes)


def of(thing: Callable[[World], str], comes: Callable[[Any], None] | type[ApiError] = done) -> Line:
    """A line of a deletion."""
    return Line(lambda world: {"ids": [thing(world)]}, comes)


def one(thing: Callable[[World], str]) -> Line:
    """A line of a method that gets one thing."""
    return Line(lambda world: {"id": thing(world)})


def _filled(world: World, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value(world) if callable(value) else value for name, value in fields.items()}


ADA = trophy.UpsertedUser(id="ada")
DAYS = {"aggregation": "daily", "start_date": "2026-03-01", "end_date": "2026-03-31"}
PAUSE = {"start": "2026-03-02", "end": "2026-03-04"}
ANY_ID = {"id": UNKNOWN_ID}


def in_gold(
    arguments: Callable[[World], Mapping[str, Any]], comes: Callable[[Any], None] | type[ApiError] = fine
) -> Line:
    """A line about what belongs to a points system."""
    return Line(lambda world: {"system_id": world.gold, **arguments(world)}, comes)


def new_trigger(world: World) -> trophy.CreatePointsTriggerRequestItem:
    """One that never pays for the laps of these tests."""
    return trophy.CreatePointsTriggerRequestItem(
        type="metric",
        points=-5,
        status="active",
        metric_id=world.laps,
        metric_threshold=1_000_000,
        user_attributes=[
            trophy.CreatePointsTriggerRequestItemUserAttributesItem(attribute_id=world.pool, attribute_value="east")
        ],
        block_if_out_of_points=True,
    )


def earned(answer: trophy.EventResponse) -> None:
    """An event that crossed at least one threshold of gold."""
    gold = answer.points["gold"]
    assert (gold.key, gold.added, gold.max_points) == ("gold", sum(award.awarded for award in gold.awards), 1000)
    assert gold.awards[-1].total == gold.total
    assert {award.trigger.metric_threshold for award in gold.awards} == {1}


def held(answer: trophy.GetUserPointsResponse) -> None:
    """Points that a user came to, with the newest awards."""
    assert (answer.total, answer.level, answer.max_points) == (answer.awards[0].total, None, 1000)
    assert 1 <= len(answer.awards) <= 5
    assert answer.awards[0].trigger.metric_name == "Laps"


# Each method by its name, as one calls it. Clients of another kind have the same.
LINES: dict[str, Line] = {
    # Application API
    "achievements.all_": line(nothing, user_attributes="pool:east"),
    "achievements.complete": line(NotFoundError, key="finish", user=ADA),
    "leaderboards.all_": line(include_finished=True),
    "leaderboards.get": line(key="weekly", user_id="bob", offset=-1, limit=2),
    "metrics.event": Line(
        lambda world: {"key": "laps", "user": ADA, "value": 1.5, "idempotency_key": world.key(), "attributes": {}},
        earned,
    ),
    "points.boosts": line(nothing, key="gold", include_finished=True),
    "points.level_summary": line(nothing, key="gold"),
    "points.levels": line(nothing, key="gold"),
    "points.summary": line(nothing, key="gold", user_attributes="pool:east"),
    "points.system": line(key="gold"),
    "streaks.list": line(user_ids=["ada", "nobody"]),
    "users.achievements": line(nothing, id="ada", include_incomplete="true"),
    "users.all_metrics": line(id="ada"),
    "users.create": Line(
        lambda world: {
            "id": world.key(),
            "email": "new@example.com",
            "name": "New",
            "tz": "Asia/Tokyo",
            "sign_up_date": "2026-03-01",
            "device_tokens": ["token"],
            "subscribe_to_emails": True,
            "attributes": {"pool": "east"},
        }
    ),
    "users.get": line(id="ada"),
    "users.get_preferences": line(id="ada"),
    "users.identify": Line(lambda world: {"id": world.key(), "name": "Identified"}),
    "users.leaderboard": line(id="ada", key="weekly", num_events=5),
    "users.metric_event_summary": line(id="ada", key="laps", **DAYS),
    "users.points": line(held, id="ada", key="gold", awards=5),
    "users.points_boosts": line(nothing, id="ada", key="gold"),
    "users.points_event_summary": line(NotFoundError, id="ada", key="gold", **DAYS),
    "users.single_metric": line(id="ada", key="laps"),
    "users.streak": line(id="ada", history_periods=3),
    "users.update": line(id="ada", name="Ada L."),
    "users.update_preferences": line(
        id="ada",
        notifications=trophy.NotificationPreferences(recap=["email"], streak_reminder=[]),
        streak=trophy.StreakPreferences(enabled=True),
    ),
    "users.wrapped": line(NotFoundError, id="ada", year=2025),
    # Admin API: definitions
    "admin.attributes.create": items(trophy.CreateAttributeRequestItem, name="Level", key=World.key, type="event"),
    "admin.attributes.delete": of(World.attribute),
    "admin.attributes.get": one(lambda world: world.pool),
    "admin.attributes.list": line(limit=5, skip=0),
    "admin.attributes.update": items(trophy.UpdateAttributeRequestItem, id=World.attribute, name="Renamed"),
    "admin.leaderboards.create": items(
        trophy.CreateLeaderboardRequestItem,
        name="Board",
        key=World.key,
        rank_by="metric",
        metric_id=lambda world: world.laps,
        status="active",
        breakdown_attributes=lambda world: [world.pool],
    ),
    "admin.leaderboards.delete": of(World.leaderboard),
    "admin.leaderboards.get": one(lambda world: world.board),
    "admin.leaderboards.list": line(limit=5, skip=0),
    "admin.leaderboards.update": items(
        trophy.UpdateLeaderboardRequestItem, id=World.leaderboard, name="Renamed", end=None
    ),
    "admin.metrics.create": items(trophy.CreateMetricRequestItem, name="Metric", key=World.key, unit_type="number"),
    "admin.metrics.delete": of(World.metric),
    "admin.metrics.get": one(lambda world: world.laps),
    "admin.metrics.list": line(limit=5, skip=0),
    "admin.metrics.update": items(trophy.UpdateMetricRequestItem, id=World.metric, name="Renamed"),
    "admin.metrics.batch_events": items(
        trophy.BatchMetricEvent, fine, key="laps", user=trophy.BatchMetricEventUser(id="bob"), value=2
    ),
    # Admin API: the account
    "admin.application_api_keys.create": items(trophy.CreateApplicationKeyRequestItem, user_id="ada"),
    "admin.application_api_keys.delete": of(World.application_key),
    "admin.environments.list": line(),
    "admin.settings.get": line(),
    "admin.settings.update": line(
        branding=trophy.UpdateAdminSettingsBranding(
            app_name="Laps", font="BOOK_SERIF", logo=trophy.UpdateAdminSettingsBrandingLogo(url="https://example.com")
        ),
        experimentation=trophy.UpdateAdminSettingsExperimentation(control_ratio=10),
        aggregation_period="monthly",
    ),
    "admin.tenants.create": items(trophy.CreateTenantRequestItem, customer_id=World.key, name="Tenant"),
    "admin.tenants.delete": of(World.tenant),
    "admin.tenants.get": one(World.tenant),
    "admin.tenants.list": line(limit=5, skip=0),
    "admin.tenants.update": items(trophy.UpdateTenantRequestItem, id=World.tenant, name="Renamed"),
    # Admin API: streaks
    "admin.streaks.freezes.create": line(refused, freezes=[CreateStreakFreezesRequestFreezesItem(user_id="ada")]),
    "admin.streaks.pauses.create": line(refused, pauses=[CreateStreakPausesRequestPausesItem(user_id="ada", **PAUSE)]),
    "admin.streaks.pauses.delete": line(refused, ids=[UNKNOWN_ID]),
    "admin.streaks.reset": line(refused, users=[ResetStreaksRequestUsersItem(id="ada")]),
    "admin.streaks.restore": line(refused, users=[RestoreStreaksRequestUsersItem(id="ada")]),
    "admin.streaks.settings.get": line(),
    "admin.streaks.settings.update": line(
        frequency="daily",
        evaluation_mode="OR",
        customization_enabled=True,
        days_off=[0],
        metrics=[trophy.StreakSettingsMetric(key="laps", threshold=1)],
    ),
    # Admin API: points
    "admin.points.systems.create": items(
        trophy.CreatePointsSystemRequestItem,
        name="Silver",
        key=World.key,
        badge=trophy.CreatePointsSystemRequestItemBadge(url="https://example.com/silver.png"),
        max_points=1000,
        triggers=lambda world: [new_trigger(world)],
    ),
    "admin.points.systems.delete": of(World.points_system),
    "admin.points.systems.get": one(World.points_system),
    "admin.points.systems.list": line(limit=5, skip=0),
    "admin.points.systems.update": items(
        trophy.UpdatePointsSystemRequestItem, id=World.points_system, name="Renamed", max_points=None
    ),
    "admin.points.triggers.create": in_gold(lambda world: {"request": [new_trigger(world)]}, done),
    "admin.points.triggers.delete": in_gold(lambda world: {"ids": [world.trigger()]}, done),
    "admin.points.triggers.get": in_gold(lambda world: {"id": world.trigger()}),
    "admin.points.triggers.list": in_gold(lambda world: {"limit": 5, "skip": 0}),
    "admin.points.triggers.update": in_gold(
        lambda world: {
            "request": [trophy.PatchPointsTriggersRequestItem(id=world.trigger(), points=6, user_attributes=None)]
        },
        done,
    ),
    **{
        f"admin.points.{things}.{method}": in_gold(lambda world, given=arguments: given, comes)
        for things, new, changed in (
            (
                "levels",
                trophy.CreatePointsLevelRequestItem(name="First", key="first", points=5),
                trophy.PatchPointsLevelsRequestItem(**ANY_ID, name="First"),
            ),
            (
                "boosts",
                trophy.CreatePointsBoostRequestItem(name="Double", start="2026-03-02", multiplier=2),
                trophy.PatchPointsBoostsRequestItem(**ANY_ID, name="Double"),
            ),
        )
        for method, arguments, comes in (
            ("create", {"request": [new]}, refused),
            ("delete", {"ids": [UNKNOWN_ID]}, refused),
            ("get", ANY_ID, NotFoundError),
            ("list", {"limit": 5, "skip": 0}, nothing),
            ("update", {"request": [changed]}, refused),
        )
    },
    # Admin API: what is not there
    "admin.achievements.create": items(trophy.CreateAchievementRequestItem, refused, name="Finish", trigger="api"),
    "admin.achievements.delete": line(refused, ids=[UNKNOWN_ID]),
    "admin.achievements.get": line(NotFoundError, **ANY_ID),
    "admin.achievements.list": line(nothing, limit=5, skip=0),
    "admin.achievements.update": items(trophy.UpdateAchievementRequestItem, refused, id=UNKNOWN_ID, name="Finished"),
}


# The SDK's methods


def methods_of(client: Any, path: str = "") -> Iterator[str]:
    """The names of all methods of a client and of what it holds. Those of raw clients are the same once more."""
    for name in dir(type(client)):
        member = None if name.startswith("_") or name == RAW else getattr(client, name)
        if inspect.ismethod(member):
            yield path + name
        elif type(member).__module__.startswith("trophy."):
            yield from methods_of(member, f"{path}{name}.")


KINDS = {"sync": TrophyApi, "async": AsyncTrophyApi}
METHODS = {
    kind: sorted(methods_of(client(environment=environment("http://nowhere"), api_key="none")))
    for kind, client in KINDS.items()
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_method_has_a_line_and_every_line_a_method(kind: str) -> None:
    """More than sixty of them: an empty look would prove nothing."""
    assert METHODS[kind] == sorted(LINES)
    assert len(LINES) > 60


def found(client: Any, method: str, raw: bool) -> Callable[..., Any]:
    """The method of a client by its name; of its raw client, the one that also tells of headers."""
    *path, name = method.split(".")
    for step in [*path, RAW] if raw else path:
        client = getattr(client, step)
    call: Callable[..., Any] = getattr(client, name)
    return (lambda **arguments: call(**arguments).data) if raw else call


@pytest.mark.parametrize("raw", [False, True], ids=["plain", "raw"])
@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize("method", sorted(LINES))
def test_a_method_gets_its_answer_with_one_request(
    method: str, kind: str, raw: bool, clients: Mapping[str, Any], world: World, statuses: Statuses
) -> None:
    """The SDK reads the answer with its own models, and raises `ParsingError` where one does not fit."""
    line = LINES[method]
    call = partial(found(clients[kind], method, raw), **line.arguments(world))
    statuses.clear()
    if isinstance(line.comes, type):
        with pytest.raises(ApiError) as refusal:
            call()
        assert (type(refusal.value), refusal.value.status_code) == (line.comes, 404)
        assert isinstance(refusal.value.body["error"], str)
    else:
        line.comes(call())

    [status] = statuses
    assert status < 500
