"""What is taken back, or moved, never cuts a running guest off behind the operator's back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from host.cards import with_cards
from host.planted import OTHER_PF, SAMPLE_POLICY, snapshot
from lanekeeper.domain.errors import HostFault, Invalid
from lanekeeper.domain.hostplan.action import (
    AddBridge,
    AddPort,
    BindVf,
    Change,
    MovePort,
    RemoveBridge,
    RemovePort,
    SetAutoprobe,
    SetLink,
    SetVfCount,
    WriteFile,
)
from lanekeeper.domain.hostplan.step import Step
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.host import journal
from lanekeeper.host.actor import Actor
from lanekeeper.host.apply import Executor
from lanekeeper.host.facts import read_host
from lanekeeper.host.journal import Course
from lanekeeper.host.occupancy import Occupancy
from lanekeeper.host.policy_file import load_policy
from lanekeeper.host.proposal import Proposal
from lanekeeper.host.simulated import SimulatedMachine
from lanekeeper.host.tree import plant
from lanekeeper.main import main

HEALTHY = (Path(__file__).parent / "doctor/healthy.tree").read_text()
SWITCHED = Path(__file__).parent / "plans/connectx7-done"
CARD = "0000:e1:00.0"
GUEST = """<domstatus><domain><name>g1</name><devices><hostdev type='pci'><source>
<address domain='0x0000' bus='{bus:#x}' slot='{slot:#x}' function='{function:#x}'/>
</source></hostdev></devices></domain></domstatus>"""


def give(root: Path, vf: PciAddress) -> Path:
    """Have libvirt know that guest g1 has *vf*."""
    home = root / "run/libvirt/qemu"
    home.mkdir(parents=True, exist_ok=True)
    record = home / "g1.xml"
    record.write_text(GUEST.format(bus=vf.bus, slot=vf.slot, function=vf.function))
    return record


def call(root: Path, *arguments: str) -> int:
    return main(["host", *arguments, "--simulate", str(root)])


@pytest.fixture
def switched(tmp_path: Path) -> Path:
    """A ConnectX-7 in switchdev mode, whose PF and representors are ports of br-vf."""
    return plant(with_cards(HEALTHY, (SWITCHED / "host.txt").read_text()), tmp_path)


@pytest.mark.parametrize("to", [(), ("--to", "0")])
def test_a_rollback_that_would_cut_off_a_guest_begins_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], to: tuple[str, ...]
) -> None:
    assert call(tmp_path, "apply", "--policy", str(SAMPLE_POLICY)) == 0
    vf = SimulatedMachine(tmp_path).vf_addresses(OTHER_PF)[2]
    record = give(tmp_path, vf)
    before = snapshot(tmp_path, leave_out="run")
    capsys.readouterr()
    assert call(tmp_path, "rollback", *to) == 1
    said = capsys.readouterr()
    assert f"error: nothing was taken back: this would cut off {vf} (guest g1)\n" in said.err
    assert "hint: stop that guest, or migrate it away, then roll back again" in said.err
    assert snapshot(tmp_path, leave_out="run") == before
    assert journal.journals(tmp_path / journal.DIRECTORY)[0].course is Course.APPLIED
    record.unlink()
    assert call(tmp_path, "rollback", *to) == 0


def test_a_dry_run_of_a_rollback_names_the_guest_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(tmp_path, "apply", "--policy", str(SAMPLE_POLICY)) == 0
    vf = SimulatedMachine(tmp_path).vf_addresses(OTHER_PF)[2]
    record = give(tmp_path, vf)
    capsys.readouterr()
    assert call(tmp_path, "rollback", "--dry-run") == 1
    said = capsys.readouterr().out
    assert f"remove VFs of {OTHER_PF}" in said
    assert f"refused: this would cut off {vf} (guest g1)" in said
    assert call(tmp_path, "rollback", "--dry-run", "--json") == 1
    assert json.loads(capsys.readouterr().out)["cut_off"] == [f"{vf} (guest g1)"]
    record.unlink()
    assert call(tmp_path, "rollback", "--dry-run", "--json") == 0
    assert json.loads(capsys.readouterr().out)["cut_off"] == []


def test_a_rollback_of_what_no_card_has_to_do_with_goes_on(tmp_path: Path) -> None:
    assert call(tmp_path, "apply", "--policy", str(SAMPLE_POLICY)) == 0
    give(tmp_path, SimulatedMachine(tmp_path).vf_addresses(OTHER_PF)[2])
    more = tmp_path / "more.yaml"
    more.write_text(SAMPLE_POLICY.read_text().replace("iommu=pt", "iommu=pt, quiet"))
    assert more.read_text() != SAMPLE_POLICY.read_text()
    assert call(tmp_path, "apply", "--policy", str(more)) == 0
    assert call(tmp_path, "rollback") == 0
    assert call(tmp_path, "rollback") == 1


@pytest.mark.parametrize(
    ("undo", "is_cut"),
    [
        (SetVfCount(CARD, 0), True),
        (SetLink(CARD, up=False), True),
        (RemovePort("br-vf", CARD), True),
        (RemovePort("br-vf", CARD, 1), True),
        (RemoveBridge("br-vf"), True),
        (BindVf(CARD, 1, "mlx5_core"), True),
        (AddPort("br-vf", CARD, 1), True),
        (RemovePort("br-vf", CARD, 0), False),
        (RemoveBridge("br-ex"), False),
        (SetAutoprobe(CARD, enabled=True), False),
        (SetLink("0000:21:00.0", up=False), False),
        (SetVfCount("0000:ff:00.0", 0), False),
        (WriteFile("etc/x", "y"), False),
    ],
)
def test_what_touches_a_guest(switched: Path, undo: Change, is_cut: bool) -> None:
    """Its own function and representor, or what all of the card's go through."""
    machine = SimulatedMachine(switched)
    vf = machine.vf_addresses(PciAddress.parse(CARD))[1]
    give(switched, vf)
    found = Occupancy(switched, machine).cut_off([(SetVfCount(CARD, 2), undo)])
    assert found == ((f"{vf} (guest g1)",) if is_cut else ())


