"""Metrics: what is counted."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from palmares.domain.errors import Invalid

AttributeKind = Literal["user", "event"]
UnitType = Literal["number", "currency"]
_KEY = re.compile(r"[A-Za-z0-9_-]+")
LONGEST_TEXT = 255


@dataclass(frozen=True, slots=True)
class Metric:
    """A named counter. `number` is its short name inside the ledger, `id` its UUID on the wire."""

    number: int
    id: str
    scope: int
    key: str
    name: str
    unit_type: UnitType = "number"
    units: str = ""


@dataclass(frozen=True, slots=True)
class Attribute:
    """A key that users or events may carry a value for."""

    id: str
    scope: int
    kind: AttributeKind
    key: str
    name: str


def check_key(key: str) -> str:
    """The key itself, or `Invalid`: letters, digits, hyphen and underscore, at most 255."""
    if len(key) > LONGEST_TEXT or not _KEY.fullmatch(key):
        raise Invalid("key: only letters, digits, hyphen and underscore, 1 to 255 of them")
    return key


def check_name(name: str, field: str = "name") -> str:
    """The name itself, or `Invalid` when it is blank or longer than 255 characters."""
    if not name.strip() or len(name) > LONGEST_TEXT:
        raise Invalid(f"{field}: expected 1 to 255 characters, not all of them blank")
    return check_text(name, field)


def check_text(text: str, field: str) -> str:
    """The text itself, or `Invalid` when it holds the one character that PostgreSQL cannot keep."""
    if "\0" in text:
        raise Invalid(f"{field}: must not hold a NUL character")
    return text


def check_units(unit_type: UnitType, units: str) -> str:
    """The unit itself, or `Invalid`: a currency is told by the three capital letters of ISO 4217."""
    if unit_type == "currency" and not (len(units) == 3 and units.isascii() and units.isalpha() and units.isupper()):
        raise Invalid("units: a currency needs its ISO 4217 code, such as EUR")
    if len(units) > LONGEST_TEXT:
        raise Invalid("units: at most 255 characters")
    return check_text(units, "units")
