"""One server for all tests that only use it; those that stop or kill theirs start their own.

Whoever uses one of these fixtures runs with a data folder, and once more with a cluster.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.calls import Caller
from tests.acceptance.homes import Home, Homes, in_folder, on_cluster
from tests.acceptance.process import ADMIN_KEY, Process
from tests.effort import EFFORT

Start = Callable[..., Process]

# Modules and tests that are about what only a data folder has.
FOLDER_ONLY = {
    "test_outage": "files of the folder are looked at and torn; test_faults.py takes a cluster apart",
    "test_postgresql": "a folder with its definitions in a database",
    "test_process": "files, full disks, figures of the embedded ledger; test_workers.py has the processes of a cluster",
    "test_events_sent_at_once_are_all_ranked": "ids have the order of the log, which shards have each for itself",
    "test_a_folder_that_does_not_exist_is_not_made": "a folder",
    "test_a_folder_in_use_is_refused_in_one_line_that_names_it_and_its_holder": "a folder",
    "test_a_folder_in_use_is_not_compacted_by_the_command": "a folder",
}
# Of modules that are long, or about something in front of the server, those that reach each part of a cluster; with
# `EFFORT` above 1, all do.
ON_A_CLUSTER: dict[str, Collection[str]] = {
    "test_import": [
        "test_an_import_that_was_cut_off_is_finished_by_running_it_again",
        "test_history_changes_final_runs_and_days_that_are_over",
    ],
    "test_keys": [
        "test_a_revoked_key_opens_nothing_until_it_is_activated",
        "test_the_key_that_the_first_start_prints_opens_the_server",
    ],
    "test_paths": ["test_an_encoded_id_of_any_form_is_one_user", "test_an_id_may_stand_in_a_path_unencoded"],
    "test_season": [
        "test_a_season_around_the_earth_is_what_arithmetic_over_the_log_says",
        "test_a_run_is_open_until_the_last_zone_on_earth_has_left_it",
    ],
    "test_sdk_every_method": ["test_a_method_gets_its_answer_with_one_request"],
    "test_test_clock": [
        "test_the_clock_stands_until_it_is_moved_and_events_happen_when_it_says",
        "test_after_a_restart_it_goes_on_from_the_later_of_where_it_stood_and_what_is_given",
        "test_a_server_on_the_real_clock_has_none_and_goes_on_in_a_home_of_the_past",
        "test_the_real_clock_refuses_a_home_whose_test_clock_is_ahead_of_it",
        "test_the_clock_never_stands_before_what_was_recorded",
        "test_a_server_that_is_stopped_while_it_moves_the_clock_stops",
    ],
    "test_webhooks": [
        "test_a_week_is_told_from_its_beginning_to_its_end",
        "test_a_server_that_was_away_over_the_close_tells_of_it_once",
        "test_nothing_is_lost_when_the_server_is_killed",
        "test_a_receiver_that_hangs_delays_neither_events_nor_other_webhooks",
    ],
}
# Boards of test_retroactive.py: most ways to count, with groups and late events and without.
PAIRS_ON_A_CLUSTER = ("miles", "carriers-a-week", "shortest-a-month", "last-a-week")
# Of parameters, those that are enough on a cluster: the ledger hears nothing of them, or others reach as much of it.
ENOUGH: dict[str, Collection[Any]] = {
    "bad": ["value out of range"],
    "client": ["sync"],
    "end": [Process.kill],
    "ending": ["kill"],
    "kind": ["sync"],
    "pair": PAIRS_ON_A_CLUSTER,
    "raw": [False],
}
# A single Valkey with one shard does what a cluster does with several, and less.
CLUSTERS = {"cluster": ("valkey_cluster", 4), "one shard": ("valkey", 1)}
KINDS = ["folder", "cluster", *(["one shard"] if EFFORT > 1 else [])]


def kinds_of(metafunc: pytest.Metafunc) -> list[str]:
    """The kinds of server that a test runs with."""
    module, name = metafunc.module.__name__.rpartition(".")[2], metafunc.function.__name__
    is_left_out = EFFORT == 1 and name not in ON_A_CLUSTER.get(module, [name])
    return ["folder"] if is_left_out or {module, name} & FOLDER_ONLY.keys() else KINDS


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """With a scope as long as the session, pytest lets all tests with one kind run before those with the next."""
    if "homes" in metafunc.fixturenames:
        metafunc.parametrize("homes", kinds_of(metafunc), indirect=True, scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is shown of a cluster already."""
    left_out = {item for item in items if EFFORT == 1 and _is_shown_by_another(item)}
    config.hook.pytest_deselected(items=[*left_out])
    items[:] = [item for item in items if item not in left_out]


def _is_shown_by_another(item: pytest.Item) -> bool:
    given = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    is_on_cluster = given.get("homes", "folder") != "folder"
    return is_on_cluster and any(name in given and given[name] not in enough for name, enough in ENOUGH.items())


@pytest.fixture(scope="session")
def homes(request: pytest.FixtureRequest) -> Homes:
    """What makes homes for servers, each of its own; `with homes(tmp_path) as home`."""
    if request.param == "folder":
        return in_folder
    nodes, shards = CLUSTERS[request.param]
    return on_cluster(request.getfixturevalue("postgres"), request.getfixturevalue(nodes), shards)


@pytest.fixture(scope="session")
def server(homes: Homes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A running server that stays. Tests keep out of each other's way by the keys and ids that they use."""
    with homes(tmp_path_factory.mktemp("server")) as home, home.serve() as process:
        yield process


@pytest.fixture(scope="session")
def caller(server: Process) -> Iterator[Caller]:
    """A plain client of the server that stays."""
    with Caller(server.address, ADMIN_KEY) as caller:
        yield caller


@pytest.fixture
def home(homes: Homes, tmp_path: Path) -> Iterator[Home]:
    """The test's own home for servers."""
    with homes(tmp_path) as home:
        yield home


@pytest.fixture
def start(home: Home) -> Iterator[Start]:
    """Start servers on the test's own home; whatever still runs in the end is killed.

    `start()`, or `start("--user-cache", "9", PALMARES_QUEUE_LIMIT="1")`.
    """
    with ExitStack() as running:
        yield lambda *options, **given: running.enter_context(home.serve(*options, **given))


@pytest.fixture
def call(start: Start) -> Iterator[Callable[[Process], Caller]]:
    """Make plain clients of servers that the test started."""
    with ExitStack() as open_clients:
        yield lambda process: open_clients.enter_context(Caller(process.address, ADMIN_KEY))
