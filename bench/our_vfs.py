"""Lanekeeper's agent on planted cards, for ``bench.vfs``: ``our_vfs ROOT PORT PFS VFS``.

What an agent does of VFs when guests start, and at each look at its host while they run. MAC and
VLAN of a starting guest are libvirt's, as they are with Neutron's agent.
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from bench import vf_wire
from bench.vf_kernel import mac
from lanekeeper.agent.policy import Policy
from lanekeeper.agent.senses import Senses
from lanekeeper.agent.vf_settings import agents_share, drift, set_and_check
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.host.linux import LinuxMachine
from lanekeeper.hypervisor.driver import Guest, Inventory
from lanekeeper.hypervisor.guest_files import GuestDirectories
from lanekeeper.protocol import Desired, DeviceWanted, NicWanted, ServerWanted

MAX_MBPS = 100


def main(root: Path, port: int, pfs: int, vfs: int) -> None:
    """Each VF is the one of a running guest."""
    vf_wire.lead(port)
    machine = LinuxMachine(root)
    servers = [_server(nic) for nic in _nics(machine, pfs, vfs)]
    desired = Desired(generation=1, mark="bench", servers=servers)
    inventory = Inventory(tuple(Guest(id=one.id, power="running") for one in servers))
    directories = GuestDirectories(root / "guests")
    senses = [_senses(machine, directories)]

    def prepare() -> None:
        senses[0] = _senses(machine, directories)

    def apply() -> None:
        for server in servers:
            nic = server.nics[0]
            set_and_check(machine, PciAddress.parse(nic.device.address), nic, agents_share(nic))

    def look() -> None:
        seen = (
            senses[0]
            .observe(desired, {}, frozenset(), settings=True, inventory=inventory)
            .vf_settings
        )
        assert len(seen) == pfs * vfs, f"{len(seen)} VFs were seen"
        for server in servers:
            nic = server.nics[0]
            assert not drift(nic, seen[PciAddress.parse(nic.device.address)], frozenset())

    machine.all_vf_settings(next(one.address for one in machine.scan().devices if one.netdev))
    vf_wire.serve(port, prepare, apply, look)  # what is loaded only once is loaded by now


def _senses(machine: LinuxMachine, directories: GuestDirectories) -> Senses:
    nobody = cast("Any", None)  # no hypervisor is asked: the guests are given
    return Senses(machine, nobody, directories, Policy())


def _nics(machine: LinuxMachine, pfs: int, vfs: int) -> Iterator[NicWanted]:
    by_netdev = {one.netdev: one.address for one in machine.scan().devices if one.netdev}
    for number in range(pfs):
        addresses = machine.vf_addresses(by_netdev[f"pf{number}"])
        for index in range(vfs):
            yield NicWanted(
                port_id=f"{number}-{index}",
                mac=mac(number, index),
                device=DeviceWanted(
                    device_id=f"{number}-{index}",
                    address=str(addresses[index]),
                    vendor_id="8086",
                    product_id="154c",
                ),
                vf_index=index,
                spoof_check=False,
                link_state="enable",
                max_tx_mbps=MAX_MBPS,
            )


def _server(nic: NicWanted) -> ServerWanted:
    return ServerWanted(
        id=str(uuid.uuid4()),
        name=nic.port_id,
        generation=1,
        power="running",
        vcpus=1,
        memory_mib=64,
        disk_gib=1,
        nics=[nic],
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:5]))
