"""Runs inside the lab host: settings, drivers and reset of one VF of a real 82576 PF."""

from collections.abc import Callable

from lanekeeper.domain.errors import HostFault
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.vf_change import AT_REST, VfChange, differences
from lanekeeper.domain.pci.vf_settings import LinkState, VfSettings
from lanekeeper.host.linux import LinuxMachine


def refusal(call: Callable[[], object]) -> str:
    """Return what the HostFault of *call* says."""
    try:
        call()
    except HostFault as error:
        return str(error)
    raise AssertionError("the kernel took it")


machine = LinuxMachine()
pf = PciAddress.parse("0000:21:00.0")
vf = machine.vf_addresses(pf)[3]

change = VfChange(mac="fa:16:3e:00:00:05", vlan=15, qos=3, spoofchk=False, trust=True)
assert machine.write_vf_settings(pf, 3, change) == ()
found = machine.vf_settings(pf, 3)
assert list(differences(change, found)) == [], found
assert machine.vf_settings(pf, 2) == VfSettings()

# igb has no link state to set, and no guaranteed rate.
assert machine.write_vf_settings(pf, 3, VfChange(link_state=LinkState.ENABLE)) == ("link_state",)
machine.write_vf_settings(pf, 3, VfChange(rates=(0, 100)))
said = refusal(lambda: machine.write_vf_settings(pf, 3, VfChange(rates=(10, 100))))
assert "on VF 3 of 0000:21:00.0 (ens1): Invalid argument" in said, said
assert machine.vf_settings(pf, 3).max_tx_rate == 100

assert machine.write_vf_settings(pf, 3, AT_REST) == ("link_state",)
assert machine.vf_settings(pf, 3) == VfSettings()

assert machine.iommu_group(vf) == (vf,)
assert machine.blockers(PciAddress.parse("0000:00:1f.2"))
for driver in ("vfio-pci", "vfio-pci", None, "vfio-pci", None, None):
    machine.bind(vf, driver)
    assert machine.device(vf).driver == driver
said = refusal(lambda: machine.bind(vf, "ixgbevf"))
assert said == f"driver ixgbevf for {vf} is not loaded", said
machine.reset(vf)
scan = machine.scan()
assert scan.faults == ()
print("ok")
