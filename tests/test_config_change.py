from pathlib import Path

import pytest

from lanekeeper.config import Config, load
from lanekeeper.config.change import AGENT, CONTROLLER, PLACEMENT, UP, Program, change
from lanekeeper.config.names import options

NEW = """[pci]
device_spec = {"vendor_id": "8086"}
alias = {"name": "a1", "vendor_id": "8086", "product_id": "10ca"}
[sriov_nic]
physical_device_mappings = physnet1:eth0
[filter_scheduler]
enabled_filters = ComputeFilter
[image_cache]
manager_interval = 7
[lanekeeper]
listen = 127.0.0.1:1
cleaning_timeout_s = 7
[cors]
allowed_origin = https://horizon.example
"""
OF_AGENT = {
    "[pci] device_spec",
    "[sriov_nic] physical_device_mappings",
    "[image_cache] manager_interval",
    "[lanekeeper] cleaning_timeout_s",
}
OF_CONTROLLER = {"[pci] alias", "[filter_scheduler] enabled_filters"}


@pytest.mark.parametrize(
    ("program", "taken", "kept"),
    [
        (CONTROLLER, OF_CONTROLLER, {"[lanekeeper] listen"}),
        (AGENT, OF_AGENT, set()),
        (UP, OF_CONTROLLER | OF_AGENT, {"[lanekeeper] listen"}),
        (PLACEMENT, set(), {"[cors] allowed_origin"}),
    ],
    ids=lambda value: value.name if isinstance(value, Program) else "",
)
def test_a_program_takes_over_what_it_reads(
    program: Program, taken: set[str], kept: set[str], tmp_path: Path
) -> None:
    path = tmp_path / "nova.conf"
    path.write_text(NEW)
    found = change(Config(), load([path]).config, program)
    assert (set(found.taken), set(found.kept)) == (taken, kept)
    again = change(found.config, load([path]).config, program)
    assert (again.taken, set(again.kept)) == ((), kept)


def test_every_option_has_a_reader_and_up_reads_what_both_its_halves_do() -> None:
    for part, name in options():
        readers = [one for one in (CONTROLLER, AGENT, PLACEMENT) if one.reads(part, name)]
        assert readers, (part, name)
        assert UP.reads(part, name) == any(one is not PLACEMENT for one in readers)
