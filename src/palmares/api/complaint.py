"""What is wrong with a request, with the field first and in the words of JSON: `user.id: required`.

msgspec, which decodes requests, says the same in the words of Python: "Object missing required field `id` - at
`$.user`". It never names the choices of a `Literal`, so those are looked up in the type that was to be decoded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import inspect

_PLACED = re.compile(r"(?P<problem>.*) - at (?P<key>`key` in )?`\$\.?(?P<place>[^`]*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`")
_TYPES = re.compile(r"`([a-z| ]+)`")
_LENGTH = re.compile(r"(?P<kind>string|array|object) of length (?P<limit>[<>]=) (?P<count>\d+)")
# One step from a type into what it holds: [3] of a list, [...] of a dictionary, or else a field.
_STEP = re.compile(r"\[[^]]*]|[^.[]+")
_WORDS = {"str": "string", "int": "integer", "float": "number", "decimal": "number", "bool": "boolean"}


def sentence(error: msgspec.ValidationError, kind: Any) -> str:
    """What a decoder of this type complains of: `user.id: expected string, got integer`."""
    placed = _PLACED.fullmatch(str(error))
    problem, place = (placed["problem"], placed["place"]) if placed else (str(error), "")
    if missing := _MISSING.fullmatch(problem):
        return f"{place}.{missing[1]}: required" if place else f"{missing[1]}: required"
    said = _said(problem, kind, place)
    if placed and placed["key"]:
        said = f"in a key, {said}"
    return f"{place}: {said}" if place else said


def _said(problem: str, kind: Any, place: str) -> str:
    if problem.startswith("Invalid enum value"):
        # The value itself is left out: it may be of any length, and the client knows it.
        choices = sorted(map(repr, _choices(kind, place)))
        return f"expected {_either(choices)}" if choices else "not one of the possible values"
    if problem.startswith("Expected"):
        problem = _TYPES.sub(lambda types: _in_words(types[1]), problem)
        problem = _LENGTH.sub(_length_in_words, problem)
    return problem[:1].lower() + problem[1:]


def _in_words(types: str) -> str:
    """`int | null` is integer or null."""
    words = [_WORDS.get(name, name) for name in types.split(" | ")]
    return _either([*dict.fromkeys(words)])


def _length_in_words(found: re.Match[str]) -> str:
    """`string of length <= 3` is string of at most 3 characters."""
    limit = "at least" if found["limit"] == ">=" else "at most"
    unit = {"string": "character", "array": "item", "object": "field"}[found["kind"]]
    return f"{found['kind']} of {limit} {found['count']} {unit}{'' if found['count'] == '1' else 's'}"


def _either(words: Sequence[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} or {last}" if most else last


# Finding the choices


_described = lru_cache(maxsize=64)(inspect.type_info)


def _choices(kind: Any, place: str) -> set[Any]:
    """What the literals at a place allow; nothing where there are none that can be found."""
    found = [*_alternatives(_described(kind))]
    for step in _STEP.findall(place):
        found = [inner for outer in found for inner in _inside(outer, step)]
    return {value for one in found if isinstance(one, inspect.LiteralType) for value in one.values}


def _inside(outer: inspect.Type, step: str) -> Iterator[inspect.Type]:
    if isinstance(outer, inspect.StructType):
        for field in outer.fields:
            if field.encode_name == step:
                yield from _alternatives(field.type)
    elif isinstance(outer, inspect.ListType) and step != "[...]":
        yield from _alternatives(outer.item_type)
    elif isinstance(outer, inspect.DictType) and step == "[...]":
        yield from _alternatives(outer.value_type)


def _alternatives(kind: inspect.Type) -> Iterator[inspect.Type]:
    """The types that a value may have, without what is only said about them."""
    if isinstance(kind, inspect.Metadata):
        yield from _alternatives(kind.type)
    elif isinstance(kind, inspect.UnionType):
        for one in kind.types:
            yield from _alternatives(one)
    else:
        yield kind
