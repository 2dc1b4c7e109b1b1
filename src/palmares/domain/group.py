"""Groups: which of a board's rankings a user stands in.

A board's filters say who takes part; its breakdown attributes split those into one group per combination of
values. Both look at the user's present attributes.
"""

from __future__ import annotations

from collections.abc import Mapping

from palmares.domain.board import Board

# The values of the breakdown attributes, in the board's order; empty on a board without breakdown.
Group = tuple[str, ...]


def group_of(board: Board, attributes: Mapping[str, str]) -> Group | None:
    """The user's group; None when a filter does not match or a breakdown attribute has no value."""
    for attribute, value in board.filters:
        if attributes.get(attribute.key) != value:
            return None
    try:
        return tuple([attributes[attribute.key] for attribute in board.breakdown])
    except KeyError:
        return None
