"""What is told of a lab whose emulator has ended; the lab's folder is planted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lanekeeper.cli import exit_code
from lanekeeper.domain.errors import HostFault, Unavailable
from lanekeeper.lab import ending
from lanekeeper.lab.channel import Channel
from lanekeeper.lab.folder import LabFolder, Running
from lanekeeper.lab.lab import Hangs, wait_ready, why_again
from lanekeeper.lab.reboot import keep_panic
from lanekeeper.lab.status import look
from lanekeeper.main import main

ASSERTION = (
    "qemu-system-x86_64: ../../system/physmem.c:2678: iotlb_to_section:"
    " Assertion `section_index < d->map.sections_nb' failed."
)
NO_PROCESS = 2**22 + 1  # above the largest process id


def lab_of(state: Path, log: str, pid: int = NO_PROCESS) -> LabFolder:
    """Make the folder of a lab that was ready once, and whose QEMU said *log*."""
    folder = LabFolder("h1", state)
    folder.create()
    folder.qemu_log.write_text(log)
    running = Running(
        name="h1", pid=pid, acceleration="tcg", controller_port=1, memory_mib=1, boot_s=1.0
    )
    folder.remember(running)
    return folder


def test_a_command_is_told_the_last_words_and_what_helps(tmp_path: Path) -> None:
    folder = lab_of(tmp_path, "a warning\nout of memory\n")
    with pytest.raises(Unavailable, match="its last words: out of memory") as e:
        Channel(folder.path).run(["true"])
    name = f"--name h1 --state-dir {tmp_path}"
    assert e.value.hint == (
        f"lanekeeper lab down {name} && lanekeeper lab up {name} starts over; "
        f"lanekeeper lab reboot {name} starts it with what is on its disk"
    )


def test_the_known_race_is_recognised(tmp_path: Path) -> None:
    folder = lab_of(tmp_path, f"a warning\n{ASSERTION}\n")
    assert ending.ended_itself(folder)
    with pytest.raises(Unavailable, match="iotlb_to_section") as error:
        Channel(folder.path).ask("status")
    assert error.value.hint.startswith(f"{ending.RACE_TOLD}; lanekeeper lab down ")


@pytest.mark.parametrize("log", ["", "killed\n", "other.c:1: Assertion `x' failed.\n"])
def test_another_end_is_not_taken_for_the_race(tmp_path: Path, log: str) -> None:
    folder = lab_of(tmp_path, log)
    assert not ending.ended_itself(folder)
    assert ending.has_ended(folder)


def test_a_lab_that_never_was_has_not_ended(tmp_path: Path) -> None:
    folder = LabFolder("h1", tmp_path)
    assert not ending.has_ended(folder)
    folder.create()
    assert not ending.has_ended(folder), "it is being started"


@pytest.mark.parametrize(
    "words", [["exec", "--", "true"], ["exec", "--background", "/l", "--", "true"], ["get", "/x"]]
)
def test_every_command_ends_with_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    lab_of(tmp_path, ASSERTION)
    code = main(["lab", words[0], "--state-dir", str(tmp_path), *words[1:]])
    assert code == exit_code.UNAVAILABLE
    said = capsys.readouterr().err
    assert f"its last words: {ASSERTION}" in said
    assert f"hint: {ending.RACE_TOLD}" in said


def test_status_says_it_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lab_of(tmp_path, ASSERTION)
    code = main(["lab", "status", "--json", "--state-dir", str(tmp_path)])
    assert code == exit_code.UNAVAILABLE
    told = capsys.readouterr()
    found = json.loads(told.out)
    assert (found["state"], found["ended_itself"]) == ("dead", True)
    assert found["last_words"] == ASSERTION
    assert "has ended" in told.err
    assert look("h1", tmp_path).last_words == ASSERTION


PANIC = (
    "[    1.9] Run /init as init process\n"
    "[    2.1] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\n"
    + "[    2.2] Call Trace: a line of it\n" * 100
    + "[    2.3] ---[ end Kernel panic - not syncing: VFS: Unable to mount root fs ]---\n"
)
WHY = "its kernel panicked: VFS: Unable to mount root fs on unknown-block(0,0)"


def test_a_panic_of_the_lab_hosts_kernel_is_told_with_its_log(tmp_path: Path) -> None:
    folder = lab_of(tmp_path, "")
    folder.console.write_text("login: \n")
    assert ending.panic_told(folder) == ""
    folder.console.write_text(PANIC)
    with pytest.raises(Unavailable) as error:
        Channel(folder.path).ask("reboot")
    assert str(error.value) == (
        f"the emulator of lab h1 has ended; {WHY}; all of it is in {folder.console}"
    )
    assert "lab reboot --name h1" in error.value.hint


def test_a_start_that_ends_in_a_panic_says_so(tmp_path: Path) -> None:
    folder = lab_of(tmp_path, "")
    folder.console.write_text(PANIC)
    with pytest.raises(HostFault, match="ended while it started: its kernel panicked: VFS: Un"):
        wait_ready(folder, NO_PROCESS)


def test_a_reboot_after_a_panic_keeps_its_log_and_says_where(tmp_path: Path) -> None:
    folder = lab_of(tmp_path, "")
    folder.console.write_text(PANIC)
    told: list[str] = []
    keep_panic(folder, told.append)
    keep_panic(folder, told.append)
    assert folder.panic_log.read_text() == PANIC
    assert told == [
        "the kernel of lab host h1 had panicked: VFS: Unable to mount root fs on "
        f"unknown-block(0,0); see {folder.panic_log}"
    ]


@pytest.mark.parametrize(
    ("log", "console", "told"),
    [
        (f"{ASSERTION}\n" + "nc: cannot connect\n" * 99, "", ending.RACE_TOLD),
        ("out of memory\n", "", "the emulator ended; its last words: out of memory"),
        ("", "", "the emulator ended without a word"),
        ("", "[ 9.1] Kernel panic - not syncing: Fatal exception\n", "its kernel panicked: Fatal"),
    ],
)
def test_a_lab_that_nobody_ended_is_told_how_it_fell(
    tmp_path: Path, log: str, console: str, told: str
) -> None:
    folder = lab_of(tmp_path, log)
    folder.console.write_text(console)
    assert ending.fell(folder).startswith(told)


def test_only_a_start_that_fell_or_hangs_is_begun_again(tmp_path: Path) -> None:
    folder = lab_of(tmp_path, "")
    assert why_again(folder, HostFault("no answer")) == "the emulator ended without a word"
    assert why_again(folder, Hangs("not ready after 400 s")) == "not ready after 400 s"
    shutil.rmtree(folder.path)
    with pytest.raises(HostFault, match="no disk"):
        why_again(folder, HostFault("no disk"))
