"""Items of one request are independent, and each is told of by its id or its place."""

from collections.abc import Sequence

import pytest

from palmares.domain.errors import Invalid, NotAllowed, NotFound, Unavailable
from palmares.domain.metric import Metric
from palmares.service.bulk import Bulk, Finder, Issue, Item, changed, judge_and_save, named, take_key

BY_ID = {"id-1": "one", "id-2": "two"}


def test_a_refused_item_does_not_stop_the_others() -> None:
    """Results and issues each keep the order of the request."""

    def judge(item: Item) -> str:
        if item.fields["refusal"]:
            raise item.fields["refusal"]
        return f"made {item.index}"

    bulk = Bulk[str]()
    bulk.judge(
        [
            Item(index, None, {"refusal": refusal})
            for index, refusal in enumerate((None, Invalid("a"), None, NotAllowed("b")))
        ],
        judge,
    )

    assert bulk.things == ["made 0", "made 2"]
    assert bulk.issues == [Issue("error", "a", index=1), Issue("error", "b", index=3)]


def test_an_item_that_could_not_be_read_is_not_judged() -> None:
    """Its problem is its issue."""
    bulk = Bulk[str]()

    bulk.judge([Item(0, "id-1", {}, "name: expected string, got integer")], lambda item: pytest.fail("judged"))

    assert bulk.issues == [Issue("error", "name: expected string, got integer", id="id-1")]


def test_what_is_not_about_the_item_fails_the_whole_request() -> None:
    """A database that does not work is no fault of an item."""

    def judge(item: Item) -> str:
        raise Unavailable

    with pytest.raises(Unavailable):
        Bulk[str]().judge([Item(0, None, {})], judge)


def test_an_issue_names_the_id_as_it_was_given() -> None:
    """Also when it is no UUID."""
    bulk = Bulk[str]()

    bulk.judge(named(["Nonsense"]), Finder("thing", BY_ID).find)

    assert (bulk.things, bulk.issues[0].id, bulk.issues[0].index) == ([], "Nonsense", None)


def test_things_are_found_by_their_id_in_either_case() -> None:
    """Some clients write UUIDs in capitals."""
    assert Finder("thing", BY_ID).find(Item(0, "ID-2", {})) == "two"


def test_of_two_items_for_one_thing_the_first_wins() -> None:
    """So no item overwrites what another of the same request has done."""
    bulk = Bulk[str]()

    bulk.judge(named(["id-1", "id-2", "ID-1"]), Finder("thing", BY_ID).find)

    assert (bulk.things, [issue.id for issue in bulk.issues]) == (["one", "two"], ["ID-1"])


@pytest.mark.parametrize(("thing_id", "refusal"), [(None, Invalid), ("id-3", NotFound)])
def test_an_id_that_is_missing_or_unknown_is_refused(thing_id: str | None, refusal: type[Exception]) -> None:
    """The message names the field."""
    with pytest.raises(refusal, match=r"^id: "):
        Finder("thing", BY_ID).find(Item(0, thing_id, {}))


@pytest.mark.anyio
async def test_what_went_well_is_saved_at_once_and_given_as_it_was_saved() -> None:
    """A database may add to it, such as a number."""
    saves: list[Sequence[str]] = []

    async def save(things: Sequence[str]) -> list[str]:
        saves.append([*things])
        return [f"saved {thing}" for thing in things]

    bulk = await judge_and_save([*named(["id-1", "id-3", "id-2"])], Finder("thing", BY_ID).find, save)

    assert saves == [["one", "two"]]
    assert (bulk.things, [issue.id for issue in bulk.issues]) == (["saved one", "saved two"], ["id-3"])


def test_a_key_is_taken_once() -> None:
    """By whoever asks first."""
    taken = {"laps"}

    take_key("hours", taken, "metric")

    for key in ("laps", "hours"):
        with pytest.raises(Invalid, match=f"^key: another metric has the key '{key}'$"):
            take_key(key, taken, "metric")


def test_given_fields_change_and_fixed_ones_may_only_be_given_as_they_are() -> None:
    """The refusal names the field as it is on the wire."""
    metric = Metric(1, "id-1", 1, "laps", "Laps")

    assert changed(metric, {"name": "Lengths", "key": "laps"}, {"key": "code"}) == Metric(
        1, "id-1", 1, "laps", "Lengths"
    )
    with pytest.raises(NotAllowed, match=r"^code: never changes$"):
        changed(metric, {"key": "hours"}, {"key": "code"})
