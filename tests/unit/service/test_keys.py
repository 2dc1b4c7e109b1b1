"""Admin keys: what opens, what no longer does."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from palmares.domain.errors import Invalid, NotFound, Unauthorized
from palmares.service.authenticate import authenticate
from palmares.service.keys import (
    activate_key,
    create_key,
    delete_key,
    ensure_key,
    list_keys,
    revoke_key,
    rotate_key,
)
from tests.definitions import SCOPE, Desk, open_desk

pytestmark = pytest.mark.anyio

GIVEN = "abcd1234.0123456789abcdef"
OTHER = "efgh5678.0123456789abcdef"


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path) as desk:
        yield desk


async def opens(desk: Desk, text: str) -> bool:
    try:
        return (await authenticate(desk.context, text)).scope == SCOPE
    except Unauthorized:
        return False


async def test_the_text_of_a_new_key_opens_its_scope(desk: Desk) -> None:
    """Eight characters, a dot, 32 characters; the text itself is kept nowhere."""
    key, text = await create_key(desk.context, "server")

    prefix, _, secret = text.partition(".")
    assert (len(prefix), len(secret), prefix) == (8, 32, key.prefix)
    assert (key.name, key.scope, key.active, key.created) == ("server", SCOPE, True, desk.clock())
    assert secret.encode() not in key.secret_hash
    assert await opens(desk, text)
    assert list_keys(desk.context) == (key,)


async def test_both_halves_must_match(desk: Desk) -> None:
    """A prefix is shown in lists, so it opens nothing alone."""
    (_, one), (_, two) = await create_key(desk.context, "one"), await create_key(desk.context, "two")

    mixed = f"{one.partition('.')[0]}.{two.partition('.')[2]}"

    assert [await opens(desk, text) for text in (one, two, mixed, one[:8], one[:9], "")] == [True, True, *[False] * 4]


async def test_a_blank_name_is_refused(desk: Desk) -> None:
    """A list of nameless keys helps nobody."""
    with pytest.raises(Invalid, match="name"):
        await create_key(desk.context, " ")


async def test_a_revoked_key_opens_nothing_until_it_is_activated_again(desk: Desk) -> None:
    """Its text stays the same; it is told by its prefix or its id."""
    key, text = await create_key(desk.context, "server")

    revoked = await revoke_key(desk.context, key.prefix)
    assert (revoked.active, await opens(desk, text)) == (False, False)

    activated = await activate_key(desk.context, key.id)
    assert (activated.active, await opens(desk, text)) == (True, True)


async def test_rotating_changes_both_halves_and_the_old_key_dies_at_once(desk: Desk) -> None:
    """It stays the same key otherwise."""
    key, old = await create_key(desk.context, "server")

    rotated, new = await rotate_key(desk.context, key.prefix)

    assert (await opens(desk, old), await opens(desk, new)) == (False, True)
    assert not set(old.split(".")) & set(new.split("."))
    assert (rotated.id, rotated.name, len(list_keys(desk.context))) == (key.id, "server", 1)


async def test_a_deleted_key_is_gone(desk: Desk) -> None:
    """It cannot be activated again."""
    key, text = await create_key(desk.context, "server")

    assert await delete_key(desk.context, key.prefix) == key

    assert (await opens(desk, text), list_keys(desk.context)) == (False, ())
    with pytest.raises(NotFound):
        await activate_key(desk.context, key.id)


async def test_the_last_use_is_noted(desk: Desk) -> None:
    """Written with the next refresh."""
    key, text = await create_key(desk.context, "server")
    desk.clock.set("2026-03-05 12:00")

    await authenticate(desk.context, text)
    await desk.catalog.refresh()

    assert (key.last_used, list_keys(desk.context)[0].last_used) == (None, desk.clock())


# The first start


async def test_the_first_start_makes_a_key_and_later_ones_do_not(desk: Desk) -> None:
    """Its text is returned once, to be printed."""
    text = await ensure_key(desk.context, None)

    assert text is not None
    assert await opens(desk, text)
    assert await ensure_key(desk.context, None) is None
    assert len(list_keys(desk.context)) == 1


async def test_no_key_is_made_while_all_are_revoked(desk: Desk) -> None:
    """Whoever revoked them wants the door shut."""
    key, _ = await create_key(desk.context, "server")
    await revoke_key(desk.context, key.id)

    assert await ensure_key(desk.context, None) is None
    assert len(list_keys(desk.context)) == 1


async def test_a_given_key_works_and_other_keys_go_on_working(desk: Desk) -> None:
    """Whoever gave it knows it, so it is not returned."""
    _, other = await create_key(desk.context, "server")

    assert await ensure_key(desk.context, GIVEN) is None

    assert (await opens(desk, GIVEN), await opens(desk, other)) == (True, True)


async def test_a_given_key_is_stored_once(desk: Desk) -> None:
    """However often the server starts."""
    for _ in range(3):
        await ensure_key(desk.context, GIVEN)

    assert [key.prefix for key in list_keys(desk.context)] == ["abcd1234"]


async def test_another_given_key_takes_the_place_of_the_former_one(desk: Desk) -> None:
    """Changing the setting is rotating the key."""
    await ensure_key(desk.context, GIVEN)
    await ensure_key(desk.context, OTHER)

    assert (await opens(desk, GIVEN), await opens(desk, OTHER), len(list_keys(desk.context))) == (False, True, 1)


async def test_a_given_key_takes_over_a_key_with_its_prefix(desk: Desk) -> None:
    """A prefix belongs to one key, so the text that was given for it wins, and the former given one goes."""
    await ensure_key(desk.context, GIVEN)
    made, text = await create_key(desk.context, "server")
    await revoke_key(desk.context, made.id)
    given = f"{made.prefix}.another-secret-of-some-length"

    await ensure_key(desk.context, given)

    assert [await opens(desk, one) for one in (given, text, GIVEN)] == [True, False, False]
    assert [key.id for key in list_keys(desk.context)] == [made.id]


@pytest.mark.parametrize(
    "given",
    ["", "abcd1234", "abcd1234.", "abcd1234.tooshort", "abcd123.0123456789abcdef", "abcd 234.0123456789abcdef",
     "abcd1234.0123456789 abcdef", "app_1234.0123456789abcdef"],
)  # fmt: skip
async def test_a_given_text_that_is_no_key_is_refused_and_not_shown(desk: Desk, given: str) -> None:
    """A bad secret is a secret too."""
    with pytest.raises(Invalid) as caught:
        await ensure_key(desk.context, given)

    assert given == "" or given not in caught.value.message
    assert list_keys(desk.context) == ()
