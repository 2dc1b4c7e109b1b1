"""Application keys are made for users, shown once, and deleted."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from palmares.service.application_keys import create_application_keys, delete_application_keys
from tests.definitions import SCOPE, Desk, complaints, items, open_desk

pytestmark = pytest.mark.anyio


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path) as desk:
        yield desk


async def test_a_user_may_have_several_keys_and_all_are_different(desk: Desk) -> None:
    """The user need not exist yet."""
    bulk = await create_application_keys(desk.context, SCOPE, items(*[{"user_id": "ann"}] * 3, {"user_id": "org/7 é"}))

    assert [made.key.user_id for made in bulk.things] == ["ann", "ann", "ann", "org/7 é"]
    assert len({made.text for made in bulk.things}) == len({made.key.prefix for made in bulk.things}) == 4
    for key, text in bulk.things:
        assert re.fullmatch(r"app_[A-Za-z0-9]{5}\.[A-Za-z0-9]{32}", text)
        assert text.startswith(f"{key.prefix}.")


async def test_a_wrong_user_id_is_an_issue_and_the_others_get_their_keys(desk: Desk) -> None:
    """Items are independent."""
    asked = items({"user_id": "ann"}, {"user_id": "bad\0"}, {"user_id": "x" * 256}, {"user_id": "bob"})

    bulk = await create_application_keys(desk.context, SCOPE, asked)

    assert [made.key.user_id for made in bulk.things] == ["ann", "bob"]
    assert complaints(bulk) == [(1, "user.id"), (2, "user.id")]


async def test_only_a_hash_of_the_secret_is_stored(desk: Desk, tmp_path: Path) -> None:
    """Whoever reads the file cannot use the key."""
    [(_, text)] = (await create_application_keys(desk.context, SCOPE, items({"user_id": "ann"}))).things
    secret = text.partition(".")[2].encode()

    stored = contents(tmp_path)

    assert text[:9].encode() in stored
    assert secret not in stored


def contents(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


async def test_a_prefix_that_is_taken_is_drawn_again(desk: Desk) -> None:
    """By another key, also of another scope, or of the same request."""
    drawn = iter(["aaaaa", "aaaaa", "bbbbb", "s1", "s2", "bbbbb", "aaaaa", "ccccc", "s3"])
    context = replace(desk.context, new_secret=lambda length: next(drawn))

    first = await create_application_keys(context, SCOPE, items({"user_id": "ann"}, {"user_id": "ann"}))
    second = await create_application_keys(context, SCOPE, items({"user_id": "ann"}))

    assert [made.text for made in first.things + second.things] == ["app_aaaaa.s1", "app_bbbbb.s2", "app_ccccc.s3"]


async def test_deleting_tells_the_keys_that_there_are_from_those_that_are_not(desk: Desk) -> None:
    """Ids in either case of letters, each one once."""
    bulk = await create_application_keys(desk.context, SCOPE, items({"user_id": "ann"}, {"user_id": "bob"}))
    ann, bob = (made.key for made in bulk.things)

    deleted = await delete_application_keys(desk.context, SCOPE, [ann.id.upper(), "nonsense", ann.id])

    assert [key.id for key in deleted.things] == [ann.id]
    assert complaints(deleted) == [("nonsense", "id"), (ann.id, "id")]
    assert [key.id for key in await desk.catalog.application_keys(SCOPE, [ann.id, bob.id])] == [bob.id]
    assert await desk.catalog.application_key(ann.prefix) is None


async def test_a_key_is_deleted_in_its_own_scope_only(desk: Desk) -> None:
    """Knowing its id is not enough."""
    [(key, _)] = (await create_application_keys(desk.context, SCOPE, items({"user_id": "ann"}))).things

    deleted = await delete_application_keys(desk.context, SCOPE + 1, [key.id])

    assert (deleted.things, complaints(deleted)) == ([], [(key.id, "id")])
    assert await desk.catalog.application_key(key.prefix) == key
