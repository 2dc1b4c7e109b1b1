"""Users: created on the way, changed field by field, untouched by what is refused."""

from typing import Any

import pytest

from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.domain.errors import Invalid, NotAllowed, NotFound
from palmares.domain.user import User
from palmares.ledger.contract import Entry
from tests.ledger_world import LedgerWorld
from tests.world import day

pytestmark = pytest.mark.anyio


async def test_an_event_creates_its_user(world: LedgerWorld) -> None:
    """With the given fields and nothing else."""
    outcome = await world.swim("ann", 1, name="Ann")
    now = world.clock()
    assert outcome.created
    number = outcome.user.number
    assert outcome.user == User(number=number, scope=DEFAULT_SCOPE, id="ann", name="Ann", created=now, updated=now)
    assert await world.user("ann") == outcome.user


async def test_a_user_is_created_once(world: LedgerWorld) -> None:
    """The time of creation stays, the time of the last change follows."""
    first = await world.change("ann", name="Ann")
    world.at("2026-03-05T12:00:00Z")
    second = await world.change("ann", name="Anna")
    assert (first.created, second.created) == (True, False)
    assert second.user.created == first.user.created
    assert second.user.updated == world.clock()


async def test_an_unknown_user_is_none(world: LedgerWorld) -> None:
    """Asking creates nobody; neither does another scope."""
    await world.change("ann")
    assert await world.ledger.user(DEFAULT_SCOPE, "bob") is None
    assert await world.ledger.user(2, "ann") is None


async def test_a_user_who_must_exist_is_not_created(world: LedgerWorld) -> None:
    """And one who does is changed."""
    entry = Entry(DEFAULT_SCOPE, "ann", {"name": "Ann"}, must_exist=True)
    with pytest.raises(NotFound, match="ann"):
        await world.record(entry)
    assert await world.ledger.user(DEFAULT_SCOPE, "ann") is None
    await world.change("ann")
    [outcome] = await world.record(entry)
    assert outcome.user.name == "Ann"


async def test_absent_fields_stay_and_null_clears(world: LedgerWorld) -> None:
    """A change is of the given fields only."""
    fields: dict[str, Any] = {
        "email": "ann@example.org",
        "name": "Ann",
        "tz": "Europe/Madrid",
        "sign_up_date": day("2026-03-01"),
        "device_tokens": ("one", "two"),
    }
    await world.change("ann", **fields)
    await world.change("ann", name=None, device_tokens=None)
    user = await world.user("ann")
    assert (user.name, user.device_tokens) == (None, None)
    assert (user.email, user.tz, user.sign_up_date) == ("ann@example.org", "Europe/Madrid", day("2026-03-01"))
    await world.restart()
    assert await world.user("ann") == user


async def test_a_change_to_what_is_there_already_is_none(world: LedgerWorld) -> None:
    """Neither the time of the last change nor the log moves."""
    await world.change("ann", name="Ann", attributes={"pool": "east"})
    before, log = await world.user("ann"), await world.ledger.records(0, 10)
    world.at("2026-03-05T12:00:00Z")
    await world.change("ann", name="Ann", attributes={"pool": "east"})
    assert await world.user("ann") == before
    assert await world.ledger.records(0, 10) == log


async def test_attributes_are_merged_and_null_removes_a_key(world: LedgerWorld) -> None:
    """Given keys replace, others stay."""
    await world.change("ann", attributes={"pool": "east", "level": "pro"})
    await world.change("ann", attributes={"pool": "west"})
    assert (await world.user("ann")).attributes == {"pool": "west", "level": "pro"}
    await world.change("ann", attributes={"level": None, "unknown": None})
    assert (await world.user("ann")).attributes == {"pool": "west"}


async def test_users_read_earlier_do_not_change(world: LedgerWorld) -> None:
    """What a reader holds is of its moment."""
    before = (await world.change("ann", attributes={"pool": "east"})).user
    await world.change("ann", attributes={"pool": "west"}, name="Ann")
    assert (before.attributes, before.name) == ({"pool": "east"}, None)


async def test_emails_are_kept_for_those_who_want_them(world: LedgerWorld) -> None:
    """Declining erases the address; asking for emails needs one."""
    assert not (await world.change("ann")).user.subscribe_to_emails
    with pytest.raises(NotAllowed):
        await world.change("ann", subscribe_to_emails=True)
    user = (await world.change("ann", email="ann@example.org")).user
    assert user.subscribe_to_emails
    user = (await world.change("ann", subscribe_to_emails=False)).user
    assert (user.email, user.subscribe_to_emails) == (None, False)
    user = (await world.change("ann", email="a@example.org", subscribe_to_emails=True)).user
    assert (user.email, user.subscribe_to_emails) == ("a@example.org", True)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"tz": "Mars/Olympus"}, Invalid),
        ({"sign_up_date": day("2026-03-05")}, Invalid),
        ({"sign_up_date": day("2026-03-05"), "tz": "Etc/GMT+12"}, Invalid),
        ({"subscribe_to_emails": True}, NotAllowed),
    ],
    ids=["zone", "tomorrow", "tomorrow in the west", "emails without an address"],
)
@pytest.mark.parametrize("with_event", [False, True])
async def test_refused_means_untouched(
    world: LedgerWorld, changes: dict[str, Any], error: type[Exception], with_event: bool
) -> None:
    """Neither the user's other fields nor the event of the same request are kept; a new user is not created."""
    await world.change("ann", name="Ann")
    before, log = await world.user("ann"), await world.ledger.records(0, 10)
    for user_id in ("ann", "new"):
        with pytest.raises(error):
            await (
                world.swim(user_id, 1, name="X", **changes)
                if with_event
                else world.change(user_id, name="X", **changes)
            )
    assert await world.user("ann") == before
    assert await world.ledger.user(DEFAULT_SCOPE, "new") is None
    assert await world.ledger.records(0, 10) == log


async def test_today_is_the_users_own(world: LedgerWorld) -> None:
    """At noon UTC it is tomorrow already in Kiritimati."""
    user = (await world.change("ann", sign_up_date=day("2026-03-05"), tz="Pacific/Kiritimati")).user
    assert user.sign_up_date == day("2026-03-05")


@pytest.mark.parametrize("user_id", ["org/7", "x" * 255, "ä€😀", "a'b\"c", " ", "%00?#", "a\nb", "nul\0here"])
async def test_any_text_may_be_an_id(world: LedgerWorld, user_id: str) -> None:
    """Ids are the customer's; they come back as they were, also after a restart."""
    await world.swim(user_id, 1)
    await world.restart()
    assert (await world.swim(user_id, 1)).created is False
    assert (await world.user(user_id)).id == user_id


async def test_ids_differ_by_case(world: LedgerWorld) -> None:
    """They are compared byte by byte."""
    await world.swim("Ann", 1)
    assert (await world.swim("ann", 1)).created
