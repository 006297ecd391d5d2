"""The first start, alone and with others, killed and not."""

import stat
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml

from lanekeeper.clock import utc_now
from lanekeeper.config import Config
from lanekeeper.control.identity.bootstrap import Bootstrap, bootstrap, write_credentials
from lanekeeper.control.site import Site
from lanekeeper.store.database import Database

pytestmark = pytest.mark.service


def site_at(database: Database, state_dir: Path) -> Site:
    state_dir.mkdir(mode=0o700, exist_ok=True)
    return Site(database=database, config=Config(), clock=utc_now, state_dir=state_dir)


@pytest.fixture
def site(database_url: str, tmp_path: Path) -> Any:
    with Database(database_url) as database:
        yield site_at(database, tmp_path / "one")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_first_start_leaves_files_for_their_owner_only(site: Site) -> None:
    made = bootstrap(site)
    assert made is not None
    assert write_credentials(site, made, "http://127.0.0.1:8774")
    names = {path.name: mode(path) for path in site.state_dir.iterdir()}
    assert names == {"clouds.yaml": 0o600, "openrc": 0o600}
    cloud = yaml.safe_load((site.state_dir / "clouds.yaml").read_text())["clouds"]["lanekeeper"]
    assert cloud["auth"]["password"] == made.password
    assert cloud["auth"]["auth_url"] == "http://127.0.0.1:8774/identity/v3"
    assert f"OS_PASSWORD={made.password}" in (site.state_dir / "openrc").read_text()


def test_a_second_start_makes_nothing_and_tells_the_new_address(site: Site, tmp_path: Path) -> None:
    made = bootstrap(site)
    write_credentials(site, made, "http://127.0.0.1:8774")
    assert bootstrap(site) is None
    cacert = tmp_path / "ca.pem"
    assert write_credentials(site, None, "https://127.0.0.1:9000/", cacert)
    cloud = yaml.safe_load((site.state_dir / "clouds.yaml").read_text())["clouds"]["lanekeeper"]
    assert cloud["auth"]["auth_url"] == "https://127.0.0.1:9000/identity/v3"
    assert cloud["cacert"] == str(cacert)
    assert made is not None
    assert cloud["auth"]["password"] == made.password


def test_a_kill_before_the_files_are_written_loses_no_password(site: Site) -> None:
    made = bootstrap(site)
    assert mode(site.state_dir / "admin-password.pending") == 0o600
    assert bootstrap(site) == made  # the next start after the kill
    write_credentials(site, made, "http://127.0.0.1:8774")
    assert bootstrap(site) is None


def test_a_kill_before_the_database_knows_uses_the_password_on_disk(site: Site) -> None:
    (site.state_dir / "admin-password.pending").write_text("chosen-before-the-kill")
    made = bootstrap(site)
    assert made == Bootstrap("admin", "admin", "chosen-before-the-kill")


def test_of_controllers_that_start_at_once_one_makes_the_admin(
    database_url: str, tmp_path: Path
) -> None:
    made: dict[int, Bootstrap | None] = {}
    with Database(database_url) as database:
        barrier = threading.Barrier(4)

        def start(number: int) -> None:
            site = site_at(database, tmp_path / f"state-{number}")
            barrier.wait()
            made[number] = bootstrap(site)

        threads = [threading.Thread(target=start, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with database.read() as connection:
            users = connection.exec_driver_sql('SELECT count(*) FROM "user"').scalar()
    assert (users, len(made)) == (1, 4)
    assert len([one for one in made.values() if one is not None]) == 1
    pending = list(tmp_path.glob("state-*/admin-password.pending"))
    assert len(pending) == 1


def test_without_files_and_without_a_new_admin_nothing_is_written(site: Site) -> None:
    assert not write_credentials(site, None, "http://127.0.0.1:8774")
    assert list(site.state_dir.iterdir()) == []
