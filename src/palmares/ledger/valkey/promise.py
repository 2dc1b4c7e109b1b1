"""What an answer of this ledger promises, which is for Valkey's configuration to say.

always      on disk before the answer: `appendonly yes` and `appendfsync always`, as the embedded ledger has it
second      on disk a second after the answer at the latest: `appendfsync everysec`
memory      in the memory of the server (and its replicas) only, or on disk when the system likes
unknown     the server does not tell its settings; no more than memory may be counted on
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

Promise = Literal["always", "second", "memory", "unknown"]

_SENTENCES: dict[Promise, str] = {
    "always": "what was answered is on disk: it outlives a crash of Valkey",
    "second": "a crash of Valkey loses what was answered in the last second; appendfsync always would keep it",
    "memory": "a crash of Valkey loses what was answered; appendonly yes with appendfsync always would keep it",
    "unknown": "Valkey does not tell what a crash loses; appendonly yes with appendfsync always would lose nothing",
}
_ORDER: tuple[Promise, ...] = ("memory", "second", "always")


def promise_of(configurations: Sequence[dict[str, str]]) -> Promise:
    """What holds where these are the settings of the primaries: the least of what each of them keeps."""
    return min((_promise(one) for one in configurations), key=_ORDER.index, default="memory")


def sentence(promise: Promise, replicas: int = 0) -> str:
    """The promise in words, with the setting that would give a better one; and how many replicas have it as well."""
    if not replicas:
        return _SENTENCES[promise]
    have = "one replica has it" if replicas == 1 else f"{replicas} replicas have it"
    return f"{_SENTENCES[promise]}; {have} too: it outlives the loss of its server"


def _promise(configuration: dict[str, str]) -> Promise:
    if configuration.get("appendonly") != "yes":
        return "memory"
    by_setting: dict[str, Promise] = {"always": "always", "everysec": "second"}
    return by_setting.get(configuration.get("appendfsync", ""), "memory")
