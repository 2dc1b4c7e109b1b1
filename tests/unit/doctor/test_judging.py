"""What is good, doubtful or wrong, by facts that are handed in; whatever is not good comes with what to change."""

import pytest

from palmares.doctor.finding import Finding, skew, version_at_least
from palmares.doctor.folder import judge_disk
from palmares.doctor.kept_log import Kept
from palmares.doctor.kept_log import judge as judge_kept_log
from palmares.doctor.postgresql import Facts
from palmares.doctor.postgresql import judge as judge_postgresql
from palmares.doctor.valkey import judge, judge_persistence, judge_shards

GOOD_VALKEY = {
    "redis_version": "7.2.4",
    "valkey_version": "8.0.1",
    "role": "master",
    "slave0": "ip=10.0.0.2,port=6379,state=online,offset=1,lag=0",
    "maxmemory_policy": "noeviction",
    "maxmemory": str(1 << 30),
    "used_memory": str(1 << 28),
    "aof_last_write_status": "ok",
}
GOOD_POSTGRESQL = {
    "server_version": "16.2 (Debian)",
    "server_encoding": "UTF8",
    "fsync": "on",
    "synchronous_commit": "on",
    "max_connections": "100",
}


def not_good(findings: list[Finding]) -> list[tuple[str, str]]:
    """Level and subject of all that is not as it should be."""
    assert all(bool(finding.advice) == (finding.level != "ok") for finding in findings)
    return [(finding.level, finding.what) for finding in findings if finding.level != "ok"]


@pytest.mark.parametrize(
    ("facts", "found"),
    [
        ({}, []),
        ({"valkey_version": "7.2.9"}, [("wrong", "n Valkey")]),
        ({"role": "slave"}, [("wrong", "n role")]),
        ({"slave0": "ip=10.0.0.2,state=wait_bgsave,lag=9"}, [("doubtful", "n replicas")]),
        ({"maxmemory_policy": "allkeys-lru"}, [("wrong", "n maxmemory-policy")]),
        ({"maxmemory_policy": "volatile-ttl"}, [("doubtful", "n maxmemory-policy")]),
        ({"used_memory": str(7 << 27)}, [("wrong", "n memory")]),
        ({"used_memory": str(6 << 27)}, [("doubtful", "n memory")]),
        ({"maxmemory": "0"}, [("doubtful", "n memory")]),
        ({"maxmemory": "0", "total_system_memory": str(1 << 34)}, []),
        ({"aof_last_write_status": "err"}, [("wrong", "n aof_last_write_status")]),
    ],
)
def test_a_primary_of_valkey_is_judged_by_what_it_tells(facts: dict[str, str], found: list[tuple[str, str]]) -> None:
    assert not_good(judge("n", GOOD_VALKEY | facts)) == found


@pytest.mark.parametrize(
    ("replicas", "awaited", "level"), [(0, 1, "wrong"), (1, 1, "doubtful"), (2, 1, "ok"), (1, 2, "wrong"), (1, 0, "ok")]
)
def test_as_many_replicas_as_are_waited_for_have_to_be_there_and_better_one_more(
    replicas: int, awaited: int, level: str
) -> None:
    facts = {name: value for name, value in GOOD_VALKEY.items() if name != "slave0"}
    facts |= {f"slave{number}": GOOD_VALKEY["slave0"] for number in range(replicas)}

    [finding] = [finding for finding in judge("n", facts, awaited) if finding.what == "n replicas"]

    assert finding.level == level


def test_a_primary_without_a_replica_is_doubtful() -> None:
    alone = {name: value for name, value in GOOD_VALKEY.items() if name != "slave0"}

    assert not_good(judge("n", alone)) == [("doubtful", "n replicas")]


@pytest.mark.parametrize(("version", "level"), [("7.0.15", "wrong"), ("7.2.0", "ok"), ("8.2.1", "ok")])
def test_redis_has_another_oldest_version(version: str, level: str) -> None:
    redis = {name: value for name, value in GOOD_VALKEY.items() if name != "valkey_version"}

    assert judge("n", redis | {"redis_version": version})[0].level == level


