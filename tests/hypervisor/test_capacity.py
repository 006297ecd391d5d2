import pytest

from lanekeeper.hypervisor.libvirt.capacity import can_pair, parse_cells
from lanekeeper.protocol import NumaCell

CAPABILITIES = """<capabilities><host><topology><cells num='2'>
<cell id='1'><memory unit='KiB'>2097152</memory><cpus><cpu id='1' socket_id='1'/></cpus></cell>
<cell id='0'><memory unit='KiB'>1048576</memory><cpus><cpu id='2'/><cpu id='0'/></cpus></cell>
</cells></topology></host></capabilities>"""


def test_cells_come_in_node_order_with_their_cpus() -> None:
    assert parse_cells(CAPABILITIES) == (
        NumaCell(id=0, cpus=[0, 2], memory_mib=1024),
        NumaCell(id=1, cpus=[1], memory_mib=2048),
    )


@pytest.mark.parametrize(
    ("libvirt", "qemu", "can"),
    [
        (6_001_000, 4_002_000, True),
        (11_003_000, 10_000_000, True),
        (6_000_000, 8_002_000, False),  # Ubuntu 20.04's
        (7_000_000, 4_001_001, False),
    ],
)
def test_what_a_failover_pair_needs(libvirt: int, qemu: int, can: bool) -> None:
    assert can_pair(libvirt, qemu) is can
