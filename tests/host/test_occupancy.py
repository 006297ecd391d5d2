"""What guests got between plan and step stays theirs; what others changed is planned for anew."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from host.planted import OTHER_PF, PF, simulated
from lanekeeper.domain.errors import Conflict
from lanekeeper.domain.hostplan.action import BindVf, Change, SetVfCount
from lanekeeper.domain.hostplan.plan import plan
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.host import journal
from lanekeeper.host.actor import Actor
from lanekeeper.host.apply import Executor
from lanekeeper.host.facts import read_host
from lanekeeper.host.journal import Course
from lanekeeper.host.occupancy import Occupancy
from lanekeeper.host.policy_file import load_policy
from lanekeeper.host.proposal import Hold, Proposal
from lanekeeper.host.simulated import SimulatedMachine

GUEST = """<domstatus><domain><name>web-1</name><devices><hostdev type='pci'><source>
<address domain='0x0000' bus='{bus:#x}' slot='{slot:#x}' function='{function:#x}'/>
</source></hostdev></devices></domain></domstatus>"""


class Watched(Occupancy):
    """Calls *before* right before each action."""

    def __init__(
        self, root: Path, machine: SimulatedMachine, before: Callable[[Change], None]
    ) -> None:
        super().__init__(root, machine)
        self._before = before

    def require_free(self, action: Change, made_here: bool) -> None:
        self._before(action)
        super().require_free(action, made_here)


class World:
    """A machine with five VFs of PF, and what is applied to it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.machine = simulated(root)
        self.machine.create_vfs(PF, 5)
        self.changes = root / journal.DIRECTORY

    def executor(self, before: Callable[[Change], None] = lambda _: None) -> Executor:
        actor = Actor(self.root, self.machine, self.machine.run)
        return Executor(actor, self.changes, guard=Watched(self.root, self.machine, before))

    def proposal(self, vfs: int, driver: str = "none") -> Proposal:
        pf = f'{{pf: "{PF}", vfs: {vfs}, vf_driver: {driver}}}'
        policy = load_policy(f"version: 1\npfs:\n  - {pf}\npersist: false\n", "p")
        return Proposal(plan(policy, read_host(self.root)).steps, policy.text)

    def vfs(self) -> list[PciAddress]:
        return [*self.machine.vf_addresses(PF).values()]

    def drivers(self) -> list[str | None]:
        return [self.machine.device(vf).driver for vf in self.vfs()]

    def to_guest(self, index: int) -> PciAddress:
        vf = self.vfs()[index]
        self.machine.run(["modprobe", "vfio-pci"])
        self.machine.bind(vf, "vfio-pci")
        return vf

    def record(self, vf: PciAddress) -> None:
        """Have libvirt know that a guest has it."""
        home = self.root / "run/libvirt/qemu"
        home.mkdir(parents=True, exist_ok=True)
        text = GUEST.format(bus=vf.bus, slot=vf.slot, function=vf.function)
        (home / "web-1.xml").write_text(text)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.mark.parametrize("first", [BindVf, SetVfCount])
def test_a_vf_that_a_guest_gets_before_a_step_stays_and_the_rest_comes_back(
    world: World, first: type[Change]
) -> None:
    """Before it was to lose its driver, and after."""
    before = world.drivers()
    given: list[PciAddress] = []

    def agent(action: Change) -> None:
        if isinstance(action, first) and not given:
            given.append(world.to_guest(4))

    outcome = world.executor(agent).apply(lambda: world.proposal(3))
    assert outcome is not None
    assert outcome.course is Course.TAKEN_BACK
    assert f"{given[0]} is on vfio-pci since the plan was made" in outcome.failure
    assert world.drivers() == [*before[:4], "vfio-pci"]


