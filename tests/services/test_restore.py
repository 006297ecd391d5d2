"""A backup is taken, the world goes on, the backup is restored: nothing is touched until adopted.

Afterwards rows and hosts agree, and no device has two holders or is given away while it has one.
"""

from __future__ import annotations

import stat
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from crash import HOST, Ground, Stage, prepare, stage
from crash_books import assert_balanced, await_obeyed, read_rows
from crash_stories import host_id
from running import until

pytestmark = pytest.mark.service


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    return prepare(tmp_path_factory.mktemp("restore") / "ground" / "state", 2)


@pytest.fixture
def on(ground: Ground, tmp_path: Path) -> Iterator[Stage]:
    with stage(ground, tmp_path / "stage") as made:
        yield made


def states(on: Stage) -> dict[str, str]:
    return {key: row["state"] for key, row in read_rows(on.database_url).devices.items()}


def holders(on: Stage) -> dict[str, str]:
    """Who holds which device, by its address on the first host."""
    rows = read_rows(on.database_url)
    return {
        rows.devices[row["device_id"]]["address"]: row["consumer_id"]
        for row in rows.claims
        if rows.devices[row["device_id"]]["host_id"] == rows.hosts[HOST]["id"]
    }


def in_hand(on: Stage) -> dict[str, str]:
    """Which guest has which device in hand, as the host has it."""
    return {
        one["address"]: server_id
        for server_id, guest in on.guests().items()
        for one in [nic["device"] for nic in guest["wanted"]["nics"]] + guest["wanted"]["devices"]
    }


def told(on: Stage, host: str = HOST) -> bool:
    path = f"/lanekeeper/v1/hosts/{host_id(on, host)}/adopt"
    return on.send("POST", path, {"dry_run": True}).is_success


def test_a_restored_backup_touches_nothing_until_its_hosts_are_adopted(on: Stage) -> None:
    state = ("--state-dir", str(on.state_dir))
    backup = on.home / "backup.db"
    first = on.start_controller()
    agents = [on.start_agent(), on.start_agent("sim-2")]
    enrol_silent(on, "a-silent")  # comes before the others, and never tells anything
    port = on.create_port()
    stays, goes = on.create_server(port=port), on.create_server()
    on.await_active(stays)
    on.await_active(goes)
    await_obeyed(on)
    assert "database of this moment" in on.lanekeeper("db", "backup", *state, str(backup))
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert "is there already" in on.lanekeeper("db", "backup", *state, str(backup), code=1)

    on.delete_server(goes)
    younger = [on.create_server() for _ in range(3)]  # one of them may get what was given back
    for server in younger:
        on.await_active(server)
    until(lambda: goes not in {one["id"] for one in on.servers()}, "it is gone", 60)
    later = on.create_server()
    on.await_active(later)
    await_obeyed(on)
    assert "a controller works with" in on.lanekeeper("db", "restore", *state, str(backup), code=1)
    first.kill()
    before = on.guests()
    truth = in_hand(on)
    assert before.keys() == {stays, *younger, later}

    said = on.lanekeeper("db", "restore", *state, str(backup))
    assert "3 hosts are frozen" in said
    (aside,) = on.state_dir.glob("lanekeeper.db.before-*")
    assert aside.stat().st_size > 0
    restored = states(on)
    on.start_controller()
    assert on.send("GET", "/compute/v2.1/servers").status_code == 401  # tokens are void
    on.log_in()
    assert {one["id"]: one["status"] for one in on.servers()} == {stays: "ACTIVE", goes: "ACTIVE"}
    refused = on.create_server()  # from the first moment no host is given work
    (unplaced,) = (one for one in on.servers() if one["id"] == refused)
    assert "frozen" in unplaced["fault"]["message"]
    until(lambda: told(on) and told(on, "sim-2"), "frozen hosts have told what they have", 60)
    assert (on.guests(), states(on)) == (before, restored)
    adopt(on, goes, refused, truth, restored)
    end_all(on, truth, port)
    for agent in agents:
        assert agent.stop() == 0


