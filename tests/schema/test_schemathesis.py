"""Requests made from the served OpenAPI documents: no answer is a failure of the server, and every answer fits.

Known keys and ids are added to what the documents say of paths, so that about half of the requests reach something.
"""

from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from palmares.api import routes
from palmares.api.openapi import document
from tests.acceptance.calls import Caller
from tests.acceptance.process import ADMIN_KEY, Process
from tests.effort import tries

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
# Whether an operation is open without a key does not depend on what else is sent, and to ask takes as long as the rest.
CASES_WITHOUT_KEY = 5
DOCUMENTS = {
    "/v1": document("Application", "/v1", routes.APPLICATION),
    "/admin/v1": document("Admin", "/admin/v1", routes.ADMIN),
}
# What may be sent is worked out when a test runs, for its part: for all routes that takes long, and each process of the
# tests would do it before anything runs.
PARTS = 8
NOWHERE = "https://nowhere.invalid/hook"
USERS = ["u1", "org/7", "ü+|%"]
KNOWN = {
    "/v1/metrics/{key}": ["laps"],
    "/v1/leaderboards/{key}": ["all-time", "weekly"],
    "/v1/users/{id}": USERS,
    "/v1/users/{id}/leaderboards/{key}": ["all-time", "weekly"],
    "/v1/users/{id}/metrics/{key}": ["laps"],
    # Names for ids that the server gives.
    "/admin/v1/attributes/{id}": ["a-attribute"],
    "/admin/v1/metrics/{id}": ["a-metric"],
    "/admin/v1/leaderboards/{id}": ["a-leaderboard"],
    "/admin/v1/webhooks/{id}": ["a-webhook"],
    "/v1/points/{key}": ["gold"],
    "/v1/users/{id}/points/{key}": ["gold"],
    "/admin/v1/points/{id}": ["a-points-system"],
    "/admin/v1/points/{system_id}": ["a-points-system"],
    "/admin/v1/points/{system_id}/triggers/{id}": ["a-trigger"],
}
# The same requests every time, and a bound on how many.
BOUNDED = settings(
    max_examples=tries(6),
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server of its own, for nonsense."""
    with Process(tmp_path_factory.mktemp("schema") / "data") as process:
        yield process


@pytest.fixture(scope="module")
def ids(server: Process) -> dict[str, str]:
    """Fills the server with a bit of everything; the ids that it gave, by the names that stand for them."""
    with Caller(server.address, ADMIN_KEY) as caller:
        pool, laps = caller.define_attribute("pool"), caller.define_metric("laps")
        week = {"start": "2026-03-02", "runUnit": "day", "runInterval": 7}
        board = caller.define_board("all-time", laps)
        caller.define_board("weekly", laps, breakdownAttributes=[pool], **week)
        for number, user in enumerate(USERS):
            assert caller.event("laps", user, number + 0.5, attributes={"pool": "east"}).status_code == 201
        item = {"name": "hook", "url": NOWHERE, "events": ["leaderboard.finished"], "status": "paused"}
        webhook = caller.send("POST", "/admin/v1/webhooks", [item]).json()["created"][0]["id"]
        gold = caller.define_points("gold", laps)
        [trigger] = caller.get(f"/admin/v1/points/{gold}/triggers")
    return {
        "a-attribute": pool, "a-metric": laps, "a-leaderboard": board, "a-webhook": webhook, "a-points-system": gold,
        "a-trigger": trigger["id"],
    }  # fmt: skip


def loaded(base: str, part: int) -> Any:
    """A part of the document of an API, with what is known added to it."""
    hinted = deepcopy(DOCUMENTS[base])
    hinted["paths"] = dict([*hinted["paths"].items()][part::PARTS])
    for path, operations in hinted["paths"].items():
        for operation in operations.values():
            for parameter in operation["parameters"]:
                end = f"{{{parameter['name']}}}"
                values = KNOWN.get(f"{base}{path}".partition(end)[0] + end)
                if parameter["in"] == "path" and values:
                    parameter["schema"] = {"anyOf": [{"enum": values}, parameter["schema"]]}
    item = hinted["components"]["schemas"].get("BatchItem")
    if item is not None:
        item["properties"]["key"] = {"anyOf": [{"enum": ["laps"]}, item["properties"]["key"]]}
    for name in {"NewWebhook", "WebhookUpdate"} & hinted["components"]["schemas"].keys():
        # The server would really send something there.
        url = {"anyOf": [{"enum": [NOWHERE]}, {"type": "string", "maxLength": 7}]}
        hinted["components"]["schemas"][name]["properties"]["url"] = url
    for name in {"NewPointsSystem", "NewTrigger", "TriggerUpdate"} & hinted["components"]["schemas"].keys():
        bound_lists(hinted["components"]["schemas"][name])
    return schemathesis.openapi.from_dict(hinted)


def bound_lists(schema: Any) -> None:
    """One item is enough for lists in lists in lists: to make up more takes minutes."""
    if isinstance(schema, dict):
        if "maxItems" in schema:
            schema["maxItems"] = 1
        schema = list(schema.values())
    if isinstance(schema, list):
        for part in schema:
            bound_lists(part)


def check(case: schemathesis.Case, url: str, ids: dict[str, str]) -> None:
    """Send the request, with the key, and judge the answer."""
    for name, value in (case.path_parameters or {}).items():
        case.path_parameters[name] = ids.get(str(value), value)
    CHECKED[case.operation.label] += 1
    checks = [*CHECKS, ignored_auth] if CHECKED[case.operation.label] <= CASES_WITHOUT_KEY else CHECKS
    case.call_and_validate(base_url=url, headers={"X-API-KEY": ADMIN_KEY}, checks=checks)


@pytest.fixture(params=range(PARTS))
def part(request: pytest.FixtureRequest) -> int:
    """Which part of a document the test is about."""
    # Schemathesis gives its subtests names by what pytest, from 9.2 on, calls otherwise.
    request.node._nodeid = request.node.nodeid
    return int(request.param)


@pytest.fixture
def application(part: int) -> Any:
    """Some routes of the application API."""
    return loaded("/v1", part)


@pytest.fixture
def admin(part: int) -> Any:
    """Some routes of the admin API."""
    return loaded("/admin/v1", part)


# How many requests of an operation were judged.
CHECKED: Counter[str] = Counter()


@pytest.mark.parametrize("base", DOCUMENTS)
def test_the_documents_are_those_that_are_served(server: Process, base: str) -> None:
    """What the requests below are made from is what clients get."""
    assert httpx.get(f"{server.address}{base}/openapi").json()["paths"] == DOCUMENTS[base]["paths"]


@schemathesis.pytest.from_fixture("application").parametrize()
@BOUNDED
def test_the_application_api_answers_as_its_document_says(
    case: schemathesis.Case, server: Process, ids: dict[str, str]
) -> None:
    """Well-formed and malformed requests to every route."""
    check(case, f"{server.address}/v1", ids)


@schemathesis.pytest.from_fixture("admin").parametrize()
@BOUNDED
def test_the_admin_api_answers_as_its_document_says(
    case: schemathesis.Case, server: Process, ids: dict[str, str]
) -> None:
    """Well-formed and malformed requests to every route."""
    check(case, f"{server.address}/admin/v1", ids)
