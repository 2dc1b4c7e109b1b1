"""One kind of definition over the Admin API: list, get, create, update, delete.

An `admin_*` module says in a `Resource` what is its own; the five endpoints, whose logic is the same for all, follow
from that.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from palmares.api import bulk
from palmares.api.endpoint import Answer, Call, Endpoint
from palmares.api.wire_admin import Deleted
from palmares.catalog.contract import Definitions
from palmares.service.bulk import Bulk, Item
from palmares.service.context import Context

Thing = TypeVar("Thing")
Request = TypeVar("Request", bound=msgspec.Struct)


def definitions_of(call: Call) -> Definitions:
    """What is defined in the scope of a request."""
    return call.context.catalog.definitions(call.scope)


def scope_of(call: Call) -> int:
    """Where most things are."""
    return call.scope


@dataclass(frozen=True, slots=True)
class Write(Generic[Thing, Request]):
    """A create or an update: how one item is read, the action on all of them, and the body of the answer.

    `fields` makes of a request what the action wants; it may raise `Invalid`. `shape` takes what was done and issues.
    """

    decoder: msgspec.json.Decoder[Request]
    fields: Callable[[Request], Mapping[str, Any]]
    action: Callable[[Context, Any, Sequence[Item]], Awaitable[Bulk[Thing]]]
    shape: type[msgspec.Struct]


@dataclass(frozen=True, slots=True)
class Resource(Generic[Thing]):
    """What one kind of definition has of its own.

    `name` is the word for one on the wire, and with an s that for many, and the `path` if none is given. Of what
    `source` finds for a request, `things` are all, oldest first, and `by_id` finds one. `show` makes the wire form, a
    `form`, of a thing at an instant. `within` is what actions are told of where the things are.
    """

    name: str
    things: Callable[[Any], Sequence[Thing]]
    by_id: Callable[[Any], Mapping[str, Thing]]
    form: type[msgspec.Struct]
    show: Callable[[Thing, int], msgspec.Struct]
    creating: Write[Thing, Any]
    updating: Write[Thing, Any]
    deleting: Callable[[Context, Any, Sequence[str]], Awaitable[Bulk[Thing]]]
    article: str = "a"
    path: str | None = None
    source: Callable[[Call], Any] = definitions_of
    within: Callable[[Call], Any] = scope_of

    async def get_list(self, call: Call) -> Answer:
        """A part of the things, oldest first."""
        things = bulk.read_part(call, self.things(self.source(call)))
        return Answer(200, [*map(self._shown(call), things)])

    async def get_one(self, call: Call) -> Answer:
        """One thing."""
        thing = bulk.find(call, self.name, self.by_id(self.source(call)))
        return Answer(200, self._shown(call)(thing))

    async def create(self, call: Call) -> Answer:
        """Create things."""
        items = bulk.read_items(call, self.creating.decoder, self.creating.fields)
        done = await self.creating.action(call.context, self.within(call), items)
        return bulk.created(done, self.creating.shape, self._shown(call))

    async def update(self, call: Call) -> Answer:
        """Update things."""
        items = bulk.read_items(call, self.updating.decoder, self.updating.fields)
        done = await self.updating.action(call.context, self.within(call), items)
        return bulk.updated(done, self.updating.shape, self._shown(call))

    async def delete(self, call: Call) -> Answer:
        """Delete things."""
        return bulk.deleted(await self.deleting(call.context, self.within(call), bulk.read_ids(call)))

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The lines of the route table."""
        names, creating, updating = f"{self.name}s", self.creating, self.updating
        path, one = self.path or f"/{names}", f"{self.article} {self.name}"
        created, listed = {200: creating.shape, 201: creating.shape}, {200: bulk.list_of(self.form)}
        new, changed = bulk.many(creating.decoder.type), bulk.many(updating.decoder.type)
        return (
            Endpoint("GET", path, self.get_list, f"List {names}", listed, query=bulk.ListQuery),
            Endpoint("GET", f"{path}/{{id}}", self.get_one, f"Get {one}", {200: self.form}, errors=(422,)),
            Endpoint("POST", path, self.create, f"Create {names}", created, body=new),
            Endpoint("PATCH", path, self.update, f"Update {names}", {200: updating.shape}, body=changed),
            Endpoint("DELETE", path, self.delete, f"Delete {names}", {200: Deleted}, query=bulk.IdsQuery),
        )

    def _shown(self, call: Call) -> Callable[[Thing], msgspec.Struct]:
        """How things are shown now."""
        now = call.context.clock()
        return lambda thing: self.show(thing, now)
