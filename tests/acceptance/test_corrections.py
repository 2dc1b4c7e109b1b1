"""Corrections with the real process: taken back over HTTP, killed, started again, still taken back."""

from tests.acceptance.calls import Caller
from tests.acceptance.conftest import Start
from tests.acceptance.process import ADMIN_KEY, Process, run


def command(server: Process, *arguments: str) -> str:
    done = run(*arguments, PALMARES_URL=server.address, PALMARES_ADMIN_KEY=ADMIN_KEY, COLUMNS="160")
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_a_void_survives_a_kill(start: Start) -> None:
    """Ranking, total, the event itself and its idempotency key; then a total is set by the command."""
    server = start()
    with Caller(server.address, ADMIN_KEY) as caller:
        caller.define_board("weekly", caller.define_metric("laps"))
        first = caller.event("laps", "noor", 40, key="k").json()["eventId"]
        caller.event("laps", "noor", 2)
        caller.event("laps", "kai", 3)
        assert caller.page("weekly") == [(1, "noor", 42), (2, "kai", 3)]
        answer = caller.send("DELETE", f"/admin/v1/events?ids={first}&reason=sensor")
        assert (answer.status_code, answer.json()) == (200, {"deleted": [{"id": first}], "issues": []})
        assert caller.page("weekly") == [(1, "kai", 3), (2, "noor", 2)]
    server.kill()

    server = start()
    with Caller(server.address, ADMIN_KEY) as caller:
        assert caller.page("weekly") == [(1, "kai", 3), (2, "noor", 2)]
        assert caller.total("noor", "laps") == 2
        assert caller.get(f"/admin/v1/events/{first}")["voided"]["reason"] == "sensor"
        again = caller.event("laps", "noor", 40, key="k")
        assert (again.status_code, again.json()["eventId"], again.json()["total"]) == (202, first, 2)
        shown = command(server, "events", "list", "--user", "noor").splitlines()
        assert [line.split()[0] for line in shown[1:]][-1] == first
        assert shown[-1].split()[-1] == "void"
        assert "laps of noor is 7.5 (event " in command(server, "users", "set-total", "noor", "laps", "7.5")
        assert caller.page("weekly") == [(1, "noor", 7.5), (2, "kai", 3)]
