import threading
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy.exc import InterfaceError, StatementError

from lanekeeper.control.host.heartbeat import Heartbeats
from lanekeeper.control.periodic import Periodic
from lanekeeper.domain.errors import Unavailable
from lanekeeper.store.database import Database
from lanekeeper.store.tables import metadata


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
