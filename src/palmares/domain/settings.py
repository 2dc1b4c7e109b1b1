"""The settings of an environment: how it looks, and which of its users are in the control group.

Only the control group has an effect here; the rest is kept for those who ask for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, Literal

from palmares.domain.errors import Invalid
from palmares.domain.metric import LONGEST_TEXT, check_text
from palmares.domain.webhook import LONGEST_URL

Font = Literal[
    "MODERN_SANS",
    "BOOK_SANS",
    "ORGANIC_SANS",
    "GEOMETRIC_SANS",
    "HEAVY_SANS",
    "ROUNDED_SANS",
    "MODERN_SERIF",
    "BOOK_SERIF",
    "MONOSPACE",
]
AggregationPeriod = Literal["weekly", "monthly"]

MOST_PERCENT = 100
LONGEST_WINDOW_DAYS = 365

_LONGEST = {"app_name": LONGEST_TEXT, "app_url": LONGEST_URL, "logo": LONGEST_URL, "app_icon": LONGEST_URL}
_SHOWN = {
    "app_name": "branding.appName",
    "app_url": "branding.appUrl",
    "logo": "branding.logo.url",
    "app_icon": "branding.appIcon.url",
}
_HEX = r"#[0-9a-fA-F]{3}(?:[0-9a-fA-F]{3})?"
_COLOUR = re.compile(rf"{_HEX}|rgb\(\s*\d+(?:\s*,\s*\d+){{2}}\s*\)|rgba\(\s*\d+(?:\s*,\s*\d+){{2}}\s*,\s*[\d.]+%?\s*\)")


@dataclass(frozen=True, slots=True)
class EnvironmentSettings:
    """The settings of one environment; the defaults hold where nothing was set.

    `logo` and `app_icon` are URLs. `control_ratio` is the percentage of new users who come into the control group;
    `user_activation_window` counts days.
    """

    app_name: str = ""
    app_url: str = ""
    brand_color: str = "#000000"
    font: Font = "MODERN_SANS"
    logo: str | None = None
    app_icon: str | None = None
    control_ratio: int = 0
    user_activation_window: int = 7
    aggregation_period: AggregationPeriod = "weekly"


def changed(settings: EnvironmentSettings, given: Mapping[str, Any]) -> EnvironmentSettings:
    """The settings with the given fields; absent ones stay. Raises `Invalid` for what is malformed or out of range."""
    after = replace(settings, **given)
    for name, longest in _LONGEST.items():
        _check_length(getattr(after, name) or "", longest, _SHOWN[name])
    if len(after.brand_color) > LONGEST_TEXT or not _COLOUR.fullmatch(after.brand_color):
        raise Invalid("branding.brandColor: expected #RGB, #RRGGBB, rgb(r,g,b) or rgba(r,g,b,a)")
    if not 0 <= after.control_ratio <= MOST_PERCENT:
        raise Invalid("experimentation.controlRatio: expected a percentage from 0 to 100")
    if not 1 <= after.user_activation_window <= LONGEST_WINDOW_DAYS:
        raise Invalid(f"experimentation.userActivationWindow: expected 1 to {LONGEST_WINDOW_DAYS} days")
    return after


def in_control_group(user_id: str, control_ratio: int) -> bool:
    """Whether a user who is new belongs to the control group, of which there is so much in percent.

    It follows from the id, so that the same user is always treated alike, in every environment; who is in at a ratio
    is in at every higher one.
    """
    if control_ratio <= 0:
        return False
    digest = blake2b(user_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest) % MOST_PERCENT < control_ratio


def _check_length(text: str, longest: int, field: str) -> None:
    if len(text) > longest:
        raise Invalid(f"{field}: at most {longest} characters")
    check_text(text, field)
