"""What counts for streaks, for administrators."""

from __future__ import annotations

from msgspec.json import Decoder

from palmares.api.endpoint import Answer, Call, Endpoint, read_body
from palmares.api.wire_streak import AdminStreakSettings, StreakSettingsUpdate, admin_settings, settings_fields
from palmares.service.streak_settings import change_settings, read_settings

_UPDATE_DECODER = Decoder(StreakSettingsUpdate)


async def get_settings(call: Call) -> Answer:
    """The present settings."""
    return Answer(200, admin_settings(read_settings(call.context, call.scope)))


async def update_settings(call: Call) -> Answer:
    """Change what is given; streaks are counted anew before this answers."""
    fields = settings_fields(read_body(call, _UPDATE_DECODER))
    return Answer(200, admin_settings(await change_settings(call.context, call.scope, fields)))


ENDPOINTS = (
    Endpoint(
        "GET", "/streaks/settings", get_settings, "Get the settings of streaks", answers={200: AdminStreakSettings}
    ),
    Endpoint(
        "PATCH",
        "/streaks/settings",
        update_settings,
        "Change the settings of streaks",
        answers={200: AdminStreakSettings},
        body=StreakSettingsUpdate,
    ),
)
