"""Points systems and their triggers for administrators: list, get, create, update, delete."""

from __future__ import annotations

from msgspec.json import Decoder

from palmares.api import bulk
from palmares.api.endpoint import Answer, Call
from palmares.api.resource import Resource, Write, definitions_of
from palmares.api.wire_points import (
    AdminPointsSystem,
    AdminTrigger,
    CreatedPointsSystems,
    CreatedTriggers,
    NewPointsSystem,
    NewTrigger,
    PointsSystemUpdate,
    TriggerUpdate,
    UpdatedPointsSystems,
    UpdatedTriggers,
    admin_system,
    admin_trigger,
    created_system,
    system_fields,
    trigger_fields,
)
from palmares.domain.points import PointsSystem
from palmares.service.define_points import (
    Within,
    create_points_systems,
    create_triggers,
    delete_points_systems,
    delete_triggers,
    system_within,
    triggers_of,
    update_points_systems,
    update_triggers,
)


def within(call: Call) -> Within:
    """The points system that a request is about."""
    return Within(call.scope, call.path["system_id"])


def system_of(call: Call) -> PointsSystem:
    """The points system that a request is about; `NotFound` when there is none."""
    return system_within(definitions_of(call), within(call))


class _PointsSystems(Resource[PointsSystem]):
    """Points systems may be created with triggers, and are shown with them then."""

    async def create(self, call: Call) -> Answer:
        """See `Resource.create`."""
        items = bulk.read_items(call, self.creating.decoder, self.creating.fields)
        done = await self.creating.action(call.context, call.scope, items)
        return bulk.created(done, self.creating.shape, created_system)


POINTS_SYSTEMS = _PointsSystems(
    name="points system",
    path="/points",
    things=lambda definitions: definitions.points_systems,
    by_id=lambda definitions: definitions.points_system_by_id,
    form=AdminPointsSystem,
    show=lambda system, now: admin_system(system),
    creating=Write(Decoder(NewPointsSystem), system_fields, create_points_systems, CreatedPointsSystems),
    updating=Write(Decoder(PointsSystemUpdate), system_fields, update_points_systems, UpdatedPointsSystems),
    deleting=delete_points_systems,
)

TRIGGERS = Resource(
    name="trigger",
    path="/points/{system_id}/triggers",
    source=system_of,
    within=within,
    things=lambda system: system.triggers,
    by_id=triggers_of,
    form=AdminTrigger,
    show=lambda trigger, now: admin_trigger(trigger),
    creating=Write(Decoder(NewTrigger), trigger_fields, create_triggers, CreatedTriggers),
    updating=Write(Decoder(TriggerUpdate), trigger_fields, update_triggers, UpdatedTriggers),
    deleting=delete_triggers,
)

ENDPOINTS = (*POINTS_SYSTEMS.endpoints(), *TRIGGERS.endpoints())
