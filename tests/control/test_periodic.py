import threading
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import InterfaceError, StatementError
from structlog.testing import capture_logs

from fleet import fleet
from lanekeeper.control.host.heartbeat import Heartbeats
from lanekeeper.control.periodic import Periodic
from lanekeeper.domain.errors import Unavailable
from lanekeeper.store.database import Database
from lanekeeper.store.host.desired import host_lock
from lanekeeper.store.host.host import host_list
from lanekeeper.store.tables import metadata
from postgres import PostgreSQL
from storm import in_threads


@pytest.mark.parametrize("failure", [Unavailable("the database is away"), KeyError("a bug")])
def test_a_duty_comes_round_again_whatever_went_wrong(failure: Exception) -> None:
    rounds: list[str] = []
    again = threading.Event()

    def work() -> None:
        rounds.append(threading.current_thread().name)
        if len(rounds) == 1:
            raise failure
        again.set()

    with Periodic("duty", 0.01, work):
        assert again.wait(10)
    assert rounds[:2] == ["duty", "duty"]


def test_a_duty_that_does_not_end_is_left_behind_with_a_word() -> None:
    begun, end = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        assert end.wait(30)

    with capture_logs() as logs:
        with Periodic("duty", 0.01, work, ends_within_s=0.05):
            assert begun.wait(10)
        (said,) = [one for one in logs if one["event"] == "duty.left_behind"]
        end.set()
    assert "still at work 0.05 s after it was told to stop" in said["error"]


def test_heartbeats_that_could_not_be_written_are_kept(tmp_path: Path) -> None:
    with Database(f"sqlite:///{tmp_path / 'db'}") as database:
        metadata.create_all(database.engine)
        moments = iter(["no moment", datetime.fromisoformat("2026-01-01T00:00:00+00:00")])
        heartbeats = Heartbeats(database, lambda: next(moments))  # type: ignore[return-value, arg-type]  # a bug of ours
        heartbeats.seen("h1")
        for _ in range(2):  # the second flush would have nothing to fail at
            with pytest.raises(StatementError):
                heartbeats.flush()
        heartbeats.seen("h1")
        heartbeats.flush()


def test_a_host_at_work_holds_up_no_heartbeat_but_its_own(
    postgresql: PostgreSQL, tmp_path: Path
) -> None:
    """Nor do heartbeats hold up the others: an idle host's lock is had meanwhile."""
    with fleet(postgresql.url(postgresql.create()), tmp_path, hosts=3) as world:
        heartbeats, hosts = Heartbeats(world.site.database, world.hands), world.hosts
        at_work, heard = threading.Event(), threading.Event()

        def work(connection: sa.Connection) -> None:
            host_lock(connection, hosts["h2"])
            at_work.set()
            assert heard.wait(30)

        def seen() -> dict[str, bool]:
            with world.site.database.read() as connection:
                return {one.name: one.seen_at == world.hands() for one in host_list(connection)}

        def hear() -> None:
            assert at_work.wait(30)
            try:
                heartbeats.flush()
                assert seen() == {"h1": True, "h2": False, "h3": True}
                world.site.database.write(lambda connection: host_lock(connection, hosts["h3"]))
            finally:
                heard.set()

        world.hands.turn(10)
        for host_id in (*hosts.values(), "a host that nobody has"):
            heartbeats.seen(host_id)
        heartbeats.refused("a host that nobody has")
        in_threads([lambda: world.site.database.write(work), hear])
        heartbeats.flush()
        assert all(seen().values())


def test_a_pool_that_is_used_up_counts_as_an_absent_database(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'db'}"
    with Database(url, pool_size=1, pool_wait_s=0.01) as database, ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(database.read())
        with pytest.raises(Unavailable, match="cannot be read: QueuePool limit"), database.read():
            pass


def test_a_connection_that_breaks_counts_as_an_absent_database(tmp_path: Path) -> None:
    broken = InterfaceError("SELECT 1", None, OSError("connection reset"))

    def work(_: object) -> None:
        raise broken

    with Database(f"sqlite:///{tmp_path / 'db'}") as database:
        reads = pytest.raises(Unavailable, match=r"cannot be read: connection reset$")
        with reads, database.read() as connection:
            work(connection)
        with pytest.raises(Unavailable, match=r"cannot be written: connection reset$"):
            database.write(work)
