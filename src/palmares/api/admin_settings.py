"""The settings of the environment, for administrators."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.json import Decoder

from palmares.api.endpoint import Answer, Call, Endpoint, read_body
from palmares.api.wire import Text
from palmares.api.wire_admin import given
from palmares.domain.settings import (
    LONGEST_WINDOW_DAYS,
    MOST_PERCENT,
    AggregationPeriod,
    EnvironmentSettings,
    Font,
)
from palmares.domain.webhook import LONGEST_URL
from palmares.service.settings import change_settings, read_settings

Address = Annotated[str, Meta(max_length=LONGEST_URL)]
Colour = Annotated[Text, Meta(description="#RGB, #RRGGBB, rgb(r,g,b) or rgba(r,g,b,a).")]
Percent = Annotated[
    int, Meta(ge=0, le=MOST_PERCENT, description="How many of the users to come are in the control group.")
]
Days = Annotated[int, Meta(ge=1, le=LONGEST_WINDOW_DAYS, description="Kept for who asks; nothing here depends on it.")]


class Image(Struct):
    """Where an image lies."""

    url: Address


class Branding(Struct, rename="camel"):
    """What messages of the app look like."""

    app_name: Text
    app_url: Address
    brand_color: Colour
    font: Font
    logo: Image | None
    app_icon: Image | None


class Experimentation(Struct, rename="camel"):
    """What experiments go by."""

    control_ratio: Percent
    user_activation_window: Days


class AdminSettings(Struct, rename="camel"):
    """The settings of the environment. Only the control ratio has an effect here."""

    branding: Branding
    experimentation: Experimentation
    aggregation_period: AggregationPeriod


class BrandingUpdate(Struct, rename="camel", kw_only=True):
    """The given fields of the branding; null removes an image."""

    app_name: Text | UnsetType | None = UNSET
    app_url: Address | UnsetType | None = UNSET
    brand_color: Colour | UnsetType | None = UNSET
    font: Font | UnsetType | None = UNSET
    logo: Image | UnsetType | None = UNSET
    app_icon: Image | UnsetType | None = UNSET


class ExperimentationUpdate(Struct, rename="camel", kw_only=True):
    """The given fields of what experiments go by."""

    control_ratio: Percent | UnsetType | None = UNSET
    user_activation_window: Days | UnsetType | None = UNSET


class SettingsUpdate(Struct, rename="camel", kw_only=True):
    """The given parts of the settings."""

    branding: BrandingUpdate | UnsetType | None = UNSET
    experimentation: ExperimentationUpdate | UnsetType | None = UNSET
    aggregation_period: AggregationPeriod | UnsetType | None = UNSET


_UPDATE_DECODER = Decoder(SettingsUpdate)


def settings_fields(request: SettingsUpdate) -> dict[str, Any]:
    """The given fields as `service/settings.py` takes them."""
    parts = given(request)
    if branding := parts.pop("branding", None):
        parts |= given(branding, "logo", "app_icon")
    if experimentation := parts.pop("experimentation", None):
        parts |= given(experimentation)
    return {name: value.url if isinstance(value, Image) else value for name, value in parts.items()}


def admin_settings(settings: EnvironmentSettings) -> AdminSettings:
    """The wire form of the settings."""
    return AdminSettings(
        Branding(
            settings.app_name,
            settings.app_url,
            settings.brand_color,
            settings.font,
            _image(settings.logo),
            _image(settings.app_icon),
        ),
        Experimentation(settings.control_ratio, settings.user_activation_window),
        settings.aggregation_period,
    )


def _image(url: str | None) -> Image | None:
    return None if url is None else Image(url)


async def get_settings(call: Call) -> Answer:
    """The present settings."""
    return Answer(200, admin_settings(read_settings(call.context, call.scope)))


async def update_settings(call: Call) -> Answer:
    """Change what is given."""
    fields = settings_fields(read_body(call, _UPDATE_DECODER))
    return Answer(200, admin_settings(await change_settings(call.context, call.scope, fields)))


ENDPOINTS = (
    Endpoint(
        "GET",
        "/settings",
        get_settings,
        "Get the settings of the environment",
        answers={200: AdminSettings},
        spans_tenants=True,
    ),
    Endpoint(
        "PATCH",
        "/settings",
        update_settings,
        "Change the settings of the environment",
        answers={200: AdminSettings},
        body=SettingsUpdate,
        spans_tenants=True,
    ),
)
