"""Nothing of one scope is reached from another, and nothing of one user with another's key, by any route there is.

The requests are made from the route table (`tests/scopes.py`): a new route is covered, or fails here.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.scopes import (
    FourScopes,
    Place,
    allowed_to_application_keys,
    endpoints,
    is_stub,
    name_of,
    open_four_scopes,
    request_to,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
async def four(tmp_path: Path) -> AsyncIterator[FourScopes]:
    async with open_four_scopes(tmp_path / "data") as four:
        yield four


def went_well(answer: httpx.Response) -> bool:
    """An answer that did something, to all items where there are several."""
    return answer.is_success and "issues" not in answer.text.partition('"issues":[]')[0]


def traces_of(place: Place, text: str) -> list[str]:
    """What belongs to a place and is in a text."""
    secrets = [place.mark, *place.ids.values(), *place.spare.values(), *place.application_keys.values()]
    return [secret for secret in secrets if secret in text]


async def test_requests_in_one_scope_show_and_change_nothing_of_another(four: FourScopes) -> None:
    """All routes in all four scopes, with equal user ids, keys and customer ids.

    Tenants are listed for the whole environment: such routes may show the other tenants of it, and are compared
    between environments only.
    """
    for place in four.places:
        others = [other for other in four.places if other is not place]
        before = [await readable(four, other, place) for other in others]
        for base, endpoint in endpoints():
            name = name_of(base, endpoint)
            answer = await four.send(request_to(base, endpoint, place, "a"), place.headers)
            assert is_stub(endpoint) or went_well(answer), f"{name}: {answer.status_code} {answer.text}"
            for other in others:
                if not (endpoint.spans_tenants and other.environment == place.environment):
                    assert traces_of(other, answer.text) == [], name
        assert [await readable(four, other, place) for other in others] == before


async def readable(four: FourScopes, other: Place, place: Place) -> dict[str, str]:
    """What must not change in one place by what is done in another."""
    return await four.everything(other, of_tenant_only=other.environment == place.environment)


async def test_requests_do_change_their_own_scope(four: FourScopes) -> None:
    """Else the test above would say nothing: every writing route changes what can be read, or makes a key."""
    place = four.places[0]
    for base, endpoint in endpoints():
        if endpoint.method == "GET" or is_stub(endpoint) or endpoint.path == "/application-api-keys":
            continue
        before = await four.everything(place)
        await four.send(request_to(base, endpoint, place, "a"), place.headers)
        assert await four.everything(place) != before, name_of(base, endpoint)


async def test_ids_of_another_scope_name_nothing(four: FourScopes) -> None:
    """Definitions are named by random ids, but knowing one does not help."""
    before = [await four.everything(place) for place in four.places]

    for place in four.places:
        for other in four.places:
            for base, endpoint in endpoints():
                foreign = request_to(base, endpoint, other, "a")
                if not names_things(foreign, other) or not are_apart(endpoint, place, other):
                    continue
                answer = await four.send(foreign, place.headers)
                assert answer.status_code == 404 or did_nothing(answer.json()), name_of(base, endpoint)

    assert [await four.everything(place) for place in four.places] == before


def names_things(request: Any, place: Place) -> bool:
    """Whether a request has an id of a definition."""
    return bool([one for one in (*place.ids.values(), *place.spare.values()) if one in str(request)])


def are_apart(endpoint: Any, place: Place, other: Place) -> bool:
    """Whether one place must not know the things of the other: tenants are those of the whole environment."""
    return place.environment != other.environment if endpoint.spans_tenants else place is not other


def did_nothing(body: dict[str, Any]) -> bool:
    """A bulk answer that is all issues."""
    done = [body.get(name, []) for name in ("created", "updated", "deleted")]
    return not any(done) and bool(body["issues"])


# Application keys


async def test_the_key_of_one_user_opens_nothing_of_another(four: FourScopes) -> None:
    """With b's id in every place where a route takes one: 403, on the Admin API 401, and nothing changed."""
    place = four.places[0]
    before = [await four.everything(one) for one in four.places]

    for base, endpoint in endpoints():
        answer = await four.send(request_to(base, endpoint, place, "b"), place.key_of("a"))
        wanted = 401 if endpoint.admin else 403
        assert (answer.status_code, list(answer.json())) == (wanted, ["error"]), name_of(base, endpoint)

    assert [await four.everything(one) for one in four.places] == before


async def test_the_key_of_a_user_opens_to_them_what_the_contract_says_and_no_more(four: FourScopes) -> None:
    """As the admin key does, to the letter of the answer."""
    place = four.places[0]

    for base, endpoint in endpoints():
        request, name = request_to(base, endpoint, place, "a"), name_of(base, endpoint)
        answer = await four.send(request, place.key_of("a"))
        if allowed_to_application_keys(base, endpoint):
            assert answer.status_code == (await four.send(request, place.headers)).status_code, name
            assert answer.status_code not in (401, 403, 422), name
        else:
            assert answer.status_code == (401 if endpoint.admin else 403), name


async def test_the_key_of_a_user_opens_no_other_scope(four: FourScopes) -> None:
    """To it, other tenants of the environment are not there, however equal the user ids."""
    for place in four.places:
        for other in four.places:
            headers = place.key_of("a") | {"Tenant-ID": other.tenant}
            answer = await four.client.get("/v1/users/a", headers=headers)
            if other.tenant == place.tenant:
                assert (answer.status_code, answer.json()["name"]) == (200, place.mark)
            else:
                assert answer.status_code == 422
