"""``max_vfs`` of an operator's file: taken out for the policy's counts, and given back."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from host.boot.distribution import DEBIAN, RED_HAT_7, SYSTEMD_BOOT
from host.carry import apply, rollback
from host.planted import simulated, snapshot
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.hostplan.action import UpdateBootLoader
from lanekeeper.domain.hostplan.boot_loader import argument_holds
from lanekeeper.domain.hostplan.choice import choose
from lanekeeper.domain.hostplan.findings.check import check
from lanekeeper.domain.hostplan.plan import plan
from lanekeeper.domain.hostplan.steps.max_vfs import max_vfs_of_image, overruling_arguments
from lanekeeper.host import journal
from lanekeeper.host.actor import Actor
from lanekeeper.host.facts import read_host
from lanekeeper.host.policy_file import load_policy
from lanekeeper.host.simulated import SimulatedMachine
from lanekeeper.host.survey import read_survey
from lanekeeper.host.tree import plant

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
        (
            "options igb \\\n  max_vfs=7\nblacklist x\n",
            f"{NOTE}# options igb \\\n#   max_vfs=7\nblacklist x\n",
        ),
        (
            "options igb RSS=1 \\\nmax_\\\nvfs=7",
            f"{NOTE}# options igb RSS=1 \\\n# max_\\\n# vfs=7\noptions igb RSS=1\n",
        ),
        (
            "options igb max_vfs=7\n# between\noptions igb max_vfs=7\noptions igb max_vfs=2\n",
            f"{NOTE}# options igb max_vfs=7\n# between\n{NOTE}# options igb max_vfs=7\n"
            f"{NOTE}# options igb max_vfs=2\n",
        ),
        (
            "options igb max_vfs=7\noptions igb max_vfs=7",
            f"{NOTE}# options igb max_vfs=7\n{NOTE}# options igb max_vfs=7\n",
        ),
        (
            "options igb max_vfs=7\noptions igb max_vfs=2\n" * 2,
            f"{NOTE}# options igb max_vfs=7\n{NOTE}# options igb max_vfs=2\n" * 2,
        ),
        (
            "options igb max_vfs=7\noptions igb max_vfs=2\n# last\noptions igb max_vfs=7\n",
            f"{NOTE}# options igb max_vfs=7\n{NOTE}# options igb max_vfs=2\n# last\n"
            f"{NOTE}# options igb max_vfs=7\n",
        ),
        ("# mine \\\noptions igb max_vfs=7\n", "# mine \\\noptions igb max_vfs=7\n"),
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


ARGUMENTS = "quiet igb.max_vfs=7 ro"
LOADERS = {"drop-ins": DEBIAN, "settings": RED_HAT_7, "entry files": SYSTEMD_BOOT}


def _with_argument(root: Path, tree: str) -> SimulatedMachine:
    machine = simulated(root)
    for name in ("etc/default", "boot", "usr/sbin", "etc/grub.d"):
        shutil.rmtree(root / name, ignore_errors=True)
    plant(tree.replace(" .\n", " = \n").replace("iommu=nopt", "igb.max_vfs=7"), root)
    if tree == DEBIAN:
        grub = root / "etc/default/grub"
        grub.write_text('GRUB_CMDLINE_LINUX="igb.max_vfs=7 ixgbe.max_vfs=3"\n')
    (root / "proc/cmdline").write_text(f"{ARGUMENTS}\n")
    return machine


@pytest.mark.parametrize("loader", sorted(LOADERS))
def test_on_the_kernel_command_line_it_is_overruled(tmp_path: Path, loader: str) -> None:
    machine = _with_argument(tmp_path, LOADERS[loader])
    ran: list[str] = []

    def run(command: Sequence[str]) -> None:
        ran.append(command[0])
        if "mkconfig" not in command[0]:
            machine.run(command)

    policy, actor = load_policy(POLICY, "p"), Actor(tmp_path, machine, run)
    before, found = snapshot(tmp_path), plan(policy, read_host(tmp_path))
    assert found.refusals == ()
    why = "igb.max_vfs=0 behind it overrules it, and the policy's counts hold instead"
    made = "igb.max_vfs=7 makes VFs on every card of the driver at boot"
    assert f"{made}; {why}" in found.pending
    apply(found.steps, actor, tmp_path / journal.DIRECTORY)
    facts = read_host(tmp_path)
    assert argument_holds("igb.max_vfs=0", facts.configured_cmdline or ())
    again = plan(policy, facts)
    # The stand-ins make no menu, so that a plan would have it made once more.
    assert [s for s in again.steps if not isinstance(s.do, UpdateBootLoader)] == []
    rollback(actor, tmp_path / journal.DIRECTORY)
    left = ("sys/module", "simulated")
    assert {k: v for k, v in snapshot(tmp_path).items() if not k.startswith(left)} == {
        k: v for k, v in before.items() if not k.startswith(left)
    }


@pytest.mark.parametrize(("words", "shown"), [("=0 igb.max_vfs=7", 1), ("=7 igb.max_vfs=0", 0)])
def test_the_last_word_is_what_the_doctor_judges(tmp_path: Path, words: str, shown: int) -> None:
    simulated(tmp_path)
    (tmp_path / "proc/cmdline").write_text(f"quiet igb.max_vfs{words}\n")
    found = [each.id for each in check(read_survey(tmp_path)) if "max-vfs" in each.id]
    assert found == ["max-vfs-option"] * shown


@pytest.mark.parametrize(
    ("counts", "each", "too_many"), [("3", [3, 3], 0), ("9", [7, 7], 2), ("0,2", [2], 0)]
)
def test_one_number_is_for_every_card_of_the_driver(
    tmp_path: Path, counts: str, each: list[int], too_many: int
) -> None:
    simulated(tmp_path)
    (tmp_path / "proc/cmdline").write_text(f"quiet igb.max_vfs={counts}\n")
    found = check(read_survey(tmp_path))
    (option,) = [one for one in found if one.id == "max-vfs-option"]
    assert [int(n) for n in re.findall(r"vfs: (\d+)", option.fix)] == each
    assert [one.id for one in found].count("max-vfs-too-many") == too_many


def test_only_counts_of_the_policys_drivers_are_overruled(tmp_path: Path) -> None:
    _with_argument(tmp_path, DEBIAN)
    facts = read_host(tmp_path)
    chosen = choose(load_policy(POLICY, "p"), facts).pfs
    assert overruling_arguments(load_policy(POLICY, "p"), facts, chosen) == ("igb.max_vfs=0",)
    loose = load_policy(f"{POLICY}persist: false\n", "p")
    assert overruling_arguments(loose, facts, chosen) == ()


def test_without_a_known_boot_loader_it_is_the_operators_to_take_out(tmp_path: Path) -> None:
    _with_argument(tmp_path, DEBIAN)
    (tmp_path / "etc/default/grub").unlink()
    (tmp_path / "etc/default/grub.d/50-cloud.cfg").unlink()
    found = plan(load_policy(POLICY, "p"), read_host(tmp_path))
    assert found.refusals == ()
    assert any("take it out of the kernel command line" in each for each in found.pending)


def test_a_policy_cannot_ask_for_it() -> None:
    for argument in ("igb.max_vfs=7", "ixgbe.max_vfs=0,7"):
        with pytest.raises(Invalid, match="max_vfs is no way to create VFs"):
            load_policy(f'version: 1\nkernel_arguments: ["{argument}"]\n', "p")
    assert load_policy("version: 1\nkernel_arguments: [igb.max_vfs=0]\n", "p").kernel_arguments


def test_an_image_has_it_on_a_continued_line_too(tmp_path: Path) -> None:
    simulated(tmp_path)
    file = tmp_path / "etc/modprobe.d/igb.conf"
    file.parent.mkdir(exist_ok=True)
    file.write_text("# one\noptions igb \\\n max_vfs=7\n")
    (said,) = max_vfs_of_image(read_host(tmp_path))
    assert said == "/etc/modprobe.d/igb.conf:2: options igb max_vfs=7"


@pytest.mark.parametrize(
    "line", ["options igb max_vfs=7\n", "options igb RSS=1 \\\n  max_vfs=7\n# options of mine\n"]
)
def test_a_policy_that_is_not_kept_gives_the_line_back(tmp_path: Path, line: str) -> None:
    machine = simulated(tmp_path)
    file = tmp_path / "etc/modprobe.d/igb.conf"
    file.parent.mkdir(exist_ok=True)
    file.write_text(line)
    actor, changes = Actor(tmp_path, machine, machine.run), tmp_path / journal.DIRECTORY
    apply(plan(load_policy(POLICY, "p"), read_host(tmp_path)).steps, actor, changes)
    commented = file.read_text()
    passing = load_policy(f"{POLICY}persist: false\n", "p")
    apply(plan(passing, read_host(tmp_path)).steps, actor, changes)
    assert file.read_text() == line
    assert plan(passing, read_host(tmp_path)).is_empty
    rollback(actor, changes)
    assert file.read_text() == commented
    edited = commented.replace("max_vfs=7", "max_vfs=5")
    file.write_text(edited.replace("options igb RSS=1\n", "options igb RSS=4\n"))
    steps = plan(passing, read_host(tmp_path)).steps
    was_changed = "RSS" in line  # what stood beside it was edited
    assert was_changed != any("igb.conf" in str(step.do) for step in steps)


def test_equal_lines_come_back_where_the_policy_is_not_kept(tmp_path: Path) -> None:
    machine = simulated(tmp_path)
    file = tmp_path / "etc/modprobe.d/igb.conf"
    file.parent.mkdir(exist_ok=True)
    before = "options igb max_vfs=7\n# between\noptions igb max_vfs=7\n"
    file.write_text(before)
    actor, changes = Actor(tmp_path, machine, machine.run), tmp_path / journal.DIRECTORY
    for text in (POLICY, POLICY + "persist: false\n"):
        policy = load_policy(text, "p")
        outcome = apply(plan(policy, read_host(tmp_path)).steps, actor, changes)
        assert outcome is not None
        assert outcome.failure == ""
    assert file.read_text() == before


def test_a_line_that_is_written_once_more_goes_too(tmp_path: Path) -> None:
    """The first one, commented out, stands there still."""
    machine = simulated(tmp_path)
    file = tmp_path / "etc/modprobe.d/igb.conf"
    file.parent.mkdir(exist_ok=True)
    file.write_text("options igb max_vfs=7\n")
    actor, changes = Actor(tmp_path, machine, machine.run), tmp_path / journal.DIRECTORY
    policy = load_policy(POLICY, "p")
    apply(plan(policy, read_host(tmp_path)).steps, actor, changes)
    again = file.read_text() + "# again\noptions igb max_vfs=7\n"
    file.write_text(again)
    apply(plan(policy, read_host(tmp_path)).steps, actor, changes)
    commented = f"{NOTE}# options igb max_vfs=7\n"
    assert file.read_text() == f"{commented}# again\n{commented}"
    assert plan(policy, read_host(tmp_path)).is_empty
    rollback(actor, changes)
    assert file.read_text() == again
