"""Valkey or Redis: each primary's version, clock, durability, memory and replicas, and the ledger that is there."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from palmares.doctor.finding import Finding, ok, skew, version_at_least
from palmares.domain.errors import Unavailable
from palmares.ledger.valkey.promise import promise_of, sentence
from palmares.ledger.valkey.servers import Servers
from palmares.ledger.valkey.store import Glide

_LEAST_VALKEY: Final = (8,)
_LEAST_REDIS: Final = (7, 2)
# Of what it may use, or of the machine where it may use all: writing the file anew takes memory as well.
_DOUBTFUL_USE: Final = 0.6
_WRONG_USE: Final = 0.85
_REPLICA: Final = re.compile(r"slave\d+")

Facts = Mapping[str, str]


async def examine_valkey(
    servers: Servers, name: str, shards: int, replicas: int, clock: Callable[[], int]
) -> list[Finding]:
    """Ask every primary."""
    try:
        store = await Glide.connect(servers)
        try:
            before = clock()
            told = await store.information()
            after = clock()
            [kept] = await store.read([[b"GET", f"{{{name}}}:shards".encode()]])
            kept_by = await _persistence(store)
        finally:
            await store.close()
    except (Unavailable, OSError) as error:
        return [Finding("wrong", "Valkey", str(error), "see that it runs, and that valkey_url leads to it")]
    findings = []
    for node, facts in told.items():
        findings += judge(node, facts, replicas)
        if "server_time_usec" in facts:
            findings.append(skew(f"{node} clock", before, int(facts["server_time_usec"]), after))
    return [*findings, judge_persistence(kept_by), judge_shards(kept, shards)]


async def _persistence(store: Glide) -> Sequence[dict[str, str]] | None:
    try:
        return await store.configuration("append*")
    except Unavailable:
        # Servers that are rented often tell nobody.
        return None


def judge(node: str, facts: Facts, awaited: int = 0) -> list[Finding]:
    """What is good and bad about one primary, by its INFO, where answers wait for so many replicas."""
    return [
        _version(node, facts),
        *_role(node, facts, awaited),
        *_writing(node, facts),
        _eviction(node, facts),
        _memory(node, facts),
    ]


def judge_persistence(kept_by: Sequence[dict[str, str]] | None) -> Finding:
    """What an answer means, by the settings of all primaries; None where they are not told."""
    if kept_by is None:
        advice = "CONFIG is forbidden: ask whoever runs it for appendonly yes and appendfsync always"
        return Finding("doubtful", "persistence", sentence("unknown"), advice)
    promise = promise_of(kept_by)
    if promise == "always":
        return ok("persistence", sentence(promise))
    if promise == "second":
        return Finding("doubtful", "persistence", sentence(promise), "set appendfsync always")
    return Finding("wrong", "persistence", sentence(promise), "set appendonly yes and appendfsync always")


def judge_shards(kept: bytes | None, shards: int) -> Finding:
    """Whether the ledger that is there is the one that the settings mean."""
    if kept is None:
        return ok("ledger", f"will be made with {shards} shards" if shards > 1 else "will be made with 1 shard")
    if int(kept) == shards:
        return ok("ledger", f"has {shards} shards" if shards > 1 else "has 1 shard")
    told = f"was made with {int(kept)} shards"
    return Finding("wrong", "ledger", told, f"set valkey_shards to {int(kept)}, or another valkey_name for a new one")


def _version(node: str, facts: Facts) -> Finding:
    if "valkey_version" in facts:
        return version_at_least(f"{node} Valkey", facts["valkey_version"], _LEAST_VALKEY)
    return version_at_least(f"{node} Redis", facts.get("redis_version", "?"), _LEAST_REDIS)


def _role(node: str, facts: Facts, awaited: int) -> list[Finding]:
    if facts.get("role") != "master":
        return [Finding("wrong", f"{node} role", "a replica", "let valkey_url lead to the primary")]
    return [_replicas(f"{node} replicas", [facts[name] for name in facts if _REPLICA.fullmatch(name)], awaited)]


def _replicas(what: str, replicas: Sequence[str], awaited: int) -> Finding:
    online = sum("state=online" in replica for replica in replicas)
    if online < awaited:
        told = f"{online} up to date, and {awaited} are waited for: events are refused"
        return Finding("wrong", what, told, "see to the replicas and their connection, or set valkey_replicas to fewer")
    if not replicas:
        return Finding(
            "doubtful",
            what,
            "none",
            "give it a replica on another machine, if losing this one must not lose the events",
        )
    if online < len(replicas):
        return Finding("doubtful", what, f"{len(replicas) - online} not up to date", "see to their connection")
    if online == awaited:
        advice = "give it one more, so that events go on when one is away"
        return Finding("doubtful", what, f"{online}, and all are waited for", advice)
    if awaited:
        return ok(what, f"{online}, of which {awaited} have what is answered")
    return ok(what, f"{online}, asynchronous: a failover may lose what was just answered")


def _writing(node: str, facts: Facts) -> list[Finding]:
    """Whether the last attempts to write to the disk failed."""
    looked_at = "aof_last_write_status", "aof_last_bgrewrite_status"
    failed = [name for name in looked_at if facts.get(name, "ok") != "ok"]
    advice = "look into its log; most often the disk is full, or memory is short for the fork"
    return [Finding("wrong", f"{node} {name}", facts[name], advice) for name in failed]


def _eviction(node: str, facts: Facts) -> Finding:
    policy = facts.get("maxmemory_policy", "noeviction")
    if policy == "noeviction":
        return ok(f"{node} maxmemory-policy", policy)
    if policy.startswith("allkeys-"):
        advice = "set noeviction: this throws away parts of the ledger"
        return Finding("wrong", f"{node} maxmemory-policy", policy, advice)
    return Finding("doubtful", f"{node} maxmemory-policy", policy, "set noeviction: this throws away rate limits")


def _memory(node: str, facts: Facts) -> Finding:
    limit = int(facts.get("maxmemory", "0"))
    most = limit or int(facts.get("total_system_memory", "0"))
    if not most:
        return Finding("doubtful", f"{node} memory", "is not told", "see that half of it stays free")
    share = int(facts.get("used_memory", "0")) / most
    told = f"{share:.0%} of {most / (1 << 30):.1f} GB used" + ("" if limit else ", the whole machine's")
    if share > _WRONG_USE:
        return Finding("wrong", f"{node} memory", told, "give it more now: when it is full, events are refused")
    if share > _DOUBTFUL_USE:
        advice = "give it more, or more nodes: writing its file anew takes memory as well"
        return Finding("doubtful", f"{node} memory", told, advice)
    return ok(f"{node} memory", told)
