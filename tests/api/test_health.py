"""``/healthz``, ``/readyz`` and ``/metrics``: what they say when the database says nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from fleet import ADMIN, Fleet, fleet
from lanekeeper.api.root.health import routes
from lanekeeper.clock import utc_now
from lanekeeper.config import Config
from lanekeeper.control.compute.flavor import create_flavor
from lanekeeper.control.compute.server import delete_server
from lanekeeper.control.compute.server_create import create_servers
from lanekeeper.control.compute.server_order import NewServer
from lanekeeper.control.host.host import report_state
from lanekeeper.control.site import Site
from lanekeeper.domain.compute.flavor import Flavor
from lanekeeper.protocol import CleaningState, HostState
from lanekeeper.store.database import Database
from lanekeeper.store.device.device import devices_to_clean

pytestmark = pytest.mark.service


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Fleet]:
    with fleet(f"sqlite:///{tmp_path}/x.db", tmp_path) as made:
        yield made


def client(site: Site) -> TestClient:
    return TestClient(Starlette(routes=routes(site)))


def sample(http: TestClient, name: str) -> float:
    """The value of one series, 0 for one that is not there."""
    lines = http.get("/metrics").text.splitlines()
    return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(name)), 0.0)


@pytest.mark.parametrize("what", ["away", "damaged"])
def test_a_database_that_cannot_be_read_is_said_everywhere(tmp_path: Path, what: str) -> None:
    path = tmp_path / "x.db" if what == "damaged" else tmp_path / "gone" / "x.db"
    if what == "damaged":
        path.write_bytes(b"this was a database once" * 1000)
    with Database(f"sqlite:///{path}") as database:
        site = Site(database=database, config=Config(), clock=utc_now, state_dir=tmp_path)
        http = client(site)
        told = http.get("/metrics")
        assert told.status_code == 200
        assert "lanekeeper_database_readable 0.0" in told.text
        assert "lanekeeper_claims_total" in told.text  # what memory knows is told all the same
        assert "lanekeeper_devices{" not in told.text
        ready = http.get("/readyz")
        assert ready.status_code == 503
        assert "the database cannot be read" in ready.json()["checks"]["database"]
        assert http.get("/healthz").status_code == 200


def test_a_database_that_answers_is_said_too(world: Fleet) -> None:
    http = client(world.site)
    assert sample(http, "lanekeeper_database_readable") == 1
    assert http.get("/readyz").json() == {"ready": True, "checks": {"database": "ok"}}


def test_no_series_says_when_another_began(world: Fleet) -> None:
    assert "_created" not in client(world.site).get("/metrics").text


@pytest.mark.parametrize("outcome", ["clean", "quarantined"])
def test_the_time_of_a_cleaning_is_observed_once(world: Fleet, outcome: str) -> None:
    http = client(world.site)
    count = f'lanekeeper_cleaning_seconds_count{{outcome="{outcome}"}}'
    total = f'lanekeeper_cleaning_seconds_sum{{outcome="{outcome}"}}'
    before = sample(http, count), sample(http, total)
    round_of = release_a_device(world)
    world.hands.turn(7)
    state = CleaningState(
        device_id=round_of[0], round=round_of[1], clean=outcome == "clean", problem="stuck"
    )
    for _ in range(2):  # agents repeat themselves
        report_state(world.site, world.hosts["h1"], HostState(cleaned=[state]))
    assert (sample(http, count), sample(http, total)) == (before[0] + 1, before[1] + 7)


def release_a_device(world: Fleet) -> tuple[str, int]:
    """Have a server give a device back; returns its id and its cleaning round."""
    flavor = Flavor(
        id="", name="m1", vcpus=1, ram_mib=64, disk_gib=1,
        extra_specs={"pci_passthrough:alias": "a1:1"},
    )  # fmt: skip
    flavor_id = create_flavor(world.site, flavor).id
    asked = NewServer(name="s", flavor_id=flavor_id, image_id=world.image())
    (made,) = create_servers(world.site, ADMIN, asked)
    world.obey()
    delete_server(world.site, ADMIN, made.id)
    world.report(made.id, "absent")
    with world.site.database.read() as connection:
        (row,) = devices_to_clean(connection, world.hosts["h1"])
    return str(row["id"]), int(row["cleaning_round"])