def test_a_bridge_that_is_not_known_keeps_nobody_from_going_back(switched: Path) -> None:
    machine = SimulatedMachine(switched)
    give(switched, machine.vf_addresses(PciAddress.parse(CARD))[1])
    (switched / "captured/ovs-show").unlink()
    undo = RemoveBridge("br-vf")
    assert Occupancy(switched, machine).cut_off([(SetVfCount(CARD, 2), undo)]) == ()


def test_a_failed_apply_still_goes_back_beside_a_guest(tmp_path: Path) -> None:
    """It takes back only what it did itself."""
    assert call(tmp_path, "apply", "--policy", str(SAMPLE_POLICY)) == 0
    machine = SimulatedMachine(tmp_path)
    give(tmp_path, machine.vf_addresses(OTHER_PF)[2])
    before = snapshot(tmp_path)
    steps = (
        Step(SetLink(str(OTHER_PF), up=False), (SetLink(str(OTHER_PF), up=True),), "test"),
        Step(WriteFile("etc/none/x", "y"), (), "test"),
    )
    actor = Actor(tmp_path, machine, machine.run)
    guard = Occupancy(tmp_path, machine)
    executor = Executor(actor, tmp_path / journal.DIRECTORY, guard=guard)
    outcome = executor.apply(lambda: Proposal(steps))
    assert outcome is not None
    assert (outcome.course, outcome.left) == (Course.TAKEN_BACK, ())
    assert snapshot(tmp_path) == before


def policy(root: Path, bridge: str, allow: str = "") -> tuple[str, str]:
    file = root.parent / f"{root.name}-{bridge}.yaml"
    text = (SWITCHED / "policy.yaml").read_text()
    entry = text.replace("ovs_bridge: br-vf", f"ovs_bridge: {bridge}{allow}")
    file.write_text(entry)
    return "--policy", str(file)


def ports(root: Path) -> dict[str, set[str]]:
    found = read_host(root).offload.ovs
    return {} if found is None else {name: {*of} for name, of in found.bridges.items()}


MINE = {"enp225s0np0", "enp225s0npf0vf0", "enp225s0npf0vf1"}


