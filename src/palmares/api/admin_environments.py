"""Environments for administrators: the list. They are made on the command line."""

from __future__ import annotations

from msgspec import Struct

from palmares.api.endpoint import Answer, Call, Endpoint
from palmares.service.environments import list_environments


class AdminEnvironment(Struct):
    """An environment; the lowest number is the highest priority."""

    name: str
    key: str
    priority: int


async def get_environments(call: Call) -> Answer:
    """All environments, the most important first."""
    found = list_environments(call.context)
    return Answer(200, [AdminEnvironment(one.name, one.key, one.priority) for one in found])


ENDPOINTS = (
    Endpoint(
        "GET",
        "/environments",
        get_environments,
        "List environments",
        answers={200: list[AdminEnvironment]},
        spans_tenants=True,
    ),
)
