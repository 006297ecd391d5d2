"""The lines of configuration that say to Nova, Neutron or Lanekeeper's agent what a policy says.

Of an entry of ``pfs`` only VFs are listed, never their PF: a PF listed beside its own VFs could be
given away whole.

Source: nova configuration reference, ``[pci] device_spec`` and ``[pci] alias``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from lanekeeper.domain.hostplan.choice import choose
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.policy.device import DevicePolicy
from lanekeeper.domain.hostplan.policy.pf import SWITCHDEV, PfPolicy
from lanekeeper.domain.hostplan.policy.policy import Policy
from lanekeeper.domain.hostplan.policy.purpose import Purpose
from lanekeeper.domain.hostplan.policy.vf import VfWish
from lanekeeper.domain.pci.device import PciDevice

_PLACED = ("resource_class", "traits")
"""Tags that an alias can ask for. Source: nova ``pci/request.py``, the schema of an alias."""


def nova_conf(policy: Policy, host: HostFacts) -> tuple[str, ...]:
    """Return ``device_spec`` and ``alias`` lines for the functions that are there now, each once.

    A PF whose VFs are all wanted alike has one entry: by the bus, or, where a bus has VFs of two
    PFs, by the PF's address with the VFs' ids. Where ranges differ each VF has its own, since a
    ``device_spec`` knows no ranges.
    """
    chosen = choose(policy, host)
    lines = [
        line
        for entry, pf in chosen.pfs
        for vf in host.vfs_of(pf.address)[: entry.vfs]
        for line in _lines(entry, entry.of(vf.vf_index or 0), vf, _whole(host, pf, vf))
    ]
    lines += [line for entry, device in chosen.devices for line in _device_lines(entry, device)]
    # device_spec first, as the guides have it; sorted() keeps the order within each.
    return tuple(sorted(dict.fromkeys(lines), key=lambda line: line.startswith("alias")))


def sriov_nic(policy: Policy, host: HostFacts) -> tuple[str, ...]:
    """Return what says to Neutron's SR-IOV agent, or to Lanekeeper's, which PFs reach a network.

    Left out is what that agent has no part in: in switchdev mode Open vSwitch has the ports, and
    those of remote_managed VFs are the card's own.

    Source: Neutron ``conf/plugins/ml2/drivers/mech_sriov/agent_common.py``,
    physical_device_mappings.
    """
    found: dict[str, None] = {}
    for entry, pf in choose(policy, host).pfs:
        mode = entry.eswitch or host.offload.modes.get(pf.address)
        for wish in entry.wishes if mode != SWITCHDEV and pf.netdev and pf.num_vfs else ():
            is_remote = dict(wish.tags).get("remote_managed", "").lower() in ("true", "1")
            network = wish.purpose and wish.purpose.physical_network
            if network and not is_remote:
                found[f"{network}:{pf.netdev}"] = None
    return (f"physical_device_mappings = {','.join(found)}",) if found else ()


def _whole(host: HostFacts, pf: PciDevice, vf: PciDevice) -> str:
    """What selects all VFs of *pf* that have the ids and the bus of *vf*, and nobody else's."""
    bus = (vf.address.domain, vf.address.bus)
    others = (one for other in host.pfs if other != pf for one in host.vfs_of(other.address))
    if bus in {(one.address.domain, one.address.bus) for one in others}:
        return str(pf.address)
    return f"{vf.address.domain:04x}:{vf.address.bus:02x}:*.*"


def _lines(entry: PfPolicy, wish: VfWish, vf: PciDevice, whole: str) -> Iterator[str]:
    purpose = wish.purpose
    if purpose is None:
        return
    alike = len(entry.wishes) == 1
    yield from _said(vf, whole if alike else str(vf.address), purpose, wish.tags)


def _device_lines(entry: DevicePolicy, device: PciDevice) -> Iterator[str]:
    if entry.purpose is not None:
        yield from _said(device, str(device.address), entry.purpose, entry.tags)


def _said(
    device: PciDevice, address: str, purpose: Purpose, tags: tuple[tuple[str, str], ...]
) -> Iterator[str]:
    given = {"vendor_id": f"{device.vendor_id:04x}", "product_id": f"{device.product_id:04x}"}
    spec = {**given, "address": address}
    if purpose.physical_network is not None:
        spec["physical_network"] = purpose.physical_network
    yield f"device_spec = {json.dumps({**spec, **dict(tags)})}"
    if purpose.alias is not None:
        placed = {key: value for key, value in tags if key in _PLACED}
        alias = {**given, "device_type": str(device.dev_type), "name": purpose.alias, **placed}
        yield f"alias = {json.dumps(alias)}"
