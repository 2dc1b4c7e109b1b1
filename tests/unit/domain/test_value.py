"""Exact numbers at their edges."""

from decimal import Decimal

import pytest

from palmares.domain.errors import Invalid
from palmares.domain.value import LEAST, MICROS, MOST, checked, exact, fits, parse, rounded


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("0", 0),
        ("-0", 0),
        ("-0.0", 0),
        ("0e99", 0),
        ("1", MICROS),
        ("-17", -17 * MICROS),
        ("1.5", 1_500_000),
        ("1e3", 1000 * MICROS),
        ("1E-6", 1),
        ("1.0000005", 1_000_001),
        ("-1.0000005", -1_000_001),
        ("0.0000004999999", 0),
        ("0.1", 100_000),
        ("9223372036854.775807", MOST),
        ("-9223372036854.775807", LEAST),
        ("9223372036854.7758074", MOST),
        ("1e-999999999", 0),
        ("0." + "0" * 300 + "1", 0),
    ],
)
def test_a_number_is_read_exactly(text: str, micros: int) -> None:
    """Six digits, the rest rounded half away from zero."""
    assert parse(text) == micros


@pytest.mark.parametrize(
    "text",
    [
        "9223372036854.775808",
        "-9223372036854.775808",
        "9223372036854.7758075",
        "-9223372036854.775809",
        "9223372036855",
        "1e13",
        "1e400",
        "9" * 50,
    ],
)
def test_a_number_that_does_not_fit_is_refused(text: str) -> None:
    """By the name of its field and with the limit."""
    with pytest.raises(Invalid, match=r"amount: .* is out of range; the limit is ±9223372036854.775807"):
        parse(text, "amount")


@pytest.mark.parametrize(
    "text", ["", "-", "one", "NaN", "Infinity", "-Infinity", "1,5", "0x10", "--1", "1e", "9" * 401]
)
def test_what_is_no_number_is_refused(text: str) -> None:
    """By the name of its field."""
    with pytest.raises(Invalid, match=r"^amount: "):
        parse(text, "amount")


@pytest.mark.parametrize(
    ("micros", "shown"),
    [(0, 0), (499_999, 0), (500_000, 1), (-500_000, 0), (-500_001, -1), (1_500_000, 2), (MOST, 9223372036855)],
)
def test_rankings_show_the_nearest_integer(micros: int, shown: int) -> None:
    """Halves up."""
    assert rounded(micros) == shown


@pytest.mark.parametrize(
    ("micros", "shown"),
    [
        (0, "0"),
        (5 * MICROS, "5"),
        (100 * MICROS, "100"),
        (1_500_000, "1.5"),
        (-1, "-0.000001"),
        (MOST, "9223372036854.775807"),
    ],
)
def test_the_exact_number_has_no_trailing_zeros(micros: int, shown: str) -> None:
    """Whole numbers are integers."""
    assert f"{exact(micros):f}" == shown if isinstance(exact(micros), Decimal) else str(exact(micros)) == shown


def test_the_range_is_that_of_64_bits() -> None:
    """Both ends included."""
    assert fits(MOST)
    assert fits(LEAST)
    assert not fits(MOST + 1)
    assert not fits(LEAST - 1)
    assert checked(MOST, "total") == MOST
    with pytest.raises(Invalid, match=r"total: 9223372036854\.775808 is out of range"):
        checked(MOST + 1, "total")
