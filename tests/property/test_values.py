"""Exact numbers: read, added and written without losing anything."""

import decimal
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from palmares.domain.errors import Invalid
from palmares.domain.value import LEAST, MICROS, MOST, checked, exact, fits, parse, rounded

CONTEXT = decimal.Context(prec=500)
micros = st.integers(LEAST, MOST)
decimals = st.decimals(min_value=-(10**13), max_value=10**13, allow_nan=False, allow_infinity=False, places=None)


@given(micros)
@example(LEAST)
@example(MOST)
def test_what_is_written_is_read_again(number: int) -> None:
    """Over the whole range."""
    assert parse(str(exact(number))) == number


@given(micros)
def test_the_exact_number_is_exact(number: int) -> None:
    """It is the whole number, or a decimal without trailing zeros and without exponent."""
    shown = exact(number)
    assert CONTEXT.multiply(Decimal(shown), Decimal(MICROS)) == number
    assert isinstance(shown, int) == (number % MICROS == 0)


@given(decimals)
@example(Decimal("0.0000005"))
@example(Decimal("-0.0000005"))
@example(Decimal("9223372036854.7758074"))
@example(Decimal("-9223372036854.7758085"))
@example(Decimal("1e-400"))
def test_more_than_six_decimals_are_rounded_half_away_from_zero(number: Decimal) -> None:
    """As decimal does it in one step; what then does not fit is refused."""
    scaled = CONTEXT.multiply(number, Decimal(MICROS))
    expected = int(scaled.to_integral_value(decimal.ROUND_HALF_UP, CONTEXT))
    if fits(expected):
        assert parse(str(number)) == expected
    else:
        with pytest.raises(Invalid):
            parse(str(number))


@given(st.integers(-(10**25), 10**25))
def test_integers_are_taken_as_integers(number: int) -> None:
    """Never through a float."""
    if fits(number * MICROS):
        assert parse(str(number)) == number * MICROS
    else:
        with pytest.raises(Invalid, match="out of range"):
            parse(str(number))


@given(st.integers(-(10**6), 10**6), st.integers(-20, 20))
def test_exponents_move_the_point(number: int, exponent: int) -> None:
    """JSON may write numbers so."""
    expected = CONTEXT.scaleb(Decimal(number), exponent)
    scaled = int(CONTEXT.multiply(expected, Decimal(MICROS)).to_integral_value(decimal.ROUND_HALF_UP))
    if fits(scaled):
        assert parse(f"{number}e{exponent}") == scaled
    else:
        with pytest.raises(Invalid):
            parse(f"{number}e{exponent}")


@given(micros)
def test_values_are_shown_rounded_half_up(number: int) -> None:
    """To the nearest integer; of two equally near ones the greater."""
    assert abs(rounded(number) * MICROS - number) <= MICROS // 2
    assert rounded(number) == int((Decimal(number) / MICROS + Decimal("0.5")).to_integral_value(decimal.ROUND_FLOOR))


@given(st.lists(decimals.filter(lambda number: abs(number) < 10**9), min_size=1, max_size=20), st.randoms())
def test_sums_are_the_same_in_any_order(numbers: list[Decimal], random: object) -> None:
    """And those of exact fractions are exact."""
    amounts = [parse(str(number)) for number in numbers]
    shuffled = list(amounts)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    total = 0
    for amount in shuffled:
        total = checked(total + amount, "total")
    assert total == sum(amounts)
    assert exact(10 * parse("0.1")) == 1


@given(st.integers())
def test_what_fits_is_what_64_bits_hold(number: int) -> None:
    """`checked` gives it back or refuses it by name."""
    assert fits(number) == (number.bit_length() <= 63 or number == LEAST)
    if fits(number):
        assert checked(number, "total") == number
    else:
        with pytest.raises(Invalid, match="total: "):
            checked(number, "total")


@given(st.text(max_size=12))
@example("")
@example("NaN")
@example("-Infinity")
@example("1_000")
@example(" 1")
@example("1e")
@example("0x10")
@example("٣")
def test_text_is_a_number_or_refused(text: str) -> None:
    """Whatever the text, nothing but `Invalid` is raised, and what is taken fits."""
    try:
        taken = parse(text)
    except Invalid as error:
        taken, refusal = None, error.message
    else:
        refusal = "value: "
    assert refusal.startswith("value: ")
    assert taken is None or fits(taken)
