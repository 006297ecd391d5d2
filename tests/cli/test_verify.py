"""``lanekeeper verify`` as its user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sqlalchemy as sa

from lanekeeper.clock import utc_now
from lanekeeper.main import main
from lanekeeper.store.database import Database
from lanekeeper.store.schema import upgrade
from lanekeeper.store.tables import consumer


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    with Database(f"sqlite:///{tmp_path / 'lanekeeper.db'}") as database:
        upgrade(database.engine)
    return tmp_path


def spoil(state_dir: Path) -> None:
    idle = consumer.insert().values(id="idle", project_id="p", user_id="u", updated_at=utc_now())
    with Database(f"sqlite:///{state_dir / 'lanekeeper.db'}") as database:
        database.write(lambda connection: connection.execute(idle))


def test_a_sound_database_is_said_to_be(
    state_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", "--state-dir", str(state_dir)]) == 0
    assert capsys.readouterr().out.endswith("invariants checked, 0 rows are wrong\n")


def test_what_is_wrong_is_told_row_by_row(
    state_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(state_dir)
    assert main(["verify", "--state-dir", str(state_dir)]) == 1
    told = capsys.readouterr().out
    assert (
        "wrong: consumer idle: it has neither an allocation nor a device [consumer.empty]" in told
    )
    assert "  hint: " in told
    assert main(["verify", "--state-dir", str(state_dir), "--json"]) == 1
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert (finding["table"], finding["row"], finding["notice"]) == ("consumer", "idle", False)


def test_a_url_is_read_from_its_file(state_dir: Path, tmp_path: Path) -> None:
    spoil(state_dir)
    file = tmp_path / "url"
    file.write_text(f"sqlite:///{state_dir / 'lanekeeper.db'}\n")
    elsewhere = str(tmp_path / "elsewhere")
    assert main(["verify", "--state-dir", elsewhere, "--database-url-file", str(file)]) == 1


def test_what_cannot_be_checked_is_unavailable(
    state_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", "--state-dir", str(state_dir / "nowhere")]) == 3
    assert not (state_dir / "nowhere").exists()
    engine = sa.create_engine(f"sqlite:///{state_dir / 'lanekeeper.db'}")
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    assert main(["verify", "--state-dir", str(state_dir)]) == 3
    assert "revision 9999, which this version does not know" in capsys.readouterr().err
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE alembic_version")
    assert main(["verify", "--state-dir", str(state_dir)]) == 3
    engine.dispose()
