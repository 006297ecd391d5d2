"""``max_vfs`` of an operator's file: taken out for the policy's counts, and given back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from host.carry import apply, rollback
from host.planted import simulated, snapshot
from lanekeeper.domain.hostplan.plan import plan
from lanekeeper.host import journal
from lanekeeper.host.actor import Actor
from lanekeeper.host.facts import read_host
from lanekeeper.host.policy_file import load_policy

POLICY = 'version: 1\npfs:\n  - {pf: "0000:21:00.0", vfs: 3}\n'
NOTE = "# Written by `lanekeeper host apply`; `lanekeeper host rollback` takes it back.\n"


@pytest.mark.parametrize("tool", ["usr/sbin/update-initramfs", "usr/bin/dracut"])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("options igb max_vfs=7\n", f"{NOTE}# options igb max_vfs=7\n"),
        ("options igb max_vfs=7", f"{NOTE}# options igb max_vfs=7\n"),
        (
            "# mine\noptions igb RSS=1 max_vfs=7,7\nblacklist x\n",
            f"# mine\n{NOTE}# options igb RSS=1 max_vfs=7,7\noptions igb RSS=1\nblacklist x\n",
        ),
        ("options ixgbe max_vfs=7\n", "options ixgbe max_vfs=7\n"),
        ("# options igb max_vfs=7\n", "# options igb max_vfs=7\n"),
    ],
)
def test_the_line_is_commented_out_and_comes_back(
    tmp_path: Path, tool: str, before: str, after: str
) -> None:
    ran: list[str] = []
    machine = simulated(tmp_path)
    file = tmp_path / "etc/modprobe.d/igb.conf"
    file.parent.mkdir(exist_ok=True)
    file.write_text(before)
    file.chmod(0o600)
    (tmp_path / tool).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / tool).touch()

    def run(command: Sequence[str]) -> None:
        ran.append(command[0])
        if command[0] not in tool:
            machine.run(command)

    state = snapshot(tmp_path)
    policy, actor = load_policy(POLICY, "p"), Actor(tmp_path, machine, run)
    apply(plan(policy, read_host(tmp_path)).steps, actor, tmp_path / journal.DIRECTORY)
    assert file.read_text() == after
    assert file.stat().st_mode & 0o777 == 0o600
    assert (tool.rpartition("/")[2] in ran) == (before != after)
    assert plan(policy, read_host(tmp_path)).is_empty
    rollback(actor, tmp_path / journal.DIRECTORY)
    changed = {k for k, v in snapshot(tmp_path).items() if state.get(k) != v}
    assert not {name for name in changed if not name.startswith(("sys/module", "simulated"))}