def test_ports_move_to_another_bridge_and_back(
    switched: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A real ovs-vsctl adds no port that another bridge has."""
    before = ports(switched)
    assert call(switched, "apply", *policy(switched, "br-other")) == 0
    assert ports(switched)["br-other"] == {"br-other", *MINE}
    assert ports(switched)["br-vf"] == before["br-vf"] - MINE
    assert call(switched, "plan", *policy(switched, "br-other")) == 0
    capsys.readouterr()
    assert call(switched, "rollback") == 0
    assert ports(switched) == before


def test_a_move_can_be_done_twice_and_without_the_vf(switched: Path) -> None:
    machine = SimulatedMachine(switched)
    actor = Actor(switched, machine, machine.run)
    actor.do(AddBridge("br-other"))
    there = MovePort("br-vf", "br-other", "enp225s0npf0vf1", CARD, 1)
    back = MovePort("br-other", "br-vf", "enp225s0npf0vf1", CARD, 1)
    before = ports(switched)
    for _ in range(2):
        actor.do(there)
        assert ports(switched)["br-other"] == {"br-other", "enp225s0npf0vf1"}
    for driver in ("mlx5_core", "mlx5_vfio_pci"):
        (switched / "sys/bus/pci/drivers" / driver).mkdir(parents=True)
    machine.create_vfs(PciAddress.parse(CARD), 0)
    for _ in range(2):
        actor.do(back)
        assert ports(switched) == before


def test_a_representor_that_comes_back_leaves_the_bridge_that_remembers_it(switched: Path) -> None:
    """No plan knows that: before the VF is there, nothing tells the name of its representor."""
    machine = SimulatedMachine(switched)
    actor = Actor(switched, machine, machine.run)
    before = ports(switched)
    actor.do(AddBridge("br-other"))
    for _ in range(2):
        actor.do(AddPort("br-other", CARD, 1))
        assert ports(switched)["br-other"] == {"br-other", "enp225s0npf0vf1"}
        assert ports(switched)["br-vf"] == before["br-vf"] - {"enp225s0npf0vf1"}


def test_a_simulated_switch_refuses_what_a_real_one_does(switched: Path) -> None:
    machine = SimulatedMachine(switched)
    actor = Actor(switched, machine, machine.run)
    with pytest.raises(HostFault, match="no bridge named br-other"):
        actor.do(AddPort("br-other", CARD, 1))
    actor.do(AddBridge("br-other"))
    with pytest.raises(HostFault, match="is actually attached to bridge br-vf"):
        actor.do(AddPort("br-other", CARD))
    with pytest.raises(HostFault, match="bridge br-other does not have a port"):
        actor.do(RemovePort("br-other", CARD, 1))


def test_ports_of_guests_do_not_move_unless_that_is_allowed(
    switched: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vf = SimulatedMachine(switched).vf_addresses(PciAddress.parse(CARD))[1]
    give(switched, vf)
    before = ports(switched)
    for verb in ("plan", "apply"):
        assert call(switched, verb, *policy(switched, "br-other")) == 1
        said = capsys.readouterr().out
        assert f"ports that move to bridge br-other are of guests: {vf} (guest g1)" in said
        assert "(vfs-in-use)" in said
        assert "allow: [guests] cuts them off" in said
    assert ports(switched) == before
    allowed = policy(switched, "br-other", ", allow: [guests]")
    assert call(switched, "plan", *allowed, "--json") == 1
    steps = json.loads(capsys.readouterr().out)["steps"]
    touched = {each["do"].get("index"): each for each in steps if each["do"]["type"] == "MovePort"}
    assert {index: each["affects"] for index, each in touched.items()} == {
        None: [f"{vf} (guest g1)"],
        0: [],
        1: [f"{vf} (guest g1)"],
    }
    assert {each["impact"] for each in touched.values()} == {
        "no frame passes until the new bridge has the port"
    }
    assert call(switched, "apply", *allowed) == 0
    assert ports(switched)["br-other"] == {"br-other", *MINE}
    assert call(switched, "rollback") == 1
    assert ports(switched)["br-other"] == {"br-other", *MINE}


def test_guests_keep_no_port_that_stays(switched: Path) -> None:
    give(switched, SimulatedMachine(switched).vf_addresses(PciAddress.parse(CARD))[1])
    assert call(switched, "plan", *policy(switched, "br-vf")) == 0


def test_what_a_pf_may_do_to_others_is_one_word(tmp_path: Path) -> None:
    text = 'version: 1\npfs:\n  - {pf: "0000:21:00.0", vfs: 1, allow: [guest]}\n'
    with pytest.raises(Invalid, match=r"pfs\[0\].allow\[0\]: is 'guest'") as caught:
        load_policy(text, "p")
    assert "any of guests" in str(caught.value.hint)
