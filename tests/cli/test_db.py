"""``lanekeeper db`` as an operator meets it: what it refuses, what it leaves behind."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from fleet import fleet
from lanekeeper.main import main
from lanekeeper.store.database import Database, read_only
from lanekeeper.store.schema import upgrade
from lanekeeper.store.tables import host, trait, user
from postgres import PostgreSQL


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    home = tmp_path / "state"
    home.mkdir(mode=0o700)
    with Database(f"sqlite:///{home / 'lanekeeper.db'}") as database:
        upgrade(database.engine)
        database.write(lambda c: c.execute(trait.insert().values(name="CUSTOM_OLD")))
    return home


def traits(file: Path) -> set[str]:
    with read_only(f"sqlite:///{file}") as connection:
        return set(connection.scalars(sa.select(trait.c.name)))


def test_a_backup_is_of_one_moment_while_others_write(state_dir: Path, tmp_path: Path) -> None:
    target = tmp_path / "backup.db"
    enough = threading.Event()

    def pair(number: int) -> None:
        rows = [{"name": f"CUSTOM_{number}_{side}"} for side in "AB"]
        database.write(lambda c: c.execute(trait.insert(), rows))

    def keep_writing() -> None:
        for number in range(100_000):
            if enough.is_set():
                return
            pair(number)

    with Database(f"sqlite:///{state_dir / 'lanekeeper.db'}") as database:
        pair(-1)
        writer = threading.Thread(target=keep_writing)
        writer.start()
        try:
            assert main(["db", "backup", "--state-dir", str(state_dir), str(target)]) == 0
        finally:
            enough.set()
            writer.join(60)
    names = {name for name in traits(target) if name != "CUSTOM_OLD"}
    assert {name[:-1] + "B" for name in names} == {name for name in names if name[-1] == "B"}
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {"state", "backup.db"}


def test_a_backup_takes_nobodys_place(state_dir: Path, tmp_path: Path) -> None:
    target = tmp_path / "backup.db"
    target.write_text("mine")
    assert main(["db", "backup", "--state-dir", str(state_dir), str(target)]) == 1
    assert target.read_text() == "mine"


def test_a_restore_keeps_what_was_there(
    state_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    backup, place = tmp_path / "backup.db", state_dir / "lanekeeper.db"
    assert main(["db", "backup", "--state-dir", str(state_dir), str(backup)]) == 0
    with Database(f"sqlite:///{place}") as database:
        database.write(lambda c: c.execute(trait.insert().values(name="CUSTOM_NEW")))
    assert main(["db", "restore", "--state-dir", str(state_dir), str(backup)]) == 0
    assert traits(place) == {"CUSTOM_OLD"}
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    (aside,) = state_dir.glob("lanekeeper.db.before-*")
    assert str(aside) in capsys.readouterr().out
    assert traits(aside) == {"CUSTOM_OLD", "CUSTOM_NEW"}


@pytest.mark.parametrize("there", [True, False])
def test_a_backup_of_another_program_is_not_restored(
    state_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], there: bool
) -> None:
    place, backup = state_dir / "lanekeeper.db", tmp_path / "placement-backup.db"
    assert main(["db", "backup", "--state-dir", str(state_dir), str(backup)]) == 0
    with Database(f"sqlite:///{place}") as database:
        database.write(lambda c: c.execute(user.insert().values(id="u", name="admin")))
    if not there:
        place.unlink()
    assert main(["db", "restore", "--state-dir", str(state_dir), str(backup)]) == 2
    told = capsys.readouterr().err
    assert f"{backup} is a database of lanekeeper placement" in told
    assert f"{place} one of lanekeeper controller" in told
    assert place.exists() == there
    assert not there or "CUSTOM_OLD" in traits(place)


def test_the_database_of_placement_alone_is_found_in_its_directory(
    state_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (state_dir / "lanekeeper.db").rename(state_dir / "placement.db")
    backup = tmp_path / "backup.db"
    assert main(["verify", "--state-dir", str(state_dir)]) == 0
    assert main(["db", "backup", "--state-dir", str(state_dir), str(backup)]) == 0
    capsys.readouterr()
    assert main(["db", "restore", "--state-dir", str(state_dir), str(backup)]) == 0
    assert "adopt" not in capsys.readouterr().out  # it has no hosts
    assert traits(state_dir / "placement.db") == {"CUSTOM_OLD"}


def test_a_database_that_is_in_use_is_left_alone(
    state_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    backup = tmp_path / "backup.db"
    assert main(["db", "backup", "--state-dir", str(state_dir), str(backup)]) == 0
    with Database(f"sqlite:///{state_dir / 'lanekeeper.db'}") as database:
        with database.read():
            pass  # its pool keeps a connection
        for verb in (["upgrade"], ["restore", str(backup)], ["freeze"]):
            assert main(["db", verb[0], "--state-dir", str(state_dir), *verb[1:]]) == 1
            assert "stop the controller first" in capsys.readouterr().err
    assert main(["db", "upgrade", "--state-dir", str(state_dir)]) == 0


def test_a_controller_on_postgresql_is_noticed(
    postgresql: PostgreSQL, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "url").write_text(postgresql.url(postgresql.create()))
    options = ["--state-dir", str(tmp_path), "--database-url-file", str(tmp_path / "url")]
    with Database((tmp_path / "url").read_text()) as database:
        upgrade(database.engine)
        with database.read():
            pass
        assert main(["db", "upgrade", *options]) == 1
        assert "a controller is connected to database" in capsys.readouterr().err
    assert main(["db", "upgrade", *options]) == 0


@pytest.mark.parametrize("content", [b"", b"no database", None])
def test_what_is_no_backup_is_not_restored(
    state_dir: Path, tmp_path: Path, content: bytes | None
) -> None:
    place, source = state_dir / "lanekeeper.db", tmp_path / "source"
    if content is None:  # sound SQLite, and somebody else's
        with closing(sqlite3.connect(source)) as other:
            other.execute("CREATE TABLE things (id INTEGER)")
    else:
        source.write_bytes(content.ljust(4096, b".") if content else content)
    assert main(["db", "restore", "--state-dir", str(state_dir), str(source)]) == 2
    assert traits(place) == {"CUSTOM_OLD"}
    assert not [*state_dir.glob(".*"), *state_dir.glob("*before*")]


def test_a_damaged_file_is_found_and_replaced(
    state_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    backup, place = tmp_path / "backup.db", state_dir / "lanekeeper.db"
    assert main(["db", "backup", "--state-dir", str(state_dir), str(backup)]) == 0
    assert main(["db", "check", "--state-dir", str(state_dir)]) == 0
    with place.open("r+b") as file:  # a page in the middle
        file.seek(8192)
        file.write(os.urandom(4096))
    assert main(["db", "check", "--state-dir", str(state_dir)]) == 1
    assert f"wrong: - {place}: " in capsys.readouterr().out
    assert main(["db", "restore", "--state-dir", str(state_dir), str(backup)]) == 0
    assert main(["db", "check", "--state-dir", str(state_dir)]) == 0


def test_postgresql_is_left_to_its_own_tools(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = tmp_path / "url"
    url.write_text("postgresql://keeper:geheim@db.example:5433/lanekeeper")
    options = ["--state-dir", str(tmp_path), "--database-url-file", str(url)]
    assert main(["db", "backup", *options, str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert (
        "pg_dump --host=db.example --port=5433 --username=keeper --dbname=lanekeeper "
        f"--format=custom --file={tmp_path / 'out'}"
    ) in told
    assert main(["db", "restore", *options, str(tmp_path / "out")]) == 2
    told += capsys.readouterr().err
    assert "pg_restore --host=db.example" in told
    assert "lanekeeper db freeze" in told
    assert "geheim" not in told


def test_the_hint_for_pg_dump_keeps_what_stands_behind_the_question_mark(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = tmp_path / "url"
    url.write_text("postgresql:///lanekeeper?host=/run/postgresql&port=5433&user=keeper")
    options = ["--state-dir", str(tmp_path), "--database-url-file", str(url)]
    assert main(["db", "backup", *options, str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert "--host=/run/postgresql --port=5433 --username=keeper --dbname=lanekeeper" in told


@pytest.mark.service
def test_after_a_restore_by_other_means_hosts_are_frozen_by_hand(
    database_url: str, tmp_path: Path
) -> None:
    url = tmp_path / "url"
    url.write_text(database_url)
    with fleet(database_url, tmp_path, hosts=2):
        pass
    options = ["--state-dir", str(tmp_path / "none"), "--database-url-file", str(url)]
    assert main(["db", "freeze", *options]) == 0
    with read_only(database_url) as connection:
        reasons = connection.scalars(sa.select(host.c.frozen_reason)).all()
    assert len(reasons) == 2
    assert all("set back to an older state" in reason for reason in reasons)