def test_a_record_that_is_no_xml_keeps_only_what_could_be_its_guests(world: World) -> None:
    vf = world.to_guest(4)
    home = world.root / "run/libvirt/qemu"
    home.mkdir(parents=True)
    (home / "web-1.xml").write_text("<domstatus>")
    pf = f'{{pf: "{OTHER_PF}", vfs: 2}}'
    policy = load_policy(f"version: 1\npfs:\n  - {pf}\npersist: false\n", "p")
    found = plan(policy, read_host(world.root))
    (caution,) = [each for each in found.warnings if each.code == "host-part-unreadable"]
    assert "/run/libvirt/qemu/web-1.xml is no XML" in caution.reason
    assert "counts as that guest's" in caution.fix
    outcome = world.executor().apply(lambda: Proposal(found.steps, policy.text))
    assert outcome is not None
    assert outcome.course is Course.APPLIED
    assert world.machine.device(OTHER_PF).num_vfs == 2
    pf = f'{{pf: "{PF}", vfs: 3}}'
    policy = load_policy(f"version: 1\npfs:\n  - {pf}\npersist: false\n", "p")
    (refusal,) = plan(policy, read_host(world.root)).refusals
    assert (refusal.code, str(vf) in refusal.reason) == ("vfs-in-use", True)


def test_a_vf_given_before_the_lock_is_planned_for(world: World) -> None:
    """What was shown before is not what is done."""
    assert world.proposal(3).steps
    world.to_guest(4)
    assert world.executor().apply(lambda: world.proposal(3)) is None
    assert len(world.vfs()) == 5
    assert not journal.journals(world.changes)


def test_of_two_at_once_the_second_plans_from_what_the_first_left(world: World) -> None:
    assert world.proposal(2).steps  # made from five VFs, as the second would have
    before = world.drivers()
    assert world.executor().apply(lambda: world.proposal(3)) is not None
    assert world.executor().apply(lambda: world.proposal(2)) is not None
    undo = [each for step in journal.journals(world.changes)[-1].steps for each in step.undo]
    assert SetVfCount(str(PF), 3) in undo
    assert len(world.vfs()) == 2
    world.executor().rollback()
    assert len(world.vfs()) == 3
    world.executor().rollback()
    assert world.drivers() == before


def test_nobody_else_applies_while_one_plans(world: World) -> None:
    refused: list[str] = []

    def other() -> None:
        with pytest.raises(Conflict) as error:
            replace(world.executor(), patience_s=0.0).apply(lambda: world.proposal(2))
        refused.append(str(error.value))

    def propose() -> Proposal:
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        return world.proposal(3)

    assert world.executor().apply(propose) is not None
    assert len(refused) == 1
    assert len(world.vfs()) == 3


def test_what_changes_while_the_guardian_starts_ends_it_before_the_first_step(
    world: World,
) -> None:
    before = world.drivers()

    def watch(_: int) -> None:
        world.to_guest(4)

    def propose() -> Proposal:
        found = world.proposal(3)
        return Proposal(found.steps, found.policy, Hold(60, watch))

    with pytest.raises(Conflict, match="became another one"):
        world.executor().apply(propose)
    assert world.drivers() == [*before[:4], "vfio-pci"]
    assert [each.course for each in journal.journals(world.changes)] == [Course.TAKEN_BACK]


def test_nothing_is_begun_over_a_change_that_is_not_finished(world: World) -> None:
    def dies(action: Change) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        world.executor(dies).apply(lambda: world.proposal(3))
    with pytest.raises(Conflict, match="change 1 is not finished but forward"):
        world.executor().apply(lambda: world.proposal(2))
    assert len(journal.journals(world.changes)) == 1


def _given(world: World, action: Change) -> None:
    if isinstance(action, SetVfCount):
        world.record(world.vfs()[1])


def test_going_back_takes_no_vf_that_a_guest_gets_meanwhile(world: World) -> None:
    """Those that the change itself gave to vfio-pci go, as long as nobody has them."""
    world.machine.create_vfs(PF, 0)
    world.machine.run(["modprobe", "vfio-pci"])
    assert world.executor().apply(lambda: world.proposal(3, "vfio-pci")) is not None
    vf = world.vfs()[1]
    (outcome,) = world.executor(partial(_given, world)).rollback()
    assert outcome.course is Course.BACK
    assert any(f"{vf} is in use by guest web-1" in text for text in outcome.left)
    assert len(world.vfs()) == 3
    with pytest.raises(Conflict, match=f"nothing was taken back.*{vf} .guest web-1."):
        world.executor().rollback()
    (world.root / "run/libvirt/qemu/web-1.xml").unlink()
    (outcome,) = world.executor().rollback()
    assert (outcome.course, world.vfs()) == (Course.TAKEN_BACK, [])
