"""Lines of erased users are overwritten where they lie: as long as before, and nothing else is touched."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from palmares.domain.errors import Unavailable
from palmares.domain.user import User, changed
from palmares.ledger.embedded.log import EVENT, USER, Line, Log
from palmares.ledger.embedded.rewriting import Rewriter, rewritten
from palmares.ledger.embedded.users import attributes_before, decode_user, encode_user
from tests.log_lines import event_line, user_line, write

ANN = User(
    number=1, scope=1, id="ann-é", name="Ann Öz", email="ann@x.example", tz="Asia/Tokyo", device_tokens=("t",),
    attributes={"pool": "east"}, created=3, updated=4,
)  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.sqlite3"


@pytest.fixture
def log(path: Path) -> Iterator[Log]:
    with closing(Log(path)) as log:
        yield log


def lines() -> list[Line]:
    """Ann and bob in turn; some of ann's events are larger than a page."""
    found = [user_line(1, 1, "ann-é", "Ann Öz"), user_line(2, 2, "bob", "Bob")]
    for position in range(3, 203):
        number = 1 + position % 2
        letters = "zb"[number - 1] * (9000 if position % 50 == 4 else position)
        body = f'{{"stroke":"{letters}"}}'
        found.append(event_line(position, number, 5, 5, f"key-{number}-{position}")._replace(body=body))
    return found


def rewrite(path: Path, *users: int) -> int:
    """Take users out of the log as a compaction does; how many lines that changed."""
    with closing(Rewriter(path)) as rewriter:
        found = rewriter.find(users, 0, 10**6)
        rewriter.write(found)
        rewriter.finish()
    return len(found)


def test_only_the_lines_of_erased_users_change_and_only_in_what_is_a_persons(log: Log, path: Path) -> None:
    """Positions, amounts and times stay, and everybody else's bytes."""
    write(log, lines())
    before = log.read(0, 1000)
    assert rewrite(path, 1) == 101
    after = log.read(0, 1000)

    for old, new in zip(before, after, strict=True):
        assert new._replace(user_id=old.user_id, body=old.body, idempotency_key=old.idempotency_key) == old
        if old.user == 2:
            assert new == old
        else:
            assert not (new.user_id or "").strip()
            assert not (new.idempotency_key or "").strip()
            assert set(msgspec.json.decode(new.body or "null")) <= {"created", "updated", "attributes", "tz", "control"}


def test_the_file_stays_as_long_and_differs_only_where_a_line_of_theirs_lies(log: Log, path: Path) -> None:
    """So no page was split or moved, and nothing of theirs is left in any."""
    write(log, lines())
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = path.read_bytes()
    rewrite(path, 1)
    after = path.read_bytes()

    assert len(after) == len(before)
    assert before.count(b"Bob") == after.count(b"Bob") > 0
    for text in (b"ann-\xc3\xa9", b"Ann", b"key-1-", b"zzzzzzzz"):
        assert text in before
        assert text not in after
    assert path.with_name(path.name + "-wal").stat().st_size == 0


def test_doing_it_twice_is_doing_it_once(log: Log, path: Path) -> None:
    """As after a crash in its middle."""
    write(log, lines())
    with closing(Rewriter(path)) as rewriter:
        rewriter.write(rewriter.find([1], 0, 50))
    assert rewrite(path, 1) == 76
    once = log.read(0, 1000)
    assert rewrite(path, 1) == 0
    assert log.read(0, 1000) == once


def test_what_the_past_needs_of_a_profile_is_left() -> None:
    """The zone, the preferences, whether the user was hidden; in as many bytes."""
    hidden = changed(changed(ANN, {"preferences": {"notifications": {"recap": ["email"]}}}, 5), {"hidden": True}, 6)
    body = encode_user(hidden, ANN)
    left = rewritten(7, USER, ANN.id, body, None)

    assert left.body is not None
    assert len(left.body.encode()) == len(body.encode())
    found = decode_user(1, 1, "", left.body)
    assert (found.tz, found.preferences, found.hidden, found.created) == ("Asia/Tokyo", hidden.preferences, True, 3)
    assert (found.name, found.email, found.device_tokens, found.own_attributes) == (None, None, None, {})
    assert attributes_before(left.body) == {}


@pytest.mark.parametrize("body", [None, '{"a":"b"}', '{"stroke":"Schmetterling ü"}'])
@pytest.mark.parametrize("key", [None, "", "k", "schlüssel"])
def test_an_event_keeps_its_length(body: str | None, key: str | None) -> None:
    left = rewritten(7, EVENT, None, body, key)
    for old, new in ((body, left.body), (key, left.idempotency_key)):
        assert (None if old is None else len(old.encode())) == (None if new is None else len(new.encode()))
    assert body is None or msgspec.json.decode(left.body or "") == {}


def test_who_reads_an_older_state_is_not_waited_for(log: Log, path: Path) -> None:
    """It is tried again later; what was overwritten stays so."""
    write(log, lines())
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM log").fetchone()
        with pytest.raises(Unavailable, match="will be tried again"):
            rewrite(path, 1)
    assert rewrite(path, 1) == 0
