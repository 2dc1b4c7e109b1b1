"""Groups: which of a board's rankings a user stands in.

A board's filters say who takes part; its breakdown attributes split those into one group per combination of
values. Both look at the user's present attributes. Who is hidden stands in none of them, but has one to come back to.
"""

from __future__ import annotations

from collections.abc import Mapping

from palmares.domain.board import Board
from palmares.domain.hidden import is_hidden

# The values of the breakdown attributes, in the board's order; empty on a board without breakdown.
Group = tuple[str, ...]


def group_of(board: Board, attributes: Mapping[str, str]) -> Group | None:
    """The user's group; None for who is hidden, when a filter does not match or a breakdown attribute has no value."""
    return None if is_hidden(attributes) else own_group(board, attributes)


def own_group(board: Board, attributes: Mapping[str, str]) -> Group | None:
    """The group in which the user stands, or would if not hidden."""
    for attribute, value in board.filters:
        if attributes.get(attribute.key) != value:
            return None
    try:
        return tuple([attributes[attribute.key] for attribute in board.breakdown])
    except KeyError:
        return None
