"""``lanekeeper up`` from outside: what it leaves behind, what it refuses, what a restart keeps."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from running import LANEKEEPER, Process, lanekeeper, pick_port, running, until

pytestmark = pytest.mark.service

PF_AND_VFS = """[pci]
device_spec = {"vendor_id": "8086", "product_id": "10c9"}
device_spec = {"vendor_id": "8086", "product_id": "10ca"}
"""


def refuse(tmp_path: Path, *arguments: str, code: int) -> str:
    """Start what must not start; return what it says about it."""
    state = tmp_path / "state"
    place = ("--state-dir", str(state), "--listen", f"127.0.0.1:{pick_port()}")
    ended = lanekeeper("up", *place, *arguments)
    assert ended.returncode == code, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
    assert "ready" not in ended.stdout
    return ended.stderr


def config(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "nova.conf"
    path.write_text(text)
    return ["--simulate", "1", "--config-file", str(path)]


def test_credentials_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    with running(tmp_path / "state") as instance:
        password = instance.credentials["password"]
        assert len(password) >= 16
        holders = [path for path in instance.state_dir.rglob("*") if _holds(path, password)]
        assert {path.name for path in holders} >= {"clouds.yaml", "openrc"}
        assert {stat.S_IMODE(path.stat().st_mode) for path in holders} == {0o600}
        assert password not in instance.process.output + instance.process.errors


def test_it_says_what_its_threads_do(tmp_path: Path) -> None:
    with running(tmp_path / "state") as instance:

        def told() -> bool:
            # Asked each time: a line of the log may come into the middle of the answer, which
            # faulthandler writes word by word.
            os.kill(instance.process.pid, signal.SIGUSR2)
            return 'cli/up.py", line' in instance.process.errors

        until(told, "the main thread's stack")
        assert list(instance.sdk.compute.flavors()) is not None


def _holds(path: Path, secret: str) -> bool:
    return path.is_file() and secret.encode() in path.read_bytes()


def test_a_restart_keeps_what_there_was(database_url: str, tmp_path: Path) -> None:
    with running(tmp_path / "state", database_url=database_url) as first:
        flavor = first.sdk.compute.create_flavor(name="kept", ram=64, vcpus=1, disk=1)
        image = first.sdk.image.create_image(
            name="kept", data=b"x" * 512, disk_format="raw", container_format="bare", wait=True
        )
        made = first.sdk.compute.create_server(
            name="kept", image_id=image.id, flavor_id=flavor.id, networks="none"
        )
        first.sdk.compute.wait_for_server(made, interval=0.2, wait=30)
        token, password = str(first.sdk.auth_token), first.credentials["password"]
    with running(tmp_path / "state", database_url=database_url) as second:
        assert second.credentials["password"] == password
        server = second.sdk.compute.get_server(made.id)
        assert (server.name, server.status) == ("kept", "ACTIVE")
        assert b"".join(second.sdk.image.download_image(image.id, stream=False).iter_content())
        with second.http(**{"X-Auth-Token": token}) as http:
            assert http.get("/compute/v2.1/servers").status_code == 200


def test_it_answers_what_to_do_next(tmp_path: Path) -> None:
    with running(tmp_path / "state", as_installed=True) as instance:
        assert "openrc" in instance.process.output or "OS_CLOUD" in instance.process.output


def test_without_libvirt_and_without_simulation_it_says_what_would_help(tmp_path: Path) -> None:
    if any(Path("/run/libvirt").glob("*-sock")):
        pytest.skip("libvirt runs on this machine")
    assert "--simulate" in refuse(tmp_path, code=3)


def test_a_password_is_kept_off_the_command_line(tmp_path: Path) -> None:
    url = "postgresql://lanekeeper:hunter2@127.0.0.1/lanekeeper"
    said = refuse(tmp_path, "--simulate", "1", "--database-url", url, code=2)
    assert "--database-url-file" in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (PF_AND_VFS, ["nova.conf:2", "nova.conf:3", "physical_network"]),
        ('[pci]\ndevice_spec = {"vendor": "8086"}\n', ["nova.conf:2", "vendor", "vendor_id"]),
        ('[pci]\nalias = {"name": "a1", \n', ["nova.conf:2", "alias"]),
        ("[lanekeeper]\nno_such_key = 1\n", ["nova.conf:2", "no_such_key"]),
        ("[ml2_type_vlan]\nnetwork_vlan_ranges = physnet1:0:5000\n", ["nova.conf:2", "4094"]),
    ],
    ids=["pf-and-vfs", "unknown-key", "no-json", "own-key", "vlan-range"],
)
def test_a_wrong_configuration_is_refused_with_its_line(
    tmp_path: Path, text: str, named: list[str]
) -> None:
    said = refuse(tmp_path, *config(tmp_path, text), code=2)
    assert [word for word in named if word not in said] == [], said


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    said = refuse(tmp_path, "--simulate", "1", "--config-file", "/nonexistent.conf", code=2)
    assert "/nonexistent.conf" in said


def test_a_directory_of_somebody_elses_is_left_alone(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(0o755)
    (state / "letter").write_text("Dear reader")
    said = refuse(tmp_path, "--simulate", "1", code=2)
    assert f"{state} holds something else and is not private (mode 0755)" in said
    (state / "letter").unlink()
    state.chmod(0o1777)
    said = refuse(tmp_path, "--simulate", "1", code=2)
    assert f"{state} may be written by others" in said
    assert (stat.S_IMODE(state.stat().st_mode), list(state.iterdir())) == (0o1777, [])


def test_an_empty_directory_of_ones_own_is_taken_as_it_is(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(0o755)
    for _ in range(2):
        with running(state):
            assert stat.S_IMODE(state.stat().st_mode) == 0o755


def test_a_state_directory_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    assert f"{tmp_path / 'state'} is a file" in refuse(tmp_path, "--simulate", "1", code=2)


def test_a_database_that_is_none_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "state" / "lanekeeper.db").write_text("Not a database, if ever there was one.")
    said = refuse(tmp_path, "--simulate", "1", code=3)
    assert "lanekeeper.db cannot be opened: file is not a database" in said
    said = refuse(tmp_path, "--simulate", "1", "--database-url", "sqlite://", code=2)
    assert "kept in memory" in said
    (tmp_path / "url").write_text("\n")
    url_file = str(tmp_path / "url")
    said = refuse(tmp_path, "--simulate", "1", "--database-url-file", url_file, code=2)
    assert "is empty" in said


def test_a_policy_file_is_read_or_refused_before_anything_is_made(tmp_path: Path) -> None:
    said = refuse(tmp_path, "--simulate", "1", "--policy-file", "none.yaml", code=2)
    assert "none.yaml cannot be read" in said
    (tmp_path / "rules.yaml").write_text('"os_compute_api:servers:crate": "role:admin"\n')
    (tmp_path / "nova.conf").write_text("[oslo_policy]\npolicy_file = rules.yaml\n")
    said = refuse(tmp_path, "--simulate", "1", "--config-file", str(tmp_path / "nova.conf"), code=2)
    assert "rules.yaml:1: there is no rule os_compute_api:servers:crate" in said
    assert "os_compute_api:servers:create" in said
    assert not (tmp_path / "state").exists()


def test_what_is_no_captured_machine_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("Dear reader\n")
    for file, named in (
        ("notes", "no captured tree"),
        ("none", "No such file"),
        ("", "a directory"),
    ):
        said = refuse(tmp_path, "--simulate", "1", "--tree", str(tmp_path / file), code=2)
        assert f"error: --tree {tmp_path / file}: {named}" in said
    assert not (tmp_path / "state").exists()


def test_two_cannot_share_a_port(tmp_path: Path) -> None:
    with running(tmp_path / "first") as first:
        port = first.url.rpartition(":")[2]
        arguments = ["up", "--state-dir", str(tmp_path / "second"), "--simulate", "1"]
        second = Process(
            [LANEKEEPER, *arguments, "--listen", f"127.0.0.1:{port}"], tmp_path / "second.log"
        )
        try:
            assert second.wait(30) in {2, 3}
            assert port in second.errors
        finally:
            second.kill()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("command", [["up", "--simulate", "1"], ["verify"], ["db", "check"]])
def test_what_may_not_be_looked_at_is_told_in_a_line(tmp_path: Path, command: list[str]) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    python = [sys.executable, "-c", "from lanekeeper.main import main; raise SystemExit(main())"]
    done = subprocess.run(
        [*nobody, *python, *command, "--state-dir", str(closed / "state")],
        check=False,
        capture_output=True,
        text=True,
        cwd="/",
        timeout=60,
        env={**os.environ, "HOME": "/nonexistent"},
    )
    assert done.returncode in (2, 3), done.stderr
    assert "Traceback" not in done.stderr
    assert "error: " in done.stderr


def test_simulated_hosts_follow_the_controller_to_another_port(tmp_path: Path) -> None:
    state = tmp_path / "state"
    for _ in range(2):  # each start picks a free port
        with running(state) as instance:
            names = [one.name for one in instance.sdk.compute.hypervisors()]
            assert names == ["sim-1"]
            enrolled = (state / "hosts" / "sim-1" / "enrolled.json").read_text()
            assert instance.url.rstrip("/") in enrolled
