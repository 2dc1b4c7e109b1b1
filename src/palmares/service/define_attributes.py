"""Define attributes: create, change, delete."""

from __future__ import annotations

from collections.abc import Sequence

from palmares.domain.board import Board
from palmares.domain.errors import NotAllowed
from palmares.domain.metric import Attribute, check_key, check_name
from palmares.service.bulk import Bulk, Finder, Item, changed, judge_and_save, named, take_key
from palmares.service.context import Context
from palmares.service.define_points import filtered_by, system_paying

_FIXED = {"key": "key", "kind": "type"}


async def create_attributes(context: Context, scope: int, items: Sequence[Item]) -> Bulk[Attribute]:
    """Make attributes of items with the fields name, key and kind."""
    async with context.catalog.changing():
        definitions = context.catalog.definitions(scope)
        taken = {"user": set(definitions.user_attribute_keys), "event": set(definitions.event_attribute_keys)}

        def judge(item: Item) -> Attribute:
            attribute = _checked(Attribute(id=context.new_id(), scope=scope, **item.fields))
            take_key(attribute.key, taken[attribute.kind], f"{attribute.kind} attribute")
            return attribute

        return await judge_and_save(items, judge, context.catalog.save_attributes)


async def update_attributes(context: Context, scope: int, items: Sequence[Item]) -> Bulk[Attribute]:
    """Change the name of attributes; their key and kind never change."""
    async with context.catalog.changing():
        attributes = Finder("attribute", context.catalog.definitions(scope).attribute_by_id)

        def judge(item: Item) -> Attribute:
            return _checked(changed(attributes.find(item), item.fields, _FIXED))

        # A ledger reads only keys and ids, so it need not hear of a name.
        return await judge_and_save(items, judge, context.catalog.save_attributes)


async def delete_attributes(context: Context, scope: int, ids: Sequence[str]) -> Bulk[Attribute]:
    """Delete attributes that no board and no trigger uses. Values that users have stay stored."""
    async with context.catalog.changing():
        definitions = context.catalog.definitions(scope)
        attributes = Finder("attribute", definitions.attribute_by_id)
        users = {used: board for board in definitions.boards for used in _used_by(board)}

        def judge(item: Item) -> Attribute:
            attribute = attributes.find(item)
            if attribute.id in users:
                raise NotAllowed(f"the leaderboard {users[attribute.id].key!r} uses it; delete it first")
            paying = system_paying(definitions, lambda trigger: attribute in filtered_by(trigger))
            if paying is not None:
                raise NotAllowed(f"a trigger of the points system {paying.key!r} filters by it; delete that first")
            return attribute

        bulk = Bulk[Attribute]()
        bulk.judge(named(ids), judge)
        await context.catalog.delete_attributes([attribute.id for attribute in bulk.things])
        return bulk


def _checked(attribute: Attribute) -> Attribute:
    check_name(attribute.name)
    check_key(attribute.key)
    return attribute


def _used_by(board: Board) -> set[str]:
    """The ids of the attributes that a board splits or filters by."""
    return {attribute.id for attribute in (*board.breakdown, *(attribute for attribute, _ in board.filters))}
