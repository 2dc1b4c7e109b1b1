"""The bulk shape of the Admin API: a bare array of independent items in, what became of each out.

A request as a whole is refused only when it is unusable: no array, empty, too long, not JSON. A wrong field inside an
item is an issue of that item, so every item is decoded by itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct

from palmares.api.complaint import sentence
from palmares.api.endpoint import Answer, Call, read_body, read_list, read_query
from palmares.api.wire_admin import Deleted, DeletedItem, Issue, issue
from palmares.domain.errors import Invalid, NotFound
from palmares.service.bulk import Bulk, Item

Thing = TypeVar("Thing")
Request = TypeVar("Request", bound=Struct)

# Makes a body of what was done, in its wire form, and of the issues.
Shape = Callable[[list[Any], list[Issue]], Struct]

MOST_ITEMS = 100
Many = Meta(min_length=1, max_length=MOST_ITEMS)

_RAW_ITEMS = msgspec.json.Decoder(Annotated[list[msgspec.Raw], Many])
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class ListQuery(Struct, frozen=True):
    """Which part of a list."""

    limit: Annotated[int, Meta(ge=1, le=100, description="Most items to return.")] = 10
    skip: Annotated[int, Meta(ge=0, description="Items to skip, oldest first.")] = 0


class IdsQuery(Struct, frozen=True):
    """What to delete."""

    ids: Annotated[list[str], Meta(min_length=1, max_length=MOST_ITEMS, description="Repeated or joined by commas.")]


class _Named(Struct):
    id: str


_NAMED = msgspec.json.Decoder(_Named)


# Types that are known only where the program runs


def many(item: Any) -> Any:
    """The type of a request's body with these items."""
    return Annotated[list[item], Many]


def list_of(item: Any) -> Any:
    """The type of a list's answer with these items."""
    return list[item]


# Reading


def read_items(
    call: Call, decoder: msgspec.json.Decoder[Request], fields: Callable[[Request], Mapping[str, Any]]
) -> list[Item]:
    """The items of a request. One that does not decode, or whose fields raise `Invalid`, comes with its problem."""
    named = "id" in decoder.type.__struct_fields__
    raw_items: list[msgspec.Raw] = read_body(call, _RAW_ITEMS)
    try:
        return [_item(index, raw, named, decoder, fields) for index, raw in enumerate(raw_items)]
    except (msgspec.DecodeError, UnicodeDecodeError):
        # The array's brackets and commas were in order, but a text inside an item was not.
        raise Invalid("the body is not valid JSON in UTF-8") from None


def read_ids(call: Call) -> list[str]:
    """The ids to delete, as given."""
    ids = read_list(call, "ids")
    if not 1 <= len(ids) <= MOST_ITEMS:
        raise Invalid(f"ids: expected 1 to {MOST_ITEMS} ids")
    return ids


def read_part(call: Call, things: Sequence[Thing]) -> Sequence[Thing]:
    """The part of a list that the query asks for."""
    query = read_query(call, ListQuery)
    return things[query.skip : query.skip + query.limit]


def find(call: Call, what: str, by_id: Mapping[str, Thing]) -> Thing:
    """The thing with the id in the path; `Invalid` for what is no UUID, `NotFound` for an unknown one."""
    thing_id = call.path["id"].lower()
    if not _UUID.fullmatch(thing_id):
        raise Invalid("id: expected a UUID")
    if thing_id not in by_id:
        raise NotFound(f"{what} {thing_id!r} was not found")
    return by_id[thing_id]


def _item(
    index: int,
    raw: msgspec.Raw,
    named: bool,
    decoder: msgspec.json.Decoder[Request],
    fields: Callable[[Request], Mapping[str, Any]],
) -> Item:
    thing_id = _id_of(raw) if named else None
    try:
        return Item(index, thing_id, fields(decoder.decode(raw)))
    except msgspec.ValidationError as error:
        return Item(index, thing_id, {}, sentence(error, decoder.type))
    except Invalid as error:
        return Item(index, thing_id, {}, error.message)


def _id_of(raw: msgspec.Raw) -> str | None:
    """The id as given, whatever else is wrong with the item."""
    try:
        return _NAMED.decode(raw).id
    except msgspec.ValidationError:
        return None


# Answering


def created(done: Bulk[Thing], shape: Shape, show: Callable[[Thing], Any]) -> Answer:
    """What was created, in its wire form; 201 when that is at least one."""
    return Answer(201 if done.things else 200, shape([*map(show, done.things)], issues(done)))


def updated(done: Bulk[Thing], shape: Shape, show: Callable[[Thing], Any]) -> Answer:
    """What was updated, in its wire form."""
    return Answer(200, shape([*map(show, done.things)], issues(done)))


def deleted(done: Bulk[Any]) -> Answer:
    """What was deleted."""
    return Answer(200, Deleted([DeletedItem(thing.id) for thing in done.things], issues(done)))


def issues(done: Bulk[Any]) -> list[Issue]:
    """The issues of a request, in their wire form."""
    return [issue(found) for found in done.issues]
