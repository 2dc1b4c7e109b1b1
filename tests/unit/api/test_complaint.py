"""What is said of a request that does not decode: the field first, then what is wrong, in the words of JSON."""

from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import UNSET, Meta, Struct, UnsetType

from palmares.api.complaint import sentence

Pool = Literal["west", "east"]
Short = Annotated[str, Meta(min_length=1, max_length=3)]


class Stroke(Enum):
    CRAWL = "crawl"


class Person(Struct, rename="camel", kw_only=True):
    id: Short
    home_pool: Annotated[Pool | UnsetType | None, Meta(description="Where they swim.")] = UNSET
    attributes: dict[Short, str | None] | UnsetType = UNSET
    pools: dict[str, Pool] | list[Pool] | UnsetType = UNSET


class Swim(Struct, kw_only=True):
    user: Person
    laps: Annotated[int, Meta(ge=1)] = 1
    helpers: list[Person] | UnsetType | None = UNSET


def said(text: str, kind: Any, strict: bool = True) -> str:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(text, type=kind, strict=strict)
    return sentence(caught.value, kind)


@pytest.mark.parametrize(
    ("text", "kind", "complaint"),
    [
        ("{}", Swim, "user: required"),
        ('{"user": {}}', Swim, "user.id: required"),
        ('{"user": {"id": "a"}, "helpers": [{"id": "b"}, {}]}', Swim, "helpers[1].id: required"),
        ('[{"user": {"id": "a"}}, {"user": {}}]', list[Swim], "[1].user.id: required"),
    ],
)
def test_a_missing_field_is_required(text: str, kind: Any, complaint: str) -> None:
    """It is named with the whole way to it."""
    assert said(text, kind) == complaint


@pytest.mark.parametrize(
    ("text", "kind", "complaint"),
    [
        ("5", str, "expected string, got integer"),
        ('"5"', int, "expected integer, got string"),
        ("true", float, "expected number, got boolean"),
        ("1.5", bool, "expected boolean, got number"),
        ("{}", list[str], "expected array, got object"),
        ("[]", dict[str, str], "expected object, got array"),
        ("null", Swim, "expected object, got null"),
        ("[]", str | None, "expected string or null, got array"),
        ("[]", int | str | None, "expected integer, string or null, got array"),
        ("[]", float | Decimal, "expected number, got array"),
    ],
)
def test_types_have_the_names_of_json(text: str, kind: Any, complaint: str) -> None:
    """Whoever sends a request need not know what the server is written in."""
    assert said(text, kind) == complaint


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"user": {"id": 5}}', "user.id: expected string, got integer"),
        ('{"user": {"id": ""}}', "user.id: expected string of at least 1 character"),
        ('{"user": {"id": "a"}, "laps": 0}', "laps: expected integer >= 1"),
        ('{"user": {"id": "a", "attributes": {"b": 5}}}', "user.attributes[...]: expected string or null, got integer"),
        (
            '{"user": {"id": "a", "attributes": {"long": "c"}}}',
            "user.attributes: in a key, expected string of at most 3 characters",
        ),
    ],
)
def test_a_value_that_does_not_fit_is_told_with_its_place(text: str, complaint: str) -> None:
    """Type, length and range."""
    assert said(text, Swim) == complaint


@pytest.mark.parametrize(
    ("text", "kind", "complaint"),
    [
        ('"north"', Pool, "expected 'east' or 'west'"),
        ('"north"', Literal["only"], "expected 'only'"),
        ("4", Literal[1, 2, 3], "expected 1, 2 or 3"),
        ('{"user": {"id": "a", "homePool": "north"}}', Swim, "user.homePool: expected 'east' or 'west'"),
        ('[{"id": "a"}, {"id": "b", "homePool": ""}]', list[Person], "[1].homePool: expected 'east' or 'west'"),
        ('{"id": "a", "pools": {"b": "north"}}', Person, "pools[...]: expected 'east' or 'west'"),
        ('{"id": "a", "pools": ["east", "north"]}', Person, "pools[1]: expected 'east' or 'west'"),
        (
            '{"user": {"id": "a"}, "helpers": [{"id": "b", "homePool": "north"}]}',
            Swim,
            "helpers[0].homePool: expected 'east' or 'west'",
        ),
    ],
)
def test_a_value_that_is_none_of_the_choices_is_answered_with_the_choices(text: str, kind: Any, complaint: str) -> None:
    """They are found through fields, lists, dictionaries and what may be left out."""
    assert said(text, kind) == complaint


def test_choices_that_cannot_be_found_are_not_told() -> None:
    """There are none such in the API, yet it is no reason to fail."""
    assert said('"butterfly"', Stroke) == "not one of the possible values"
    assert said('{"north": 1}', dict[Pool, int]) == "in a key, not one of the possible values"


@pytest.mark.parametrize("value", ["x" * 10_000, "a - at `$.laps`", "Expected `str`", "line\\nline"])
def test_the_value_is_not_repeated_and_cannot_pass_for_a_place(value: str) -> None:
    """It may be long, or look like a part of the message."""
    text = f'{{"user": {{"id": "a", "homePool": "{value}"}}}}'

    assert said(text, Swim) == "user.homePool: expected 'east' or 'west'"


def test_what_is_not_about_types_stays_as_it_is() -> None:
    """Only the first letter is made small."""
    assert said("1e400", int) == "number out of range"
