"""Keys, names and units."""

import pytest

from palmares.domain.errors import Invalid
from palmares.domain.metric import check_key, check_name, check_text, check_units


@pytest.mark.parametrize("key", ["a", "Laps_swum-2", "0", "-", "x" * 255])
def test_a_key_has_letters_digits_hyphens_and_underscores(key: str) -> None:
    """It is given back."""
    assert check_key(key) == key


@pytest.mark.parametrize("key", ["", "a b", "ä", "a/b", "a\n", "x" * 256, "٣"])
def test_any_other_key_is_refused(key: str) -> None:
    """Also one with a line break behind it."""
    with pytest.raises(Invalid, match=r"^key: "):
        check_key(key)


@pytest.mark.parametrize("name", ["", " ", "\t\n", "x" * 256, "nul\0"])
def test_a_bad_name_is_refused(name: str) -> None:
    """By the name of its field."""
    with pytest.raises(Invalid, match=r"^title: "):
        check_name(name, "title")


def test_any_other_text_is_a_name() -> None:
    """Names are for people."""
    for name in ("x", "x" * 255, " Noor Haddad ", "😀"):
        assert check_name(name) == check_text(name, "name") == name


@pytest.mark.parametrize(("unit_type", "units"), [("number", ""), ("number", "laps"), ("currency", "EUR")])
def test_good_units_are_given_back(unit_type: str, units: str) -> None:
    """A number may have none."""
    assert check_units(unit_type, units) == units  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("unit_type", "units"),
    [("currency", ""), ("currency", "eur"), ("currency", "EURO"), ("currency", "ÄÖÜ"), ("number", "x" * 256)],
)
def test_bad_units_are_refused(unit_type: str, units: str) -> None:
    """A currency needs its three letters."""
    with pytest.raises(Invalid, match=r"^units: "):
        check_units(unit_type, units)  # type: ignore[arg-type]
