"""The settings of an environment: what they may be, and whom the control group takes."""

from typing import Any

import pytest

from palmares.domain.errors import Invalid
from palmares.domain.settings import EnvironmentSettings, changed, in_control_group

DEFAULTS = EnvironmentSettings()
IDS = [f"user-{number}" for number in range(10_000)]


def test_what_is_given_changes_and_the_rest_stays() -> None:
    after = changed(DEFAULTS, {"app_name": "Laps", "logo": "https://example.com/logo.png", "control_ratio": 20})

    assert (after.app_name, after.logo, after.control_ratio) == ("Laps", "https://example.com/logo.png", 20)
    assert changed(after, {"app_name": "", "logo": None, "control_ratio": 0}) == DEFAULTS


@pytest.mark.parametrize("colour", ["#fff", "#FF8800", "rgb(1,2,3)", "rgba(255, 0, 10, 0.5)", "rgba(1,2,3,50%)"])
def test_a_colour_may_be_told_in_hexadecimal_or_by_its_parts(colour: str) -> None:
    assert changed(DEFAULTS, {"brand_color": colour}).brand_color == colour


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"brand_color": "red"}, "branding.brandColor"),
        ({"brand_color": "#ff"}, "branding.brandColor"),
        ({"brand_color": "#fff\n"}, "branding.brandColor"),
        ({"brand_color": "rgb(1,2)"}, "branding.brandColor"),
        ({"brand_color": "#" + "f" * 300}, "branding.brandColor"),
        ({"app_name": "x" * 256}, "branding.appName"),
        ({"app_url": "x" * 5000}, "branding.appUrl"),
        ({"app_icon": "x" * 5000}, "branding.appIcon.url"),
        ({"logo": "a\0b"}, "branding.logo.url"),
        ({"control_ratio": -1}, "experimentation.controlRatio"),
        ({"control_ratio": 101}, "experimentation.controlRatio"),
        ({"user_activation_window": 0}, "experimentation.userActivationWindow"),
        ({"user_activation_window": 366}, "experimentation.userActivationWindow"),
    ],
)
def test_what_is_malformed_or_out_of_range_is_refused_by_its_name(given: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        changed(DEFAULTS, given)

    assert refusal.value.message.startswith(f"{field}: ")


def test_the_ratio_is_the_part_of_new_users_in_the_control_group() -> None:
    """Of 10,000 ids, to one in a hundred."""
    for ratio in (0, 1, 10, 50, 99, 100):
        part = sum(in_control_group(user_id, ratio) for user_id in IDS)
        assert abs(part - len(IDS) * ratio / 100) <= len(IDS) / 100

    assert not any(in_control_group(user_id, 0) for user_id in IDS)
    assert all(in_control_group(user_id, 100) for user_id in IDS)


def test_a_higher_ratio_takes_more_users_and_lets_none_go() -> None:
    """An experiment can be widened without its users changing sides."""
    for user_id in IDS[:500]:
        sides = [in_control_group(user_id, ratio) for ratio in range(101)]
        assert sides == sorted(sides)


def test_the_side_of_a_user_follows_from_the_id_for_ever() -> None:
    """A change of the hash would put users of a server that is set up anew on other sides."""
    sides = {user_id: in_control_group(user_id, 50) for user_id in ("swim-1", "swim-2", "swim-7", "org/7", "ü")}

    assert sides == {"swim-1": True, "swim-2": False, "swim-7": False, "org/7": True, "ü": True}
