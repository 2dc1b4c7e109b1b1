"""Short ways to write lines of the embedded ledger's log."""

from collections.abc import Sequence

from palmares.domain.user import User
from palmares.ledger.embedded.log import EVENT, USER, VOID, Line, Log
from palmares.ledger.embedded.users import encode_user

METRIC = 1


def user_line(position: int, number: int, user_id: str, name: str | None = None) -> Line:
    user = User(number=number, scope=1, id=user_id, name=name, created=0, updated=position)
    return Line(position, USER, position, 1, number, user_id=user_id, body=encode_user(user, None))


def event_line(position: int, number: int, amount: int, total: int, key: str | None = None, at: int = 0) -> Line:
    return Line(position, EVENT, position, 1, number, METRIC, amount, at or position, at or position, 0, total, key)


def void_line(position: int, event: Line, total: int) -> Line:
    assert event.amount is not None
    return event._replace(
        position=position, kind=VOID, recorded_at=position, amount=-event.amount, total=total, idempotency_key=None,
        target=event.position,
    )  # fmt: skip


def write(log: Log, lines: Sequence[Line]) -> None:
    """Append, flush, and move the log's end, as the committer does."""
    log.append(lines)
    log.commit()
    log.position, log.recorded_at = lines[-1].position, lines[-1].recorded_at


STORY = [
    user_line(1, 1, "ann"),
    event_line(2, 1, 5, 5, "k"),
    user_line(3, 2, "bob"),
    event_line(4, 2, 7, 7),
    user_line(5, 1, "ann", "Ann"),
    event_line(6, 1, -2, 3, at=1),
    event_line(7, 1, 4, 7, "l"),
]
