"""Programs of the machine that hang, flood, or leave something behind."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from host.test_hook import gone, is_there
from lanekeeper.domain.errors import HostFault
from lanekeeper.host.actor import limit_s, run_program
from lanekeeper.host.program import ask

FLOOD = "while :; do echo 0123456789012345678901234567890123456789; done"


def leaving(pid: Path, how: str) -> str:
    """Return a script that leaves a process, which notes its number, and goes on when it has."""
    child = f"sh -c 'echo $$ >{pid}; exec sleep 60'"
    return f"{how.format(child=child)}\nwhile ! test -s {pid}; do sleep 0.01; done\n"


def number(path: Path) -> int:
    return int(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("how", ["{child} &", "setsid {child} &", "env -i PATH=$PATH {child} &"])
@pytest.mark.parametrize("end", ["sleep 60", "exec >&- 2>&-; sleep 60"])
def test_nothing_of_one_that_hangs_goes_on_while_it_is_taken_back(
    tmp_path: Path, how: str, end: str
) -> None:
    pid = tmp_path / "pid"
    with pytest.raises(HostFault, match=r"did not end within 2 s"):
        run_program(["sh", "-c", leaving(pid, how) + end], 2)
    assert not is_there(number(pid))


def test_nothing_of_one_that_fails_goes_on(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    with pytest.raises(HostFault, match="ended with 3: no room"):
        run_program(["sh", "-c", leaving(pid, "{child} &") + "echo no room >&2; exit 3"])
    assert not is_there(number(pid))


def test_a_daemon_that_holds_the_output_is_neither_waited_for_nor_killed(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    run_program(["sh", "-c", leaving(pid, "{child} &")], 30)
    assert is_there(number(pid))
    os.kill(number(pid), 9)
    assert gone(number(pid))


def test_of_much_that_is_printed_the_last_is_told() -> None:
    flood = "i=0; while [ $i -lt 20000 ]; do echo 0123456789; i=$((i+1)); done; echo last; exit 1"
    with pytest.raises(HostFault, match=r"0123456789\nlast$") as told:
        run_program(["sh", "-c", flood])
    assert len(str(told.value)) < 1000


def test_what_cannot_be_killed_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel ends a process only when the device that it waits for has answered."""
    wait, asked = subprocess.Popen.wait, []

    def never(process: subprocess.Popen[bytes], timeout: float | None = None) -> int:
        asked.append(process)
        if timeout is None:
            raise AssertionError("it would be waited for without an end")
        raise subprocess.TimeoutExpired("sleep", timeout)

    monkeypatch.setattr(subprocess.Popen, "wait", never)
    with pytest.raises(HostFault, match="sleep 60 cannot be killed: it waits for a device"):
        run_program(["sleep", "60"], 0.2)
    assert wait(asked[-1]) == -9


def test_an_answer_without_end_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lanekeeper.host.program._OUTPUT_BYTES", 4096)
    with pytest.raises(HostFault, match="printed more than 4 KiB"):
        ask(["sh", "-c", FLOOD])
    with pytest.raises(HostFault, match=r"did not end within 0\.2 s"):
        ask(["sleep", "60"], seconds=0.2)


def test_what_is_read_comes_back_whole() -> None:
    text = "0123456789" * 100_000
    assert ask(["cat"], text) == text
    assert ask(["sh", "-c", "exit 0"], text) == ""


def test_making_an_initramfs_may_take_longer() -> None:
    assert limit_s("update-initramfs") == limit_s("/usr/bin/dracut") > 300 == limit_s("devlink")