@pytest.mark.parametrize(
    ("kept_by", "level"),
    [
        ([{"appendonly": "yes", "appendfsync": "always"}], "ok"),
        (
            [{"appendonly": "yes", "appendfsync": "always"}, {"appendonly": "yes", "appendfsync": "everysec"}],
            "doubtful",
        ),
        ([{"appendonly": "no", "appendfsync": "always"}], "wrong"),
        (None, "doubtful"),
    ],
)
def test_the_weakest_primary_decides_how_durable_answers_are(kept_by: list[dict[str, str]] | None, level: str) -> None:
    assert judge_persistence(kept_by).level == level


@pytest.mark.parametrize(("kept", "level"), [(None, "ok"), (b"4", "ok"), (b"1", "wrong")])
def test_the_number_of_shards_has_to_be_the_one_that_the_data_was_made_with(kept: bytes | None, level: str) -> None:
    assert judge_shards(kept, 4).level == level


@pytest.mark.parametrize(
    ("settings", "standby", "connections", "found"),
    [
        ({}, False, 50, []),
        ({"server_version": "14.11"}, False, 50, [("wrong", "PostgreSQL")]),
        ({"server_encoding": "LATIN1"}, False, 50, [("wrong", "encoding")]),
        ({"fsync": "off"}, False, 50, [("wrong", "PostgreSQL fsync")]),
        ({"synchronous_commit": "off"}, False, 50, [("doubtful", "PostgreSQL synchronous_commit")]),
        ({}, True, 50, [("wrong", "PostgreSQL")]),
        ({}, False, 95, [("doubtful", "PostgreSQL connections")]),
    ],
)
def test_postgresql_is_judged_by_what_it_tells(
    settings: dict[str, str], standby: bool, connections: int, found: list[tuple[str, str]]
) -> None:
    assert not_good(judge_postgresql(Facts(GOOD_POSTGRESQL | settings, standby, connections))) == found


GIGABYTE = 1 << 30


@pytest.mark.parametrize(
    ("free", "used", "level"),
    [
        (10 * GIGABYTE, 9 * GIGABYTE, "ok"),
        (10 * GIGABYTE, 11 * GIGABYTE, "doubtful"),
        (GIGABYTE // 2, 0, "doubtful"),
        (GIGABYTE // 20, 0, "wrong"),
    ],
)
def test_a_disk_needs_room_for_a_second_copy(free: int, used: int, level: str) -> None:
    assert judge_disk(free, used).level == level


@pytest.mark.parametrize(
    ("theirs", "level"),
    [
        (1_000, "ok"),
        (5_000_000, "ok"),
        (5_200_000, "ok"),
        (5_400_000, "doubtful"),
        (-500_000, "doubtful"),
        (7_000_000, "wrong"),
    ],
)
def test_what_the_way_to_a_clock_took_is_no_skew(theirs: int, level: str) -> None:
    """Asked between 0 and 5 seconds by ours."""
    assert skew("clock", 0, theirs, 5_000_000).level == level


@pytest.mark.parametrize(("version", "level"), [("3.35.0", "ok"), ("3.34.9", "wrong"), ("10", "ok"), ("?", "wrong")])
def test_versions_are_compared_by_their_numbers(version: str, level: str) -> None:
    assert version_at_least("SQLite", version, (3, 35)).level == level


LINE = Kept(7, 2, 1_000)


@pytest.mark.parametrize(
    ("kept", "present", "level"),
    [
        ({}, {0: (0, None)}, "ok"),
        ({0: LINE}, {0: (9, LINE), 1: (3, None)}, "ok"),
        ({0: LINE}, {0: (200_000, LINE)}, "doubtful"),
        ({0: LINE}, {0: (3, None)}, "wrong"),
        ({0: LINE}, {0: (9, Kept(7, 2, 1_001))}, "wrong"),
        ({1: LINE}, {0: (9, None)}, "wrong"),
    ],
)
def test_valkey_has_to_have_the_log_that_is_kept(
    kept: dict[int, Kept], present: dict[int, tuple[int, Kept | None]], level: str
) -> None:
    """The same line at the same place; more lines may follow."""
    found = judge_kept_log(kept, present)
    assert (found.level, bool(found.advice)) == (level, level != "ok")
