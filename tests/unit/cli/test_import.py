"""An import's report says what was accepted, which lines were not and why, and whether it came to the end."""

import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from palmares.cli import event_file
from palmares.cli.client import Client, Refused, Reply, ServerUnreachable
from palmares.cli.import_ import Rejection, Report, Task, send_events, show_history

HEADER = "metric,userId,value\n"


def task(content: str, **given: int) -> Task:
    data = io.BytesIO(content.encode())
    return Task(data, event_file.facts(data), **given)


def rows(count: int) -> str:
    """A file whose line n is about user n; the header is line 1."""
    return HEADER + "".join(f"laps,{number},1\n" for number in range(2, count + 2))


def accept(body: bytes) -> Reply:
    return Reply(202, b'{"accepted": 1}')


def refuse_users(*bad: str) -> Callable[[bytes], Reply]:
    def post(body: bytes) -> Reply:
        for index, item in enumerate(json.loads(body)):
            if item["user"]["id"] in bad:
                return Reply(422, json.dumps({"error": f"[{index}] no such user"}).encode())
        return accept(body)

    return post


def run(task: Task, post: Callable[[bytes], Reply] = accept) -> Report:
    return send_events(task, post, lambda line: None)


def test_a_file_without_faults_is_accepted_whole() -> None:
    """Exit code 0."""
    report = run(task(rows(2500)))

    assert (report.accepted, report.rejected, report.problem, report.exit_code) == (2500, [], None, 0)


def test_rejected_lines_are_named_in_the_order_of_the_file() -> None:
    """Those that this program rejects and those that the server rejects, by the same numbers. Exit code 1."""
    content = rows(3) + "laps,5,five\nlaps,6,1\n"

    report = run(task(content), refuse_users("3"))

    assert report.rejected == [
        Rejection(3, "no such user"),
        Rejection(5, "value: expected a number, got 'five'"),
    ]
    assert (report.accepted, report.exit_code) == (3, 1)


def test_an_import_stops_when_the_server_is_gone_and_says_how_far_it_came() -> None:
    """Exit code 2: the file was not sent to its end."""
    answers = [Reply(202, b"{}")]

    def post(body: bytes) -> Reply:
        if not answers:
            raise ServerUnreachable("the server does not answer")
        return answers.pop()

    report = run(task(rows(2500)), post)

    assert (report.accepted, report.sent_to, report.exit_code) == (1000, 1001, 2)
    assert report.problem == "the server does not answer"


def test_an_import_stops_when_its_key_is_refused() -> None:
    """It would be refused with every line."""

    def post(body: bytes) -> Reply:
        raise Refused(401, "the API key is unknown")

    report = run(task(rows(5)), post)

    assert (report.accepted, report.rejected, report.exit_code) == (0, [], 2)


def test_an_interrupted_import_reports_what_it_did() -> None:
    """Ctrl-C is one more way to stop."""
    replies = iter([Reply(202, b"{}")])

    def post(body: bytes) -> Reply:
        for reply in replies:
            return reply
        raise KeyboardInterrupt

    report = run(task(rows(1500)), post)

    assert (report.sent_to, report.problem) == (1001, "interrupted")


def test_too_many_rejected_lines_stop_an_import() -> None:
    """A wrong column costs a look, not a night."""
    report = run(task(rows(50), most_rejected=3), refuse_users(*map(str, range(10, 60))))

    assert report.problem == "more than 3 lines were rejected"
    assert report.exit_code == 2


def test_lines_before_the_first_wanted_one_are_left_out() -> None:
    """Neither sent nor judged; their keys stay those of their numbers."""
    bodies: list[bytes] = []

    def post(body: bytes) -> Reply:
        bodies.append(body)
        return accept(body)

    wanted = task(HEADER + "laps,swim-7,x\nlaps,swim-8,1\nlaps,swim-9,1\n", from_line=4)
    report = run(wanted, post)

    [items] = map(json.loads, bodies)
    assert [item["user"]["id"] for item in items] == ["swim-9"]
    assert items[0]["idempotencyKey"] == f"import-{wanted.facts.identity}-4"
    assert report.rejected == []


def test_progress_is_told_in_lines() -> None:
    """The bar's end is the last line of the file."""
    told: list[int] = []

    send_events(task(rows(2500)), accept, told.append)

    assert told == [1001, 2001, 2501]


def test_an_unusable_header_is_a_problem_of_the_file() -> None:
    """Nothing is sent."""
    report = run(task("metric,user,value\nlaps,swim-7,1\n"), lambda body: pytest.fail("nothing may be sent"))

    assert report.exit_code == 2
    assert report.problem is not None
    assert report.problem.startswith("'user' is not a column")


class Settling(Client):
    """A client of a server that has this to say about its boards, look by look; an exception is raised."""

    def __init__(self, *looks: list[dict[str, object]] | BaseException) -> None:
        super().__init__("http://127.0.0.1:1", "abcd1234.secret", lambda seconds: None)
        self.looks = list(looks)

    def call(self, method: str, path: str, body: bytes | None = None, *_: Any, **__: Any) -> Reply:
        look = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if isinstance(look, BaseException):
            raise look
        return Reply(200, json.dumps(look).encode())


BUSY: list[dict[str, object]] = [{"key": "weekly"}, {"key": "monthly", "revising": True}]


def test_whoever_imports_history_is_told_which_leaderboards_take_time(capsys: pytest.CaptureFixture[str]) -> None:
    """Once, not at every look; and nothing when nothing takes time."""
    assert show_history(Settling(BUSY, BUSY, BUSY, []), 60)
    assert capsys.readouterr().err == "Waiting until these leaderboards show it: monthly\n"

    assert show_history(Settling([{"key": "weekly"}]), 60)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("end", "sentence"),
    [
        ([{"key": "weekly", "problem": "too much"}], "leaderboard 'weekly' could not be made: too much"),
        (BUSY, "leaderboard 'monthly' does not show everything yet"),
        (KeyboardInterrupt(), "not waited for any longer; the server goes on"),
        (ServerUnreachable("gone"), "whether the leaderboards show it is unknown: gone"),
        (Refused(401, "revoked"), "whether the leaderboards show it is unknown: the server answers 401: revoked"),
    ],
)
def test_whoever_imports_history_is_told_what_is_not_shown(
    capsys: pytest.CaptureFixture[str], end: list[dict[str, object]] | BaseException, sentence: str
) -> None:
    """In one sentence, whatever the reason: what was imported is imported all the same."""
    assert not show_history(Settling(BUSY, end), 3)
    assert capsys.readouterr().err.splitlines()[1:] == [sentence]
