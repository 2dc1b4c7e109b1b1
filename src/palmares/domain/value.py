"""Exact numbers: signed 64-bit fixed point with six decimal digits.

Inside, every amount, total and value is an `int` of millionths ("micros"), so sums are exact and equal in any
order. At the edges it is a JSON number: read from its text, never through a float.
"""

from __future__ import annotations

import decimal

from palmares.domain.errors import Invalid

MICROS = 1_000_000
DIGITS = 6
MOST = 2**63 - 1
# 64 bits could hold one less, but whatever is added can be taken back.
LEAST = -MOST

# Wide enough that scaling any number that fits is exact before the one rounding step.
_CONTEXT = decimal.Context(prec=60, rounding=decimal.ROUND_HALF_UP)
_MICRO = decimal.Decimal(1).scaleb(-DIGITS)
_LONGEST_NUMBER = 400


def fits(micros: int) -> bool:
    """Whether the number is within the 64 bits that values have."""
    return LEAST <= micros <= MOST


def checked(micros: int, name: str) -> int:
    """The number itself, or `Invalid` when it leaves the range of values."""
    if not LEAST <= micros <= MOST:
        raise Invalid(f"{name}: {exact(micros)} is out of range; the limit is ±9223372036854.775807")
    return micros


def parse(text: str, name: str = "value") -> int:
    """A JSON number's text as micros; more than six decimals are rounded half away from zero.

    Raises `Invalid` when the text is no number or does not fit. Integers take the short way: no decimal, no float.
    """
    try:
        if len(text) <= 19:
            return checked(int(text) * MICROS, name)
    except ValueError:
        pass
    return checked(_parse_decimal(text, name), name)


def _parse_decimal(text: str, name: str) -> int:
    if len(text) > _LONGEST_NUMBER:
        raise Invalid(f"{name}: a number of {len(text)} characters is too long")
    try:
        number = decimal.Decimal(text)
    except decimal.InvalidOperation:
        raise Invalid(f"{name}: expected a number") from None
    if not number.is_finite():
        raise Invalid(f"{name}: expected a finite number")
    if not number:
        return 0
    if number.adjusted() > 13:
        raise Invalid(f"{name}: {text} is out of range; the limit is ±9223372036854.775807")
    if number.adjusted() < -DIGITS - 1:
        return 0
    return int(number.quantize(_MICRO, context=_CONTEXT).scaleb(DIGITS, context=_CONTEXT))


def rounded(micros: int) -> int:
    """The nearest integer, halves up: how values of rankings are sent."""
    return (micros + MICROS // 2) // MICROS


def exact(micros: int) -> int | decimal.Decimal:
    """The number unrounded: an `int` where it is whole, else a `Decimal` without trailing zeros."""
    whole, rest = divmod(micros, MICROS)
    if not rest:
        return whole
    return decimal.Decimal(micros).scaleb(-DIGITS, context=_CONTEXT).normalize(_CONTEXT)
