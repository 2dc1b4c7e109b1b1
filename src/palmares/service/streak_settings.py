"""What counts for streaks: read and change the settings of a scope."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from palmares.catalog.contract import Definitions
from palmares.domain.errors import Invalid
from palmares.domain.streak_settings import StreakSettings, changed
from palmares.domain.value import MICROS
from palmares.service.context import Context


class StreakMetric(NamedTuple):
    """A metric that counts for streaks, by its key, and how much of it a period needs."""

    key: str
    threshold: int


class ShownSettings(NamedTuple):
    """The settings of a scope, and their metrics as they are called outside."""

    settings: StreakSettings
    metrics: Sequence[StreakMetric]


def read_settings(context: Context, scope: int) -> ShownSettings:
    """The present settings; the defaults when nothing was ever set."""
    return _shown(context.catalog.definitions(scope))


async def change_settings(context: Context, scope: int, fields: Mapping[str, Any]) -> ShownSettings:
    """The settings after a change; absent fields stay.

    `fields` are those of `StreakSettings` but for the version, with `StreakMetric`s in `metrics` and ALL as another
    word for AND, and `freezes`, which can only be None. Raises `Invalid` when something is out of range, does not fit
    together or names an unknown metric. Returns when every streak is made by the new settings.
    """
    async with context.catalog.changing():
        definitions = context.catalog.definitions(scope)
        after = changed(definitions.streaks, _resolved(fields, definitions))
        if after != definitions.streaks:
            await context.catalog.save_streaks(scope, after)
        # Also when nothing has changed: the ledger may have failed after an earlier change, and then it hears now.
        await context.ledger.set_streaks(scope, after)
    return _shown(context.catalog.definitions(scope))


def _resolved(fields: Mapping[str, Any], definitions: Definitions) -> dict[str, Any]:
    resolved = dict(fields)
    if resolved.pop("freezes", None) is not None:
        raise Invalid("freezes: streak freezes are not supported; leave them null")
    if resolved.get("evaluation_mode") == "ALL":
        resolved["evaluation_mode"] = "AND"
    if "metrics" in resolved:
        resolved["metrics"] = tuple(_numbered(metric, definitions) for metric in resolved["metrics"])
    if "days_off" in resolved:
        resolved["days_off"] = tuple(resolved["days_off"])
    return resolved


def _numbered(named: StreakMetric, definitions: Definitions) -> tuple[int, int]:
    metric = definitions.metric_by_key.get(named.key)
    if metric is None:
        raise Invalid(f"metrics: there is no metric with the key {named.key[:64]!r}")
    return metric.number, named.threshold * MICROS


def _shown(definitions: Definitions) -> ShownSettings:
    keys = {metric.number: metric.key for metric in definitions.metrics}
    settings = definitions.streaks
    return ShownSettings(
        settings, [StreakMetric(keys[number], threshold // MICROS) for number, threshold in settings.metrics]
    )
