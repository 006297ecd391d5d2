"""An operator's program that hangs, floods, fails, or leaves something behind."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from lanekeeper.domain.errors import HostFault
from lanekeeper.host.hook import run_hook

ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANEKEEPER_ADDRESS": "0000:41:10.3"}


def shell(script: str, timeout_s: float = 10.0) -> str:
    return run_hook(("/bin/sh", "-c", script), ENVIRONMENT, timeout_s)


def is_there(pid: int) -> bool:
    """Whether it runs; one that nobody has waited for yet does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def gone(pid: int) -> bool:
    end = time.monotonic() + 5
    while is_there(pid) and time.monotonic() < end:
        time.sleep(0.01)
    return not is_there(pid)


def test_it_has_its_arguments_and_a_clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "token")
    assert shell('echo "first"; echo "$LANEKEEPER_ADDRESS ${SECRET-unset} $(pwd)"') == (
        "0000:41:10.3 unset /"
    )
    assert run_hook(("/bin/echo", "a; b", "$HOME"), ENVIRONMENT, 5) == "a; b $HOME"
    assert shell("cat") == ""  # there is nothing to read


def test_a_failure_is_told_by_its_last_line() -> None:
    with pytest.raises(HostFault, match="/bin/sh failed with exit code 3: no such GPU"):
        shell("echo trying; echo no such GPU >&2; exit 3")
    with pytest.raises(HostFault, match="failed with exit code 1: it printed nothing"):
        shell("exit 1")
    with pytest.raises(HostFault, match="failed with signal 9"):
        shell("kill -9 $$")
    with pytest.raises(HostFault, match="/no/such could not be started: No such file"):
        run_hook(("/no/such",), ENVIRONMENT, 5)


@pytest.mark.parametrize("how", ["sleep 60", "exec >&- 2>&-; sleep 60", "trap '' TERM; sleep 60"])
def test_one_that_hangs_is_ended_in_time(how: str) -> None:
    began = time.monotonic()
    with pytest.raises(HostFault, match=r"did not end within 0\.3 s"):
        shell(how, 0.3)
    assert time.monotonic() - began < 5


def test_one_that_floods_is_ended() -> None:
    with pytest.raises(HostFault, match="printed more than 64 KiB"):
        shell("while :; do echo 0123456789012345678901234567890123456789; done")


@pytest.mark.parametrize("child", ["sleep 60 &", "setsid sleep 60 &", "(setsid sleep 60 &) "])
def test_what_it_leaves_behind_is_killed_and_not_waited_for(tmp_path: Path, child: str) -> None:
    began, pid = time.monotonic(), tmp_path / "pid"
    wrapped = child.replace("sleep 60", f"sh -c 'echo $$ >{pid}; exec sleep 60'")
    assert shell(f"{wrapped}\nwhile ! test -s {pid}; do sleep 0.01; done; echo done") == "done"
    assert time.monotonic() - began < 5
    assert gone(int(pid.read_text(encoding="utf-8")))
    assert is_there(os.getpid())
