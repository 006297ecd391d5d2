import json
from pathlib import Path

import pytest

from agent.orders_of import PF, POLICY, cleaning, vf
from lanekeeper.agent.cleaning import Cleaner
from lanekeeper.agent.driver_record import DriverRecord, Function, function_of
from lanekeeper.agent.observe import view
from lanekeeper.clock import monotonic
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.host.simulated import SimulatedMachine, plant_lab
from lanekeeper.host.simulated_bus import insert_card
from lanekeeper.hypervisor.simulated import SimulatedHypervisor

VF = PciAddress.parse(vf(0).address)
IDS, OLD, NEW = "8086:10ca", "00-1b-21-ff-ff-aa-01-01", "00-1b-21-ff-ff-aa-01-02"
MINE = Function(VF, IDS, OLD)


@pytest.fixture
def record(tmp_path: Path) -> DriverRecord:
    return DriverRecord(tmp_path / "drivers.json")


def driver(record: DriverRecord, function: Function) -> str | None:
    noted = record.driver(function)
    return noted.driver if noted else "nothing is noted"


@pytest.mark.parametrize(
    ("there", "counts"),
    [
        (MINE, True),
        (Function(VF, IDS, None), True),  # it does not tell today
        (Function(VF, IDS, NEW), False),
        (Function(VF, "15b3:1018", OLD), False),
        (Function(VF, "15b3:1018", None), False),
        (Function(PciAddress.parse(vf(1).address), IDS, OLD), False),
    ],
)
def test_a_note_counts_for_the_card_that_it_was_made_for(
    record: DriverRecord, there: Function, counts: bool
) -> None:
    record.remember({MINE: "igbvf"})
    assert driver(record, there) == ("igbvf" if counts else "nothing is noted")
    record.remember({there: "another"})
    assert driver(record, there) == ("igbvf" if counts else "another")


def test_another_card_that_has_its_driver_does_not_close_the_note(record: DriverRecord) -> None:
    record.remember({MINE: "igbvf"})
    record.give_back(Function(VF, IDS, NEW))
    noted = record.driver(MINE)
    assert noted is not None
    assert not noted.is_back


def test_a_note_of_an_older_agent_names_no_card_and_counts(tmp_path: Path) -> None:
    path = tmp_path / "drivers.json"
    path.write_text(json.dumps({str(VF): {"driver": "igbvf"}}))
    record = DriverRecord(path)
    assert driver(record, MINE) == "igbvf"
    record.give_back(MINE)
    assert json.loads(path.read_text())[str(VF)] == {
        "driver": "igbvf",
        "is_back": True,
        "ids": IDS,
        "serial": OLD,
    }


def test_a_card_in_place_of_another_does_not_get_the_others_driver(
    record: DriverRecord, tmp_path: Path
) -> None:
    root = plant_lab(tmp_path / "machine")
    insert_card(root, PciAddress.parse(PF), OLD)
    machine = SimulatedMachine(root)
    record.remember({function_of(machine, machine.device(VF)): "igbvf"})
    insert_card(root, PciAddress.parse(PF), NEW)
    machine = SimulatedMachine(root)
    machine.bind(VF, "vfio-pci")
    hypervisor = SimulatedHypervisor(tmp_path / "guests.json", machine)
    seen = view(machine.scan(), POLICY, frozenset())
    Cleaner(machine, hypervisor, record, monotonic).clean(cleaning(vf(0)), seen)
    assert machine.device(VF).driver is None
