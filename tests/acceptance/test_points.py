"""Points through the official SDK: earned once, ranked by boards that come before and after, and there after a kill."""

from typing import Any

import pytest
import trophy
from trophy.errors import BadRequestError

from tests.acceptance.conftest import Start
from tests.acceptance.process import ADMIN_KEY
from tests.acceptance.sdk import define_metric, made_board, sync_client


def swim(client: Any, user: str, value: float, key: str | None = None) -> Any:
    return client.metrics.event(key="laps", user=trophy.UpsertedUser(id=user), value=value, idempotency_key=key)


def define_gold(client: Any, laps: str) -> Any:
    """A system that gives 5 points for each 10 laps, and takes 1 for each 25."""
    triggers = [
        trophy.CreatePointsTriggerRequestItem(
            type="metric", points=points, status="active", metric_id=laps, metric_threshold=threshold
        )
        for points, threshold in ((5, 10), (-1, 25))
    ]
    item = trophy.CreatePointsSystemRequestItem(name="Gold", key="gold", triggers=triggers)
    answer = client.admin.points.systems.create(request=[item])
    assert answer.issues == []
    return answer.created[0]


def define_board(client: Any, key: str, system: str) -> None:
    item = trophy.CreateLeaderboardRequestItem(
        name=key, key=key, rank_by="points", points_system_id=system, start="2026-03-01", status="active"
    )
    made_board(client, item)


def standings(client: Any, key: str) -> list[tuple[str, int]]:
    return [(row.user_id, row.value) for row in client.leaderboards.get(key).rankings]


def test_points_are_earned_once_ranked_and_kept_over_a_kill(start: Start) -> None:
    """A board that is made after the events ranks as the one that was there before."""
    process = start("--test-clock", "2026-03-04T12:00:00Z")
    with sync_client(process.address, ADMIN_KEY) as client:
        gold = define_gold(client, define_metric(client, "laps"))
        define_board(client, "early", gold.id)
        first = swim(client, "ann", 30, key="first")
        assert [award.awarded for award in first.points["gold"].awards] == [15, -1]
        assert (first.points["gold"].total, first.leaderboards["early"].rank) == (14, 1)
        swim(client, "bob", 40)
        define_board(client, "late", gold.id)
    process.kill()

    process = start("--test-clock", "2026-03-04T12:00:01Z")
    with sync_client(process.address, ADMIN_KEY) as client:
        assert standings(client, "early") == standings(client, "late") == [("bob", 19), ("ann", 14)]
        again = swim(client, "ann", 30, key="first")
        assert (again.idempotent_replayed, again.event_id, again.points) == (True, first.event_id, {})
        told = swim(client, "ann", 20)
        assert {key: (one.previous_rank, one.rank) for key, one in told.leaderboards.items()} == {
            "early": (2, 1), "late": (2, 1),
        }  # fmt: skip
        ann = client.users.points("ann", "gold")
        assert (ann.total, [award.awarded for award in ann.awards]) == (23, [-1, 10, -1, 15])
        assert {award.trigger.id for award in ann.awards} == {trigger.id for trigger in gold.triggers}


def test_a_trigger_that_blocks_is_a_typed_error(start: Start) -> None:
    """Nothing is counted then; once the trigger is gone, it is."""
    process = start()
    with sync_client(process.address, ADMIN_KEY) as client:
        gold = define_gold(client, define_metric(client, "laps"))
        [earns, costs] = gold.triggers
        blocking = trophy.PatchPointsTriggersRequestItem(id=costs.id, points=-100, block_if_out_of_points=True)
        assert client.admin.points.triggers.update(gold.id, request=[blocking]).issues == []
        with pytest.raises(BadRequestError):
            swim(client, "ann", 25)
        assert client.admin.points.triggers.delete(gold.id, ids=[costs.id]).deleted[0].id == costs.id

        assert (swim(client, "ann", 25).total, client.users.points("ann", "gold").total) == (25, 10)
        assert [trigger.id for trigger in client.points.system("gold").triggers] == [earns.id]