def enrol_silent(on: Stage, name: str) -> None:
    """Enrol a host that has no agent."""
    made = on.send("POST", "/lanekeeper/v1/enrolments", {"host_name": name}).json()
    body = {"token": made["token"], "host_id": str(uuid.uuid4()), "host_name": name}
    answer = on.send("POST", "/lanekeeper/agent/v1/enrolments", body)
    assert answer.is_success, answer.text


def adopt(
    on: Stage, goes: str, refused: str, truth: dict[str, str], restored: dict[str, str]
) -> None:
    """Rehearse it, do it, and judge what came of it."""
    state = ("--state-dir", str(on.state_dir))
    rehearsed = on.lanekeeper("db", "adopt", "--dry-run", code=1)
    silent = "a-silent is not adopted: host a-silent has not told what it has since it was frozen"
    assert silent in rehearsed
    assert "sim-1 would obey again: 1 kept, 4 made, 1 lost" in rehearsed
    assert states(on) == restored
    adopted = on.lanekeeper("db", "adopt", code=1)
    assert silent in adopted
    assert "sim-1 obeys again: 1 kept, 4 made, 1 lost" in adopted
    assert "sim-2 obeys again: 0 kept, 0 made, 0 lost" in adopted
    assert holders(on) == truth
    await_obeyed(on)
    alive = set(truth.values())
    assert {key: guest["starts"] for key, guest in on.guests().items()} == dict.fromkeys(alive, 1)
    statuses = {one["id"]: one["status"] for one in on.servers()}
    assert statuses == {**dict.fromkeys(alive, "ACTIVE"), goes: "ERROR", refused: "ERROR"}
    assert "0 rows are wrong" in on.lanekeeper("verify", *state)
    assert "0 rows are wrong" in on.lanekeeper("db", "check", *state)


def end_all(on: Stage, truth: dict[str, str], port: str) -> None:
    """A new server gets what nobody has; then everything is given back, but for the port."""
    fresh = on.create_server()
    on.await_active(fresh)
    assert len(in_hand(on)) == len(truth) + 2
    for server in on.servers():
        on.delete_server(server["id"])
    until(lambda: not on.servers(), "all of them are gone", 60)
    until(lambda: set(states(on).values()) == {"available"}, "all devices are free", 60)
    rows = assert_balanced(on.database_url)
    assert set(rows.ports) == {port}


def test_a_guest_that_nobody_can_name_keeps_its_devices(on: Stage) -> None:
    """The host has forgotten what it was told; the guest is listed, its devices set aside.

    The host takes new servers again when somebody who has looked at that guest enables it.
    """
    state = ("--state-dir", str(on.state_dir))
    backup = on.home / "backup.db"
    on.start_controller()
    agent = on.start_agent()
    await_obeyed(on)
    on.lanekeeper("db", "backup", *state, str(backup))
    lost = on.create_server()
    on.await_active(lost)
    await_obeyed(on)
    for process in on.processes:
        process.kill()
    (on.host_dir() / "desired.json").unlink()
    on.lanekeeper("db", "restore", *state, str(backup))
    on.start_controller()
    agent = on.start_agent()
    on.log_in()
    until(lambda: told(on), "the host has told what it has", 60)
    said = on.lanekeeper("db", "adopt", "--host", HOST, code=1)
    assert f"{lost} runs there and stays unknown" in said
    held = in_hand(on)
    rows = read_rows(on.database_url)
    aside = {row["address"] for row in rows.devices.values() if row["state"] == "quarantined"}
    assert aside == held.keys()
    assert "0 rows are wrong" in on.lanekeeper("verify", *state)
    (service,) = on.ask("GET", f"/compute/v2.1/os-services?host={HOST}")["services"]
    assert lost in service["disabled_reason"]
    on.ask("PUT", f"/compute/v2.1/os-services/{service['id']}", {"status": "enabled"})
    fresh = on.create_server()
    on.await_active(fresh)
    assert on.guests().keys() == {lost, fresh}
    assert agent.stop() == 0
