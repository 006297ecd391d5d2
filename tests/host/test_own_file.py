"""What lies where a plan would write: told by name, and left."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from host.planted import SAMPLE_POLICY, simulated, snapshot
from lanekeeper.domain.hostplan.action import RemoveDirectory, WriteFile
from lanekeeper.domain.hostplan.persistence import (
    GRUB_FILE,
    POLICY_FILE,
    UNIT_FILE,
    UNIT_LINK,
    unit_text,
)
from lanekeeper.domain.hostplan.plan import plan
from lanekeeper.host.facts import read_host
from lanekeeper.host.file_actor import FileActor
from lanekeeper.host.policy_file import read_policy
from lanekeeper.host.tree import plant
from lanekeeper.main import main


def refused(root: Path, capsys: pytest.CaptureFixture[str], *where: str) -> str:
    before = snapshot(root, leave_out="")
    assert main(["host", "apply", *where, "--policy", str(SAMPLE_POLICY)]) == 1
    after = snapshot(root, leave_out="")
    lock = {"var", "var/lib", "var/lib/lanekeeper-host", "var/lib/lanekeeper-host/changes"}
    made = {name for name in after.keys() - before.keys() if not name.endswith("/lock")}
    assert made <= lock
    assert all(after[name] == text for name, text in before.items())
    return capsys.readouterr().out


@pytest.mark.parametrize("offline", [False, True])
def test_a_file_where_the_units_link_belongs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], offline: bool
) -> None:
    simulated(tmp_path)
    (tmp_path / UNIT_LINK).parent.mkdir(parents=True)
    (tmp_path / UNIT_LINK).write_text("mine\n")
    where = ("--root", str(tmp_path), "--offline") if offline else ("--simulate", str(tmp_path))
    said = refused(tmp_path, capsys, *where)
    assert f"refused: /{UNIT_LINK}: there is a regular file, and a link of Lanekeeper's" in said
    assert "(path-taken)" in said
    assert main(["host", "show", "--root", str(tmp_path)]) == 0


def test_a_directory_and_a_dead_link_where_files_belong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    simulated(tmp_path)
    (tmp_path / POLICY_FILE).mkdir(parents=True)
    (tmp_path / UNIT_FILE).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / UNIT_FILE).symlink_to("/nowhere/at/all")
    said = refused(tmp_path, capsys, "--simulate", str(tmp_path))
    assert f"/{POLICY_FILE}: there is a directory, and a file" in said
    assert f"/{UNIT_FILE}: there is a link to no file, and a file" in said


@pytest.mark.parametrize("name", [UNIT_FILE, "etc/modules-load.d"])
def test_a_dead_link_of_an_image_is_told_as_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    simulated(tmp_path)
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).symlink_to("/proc/self/status")  # which is there in the running system
    said = refused(tmp_path, capsys, "--root", str(tmp_path), "--offline")
    assert f"/{name}: there is a link to no " in said


def test_a_unit_of_an_older_release_is_written_anew_and_comes_back(tmp_path: Path) -> None:
    simulated(tmp_path)
    program = "/usr/bin/lanekeeper"
    older = unit_text(program).replace(" --confirm-within 0", "")
    assert older != unit_text(program)
    (tmp_path / UNIT_FILE).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / UNIT_FILE).write_text(older)
    steps = plan(read_policy(SAMPLE_POLICY), read_host(tmp_path, program)).steps
    (step,) = [s for s in steps if isinstance(s.do, WriteFile) and s.do.path == UNIT_FILE]
    assert isinstance(step.do, WriteFile)
    assert "--confirm-within 0" in step.do.text
    assert step.undo == (WriteFile(UNIT_FILE, older),)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    simulated(tmp_path)
    (tmp_path / POLICY_FILE).parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(tmp_path / POLICY_FILE)
    found = plan(read_policy(SAMPLE_POLICY), read_host(tmp_path))
    assert [r.subject for r in found.refusals] == [f"/{POLICY_FILE}"]


IMAGE = """\
# lanekeeper tree 1
etc/default/grub = GRUB_CMDLINE_LINUX="quiet"
usr/sbin/update-grub = x
usr/bin/lanekeeper = x
usr/lib/systemd/systemd = x
"""
DIRECTORIES = [
    "etc/lanekeeper",
    "etc/modules-load.d",
    "etc/systemd",
    "var/lib",
    "var/lib/lanekeeper-host/originals",
]


@pytest.mark.parametrize("offline", [False, True])
@pytest.mark.parametrize("name", DIRECTORIES)
def test_a_file_where_a_directory_belongs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], offline: bool, name: str
) -> None:
    if offline:
        plant(IMAGE, tmp_path)
        where = ["--root", str(tmp_path), "--offline"]
    else:
        simulated(tmp_path)
        where = ["--simulate", str(tmp_path)]
    shutil.rmtree(tmp_path / name, ignore_errors=True)
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("mine\n")
    said = refused(tmp_path, capsys, *where)
    assert f"refused: /{name}: there is a regular file, and a directory of Lanekeeper's" in said
    assert "move it away" in said
    assert str(tmp_path) not in said


@pytest.mark.parametrize("offline", [False, True])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        (GRUB_FILE, f"refused: /{GRUB_FILE}: there is a directory, and a file of Lanekeeper's"),
        ("etc/default/grub", "/etc/default/grub is to be mended first, it is a directory"),
        (
            "etc/default/grub.d/50-mine.cfg",
            "/etc/default/grub.d/50-mine.cfg is to be mended first, it is a directory",
        ),
    ],
)
def test_a_directory_where_the_boot_loaders_settings_belong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], offline: bool, name: str, said: str
) -> None:
    if offline:
        plant(IMAGE, tmp_path)
        where = ["--root", str(tmp_path), "--offline"]
    else:
        simulated(tmp_path)
        (tmp_path / "proc/cmdline").write_text("quiet\n")
        (tmp_path / "etc/default/grub").write_text('GRUB_CMDLINE_LINUX="quiet"\n')
        where = ["--simulate", str(tmp_path)]
    (tmp_path / name).unlink(missing_ok=True)
    (tmp_path / name).mkdir(parents=True)
    assert said in refused(tmp_path, capsys, *where)


def test_a_link_to_nothing_where_the_boot_loaders_settings_belong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    simulated(tmp_path)
    (tmp_path / "proc/cmdline").write_text("quiet\n")
    (tmp_path / "etc/default/grub").unlink()
    (tmp_path / "etc/default/grub").symlink_to("../gone/grub")
    said = refused(tmp_path, capsys, "--simulate", str(tmp_path))
    broken = "it is a link to ../gone/grub, which is not there"
    assert f"/etc/default/grub is to be mended first, {broken}" in said


def test_what_cannot_be_read_is_named_as_it_is_called_in_the_image(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plant(IMAGE, tmp_path)
    (tmp_path / "boot/loader/entries/a.conf").mkdir(parents=True)
    (tmp_path / "etc/kernel/cmdline").mkdir(parents=True)
    (tmp_path / "boot/loader/entries/b.conf").write_text("options quiet\n")
    where = ["--root", str(tmp_path), "--offline", "--policy", str(SAMPLE_POLICY)]
    main(["host", "plan", *where])
    said = "".join(capsys.readouterr())
    assert "lanekeeper-image" not in said
    assert "/tmp/" not in said


def test_a_directory_that_became_a_file_is_no_obstacle_to_going_back(tmp_path: Path) -> None:
    actor = FileActor(tmp_path)
    (tmp_path / "made").write_text("somebody's\n")
    actor.do(RemoveDirectory("made"))
    assert (tmp_path / "made").read_text() == "somebody's\n"
