"""Many definitions in one request: items are independent, and the answer tells of those that went well and those not.

An action judges the items one after the other: `Bulk.judge` notes either what the item becomes or, where judging
raises, an issue. So a later item sees what earlier ones will have done, and results and issues keep the order of the
request. Only then is everything saved, at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Literal, TypeVar

from palmares.domain.errors import Invalid, NotAllowed, NotFound
from palmares.domain.metric import Attribute, Metric
from palmares.domain.points import PointsSystem

Thing = TypeVar("Thing")
# What an update changes field by field; a board has rules of its own.
Plain = TypeVar("Plain", Metric, Attribute, PointsSystem)


@dataclass(frozen=True, slots=True)
class Item:
    """One item: its place in the request from 0, the id it names (creates have none) and the given fields.

    A `problem` says that the fields could not be read; the item then only becomes an issue.
    """

    index: int
    id: str | None
    fields: Mapping[str, Any]
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Issue:
    """A remark on one item, named by its id or, where it has none, its place from 0. An error was not applied."""

    severity: Literal["error", "warning"]
    message: str
    index: int | None = None
    id: str | None = None


@dataclass(slots=True)
class Bulk(Generic[Thing]):
    """What has become of the items so far; `things` are the definitions made, changed or deleted."""

    things: list[Thing] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)

    def judge(self, items: Sequence[Item], judge: Callable[[Item], Thing]) -> None:
        """Note what each item becomes, or an issue where `judge` raises `Invalid`, `NotAllowed` or `NotFound`."""
        for item in items:
            try:
                if item.problem is not None:
                    raise Invalid(item.problem)
                self.things.append(judge(item))
            except (Invalid, NotAllowed, NotFound) as refusal:
                self.refuse(item, refusal.message)

    def refuse(self, item: Item, message: str) -> None:
        """Note that an item is not applied."""
        self._note("error", item, message)

    def warn(self, item: Item, message: str) -> None:
        """Note a remark on an item that is applied all the same."""
        self._note("warning", item, message)

    def _note(self, severity: Literal["error", "warning"], item: Item, message: str) -> None:
        # An item is named by its id, if it gave one.
        index = item.index if item.id is None else None
        self.issues.append(Issue(severity, message, index, item.id))


def named(ids: Sequence[str]) -> list[Item]:
    """The items of a request that only names things, to delete them."""
    return [Item(index, given, {}) for index, given in enumerate(ids)]


class Finder(Generic[Thing]):
    """Finds the things that items name, each one once: of two items for one thing, the first wins."""

    def __init__(self, what: str, by_id: Mapping[str, Thing]) -> None:
        self._what = what
        self._by_id = by_id
        self._named: set[str] = set()

    def find(self, item: Item) -> Thing:
        """The thing with the item's id, in either case of letters; raises `Invalid` and `NotFound`."""
        if item.id is None:
            raise Invalid("id: required")
        thing_id = item.id.lower()
        thing = self._by_id.get(thing_id)
        if thing is None:
            raise NotFound(f"id: there is no {self._what} with this id")
        if thing_id in self._named:
            raise Invalid("id: named twice in one request; the first item wins")
        self._named.add(thing_id)
        return thing


async def judge_and_save(
    items: Sequence[Item], judge: Callable[[Item], Thing], save: Callable[[Sequence[Thing]], Awaitable[list[Thing]]]
) -> Bulk[Thing]:
    """Judge all items, then save what they become, at once. Raises what `save` raises; nothing is saved then."""
    bulk = Bulk[Thing]()
    bulk.judge(items, judge)
    bulk.things = await save(bulk.things)
    return bulk


def take_key(key: str, taken: set[str], what: str) -> None:
    """Add a key to those taken; `Invalid` when it is one of them."""
    if key in taken:
        raise Invalid(f"key: another {what} has the key {key!r}")
    taken.add(key)


def changed(present: Plain, given: Mapping[str, Any], fixed: Mapping[str, str]) -> Plain:
    """The definition with the given fields.

    `fixed` are those that never change, with their names on the wire: `NotAllowed` when one is given and differs.
    """
    for name, wire_name in fixed.items():
        if name in given and given[name] != getattr(present, name):
            raise NotAllowed(f"{wire_name}: never changes")
    return replace(present, **given)
