"""The lines of a ``[pci]`` section that say to Nova, or to Lanekeeper's agent, what a policy says.

Only VFs are listed, never their PF: a PF listed beside its own VFs could be given away whole.

Source: nova configuration reference, ``[pci] device_spec`` and ``[pci] alias``.
"""

from __future__ import annotations

from collections.abc import Iterator

from lanekeeper.domain.hostplan.choice import choose
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.policy.policy import Policy
from lanekeeper.domain.hostplan.policy.purpose import Purpose
from lanekeeper.domain.pci.device import PciDevice


def nova_conf(policy: Policy, host: HostFacts) -> tuple[str, ...]:
    """Return ``device_spec`` and ``alias`` lines for the VFs that are there now, each once."""
    chosen, _ = choose(policy, host)
    lines = (
        line
        for entry, pf in chosen
        if entry.purpose is not None
        for vf in host.vfs_of(pf.address)
        for line in _lines(entry.purpose, vf)
    )
    # device_spec first, as the guides have it; sorted() keeps the order within each.
    return tuple(sorted(dict.fromkeys(lines), key=lambda line: line.startswith("alias")))


def _lines(purpose: Purpose, vf: PciDevice) -> Iterator[str]:
    ids = f'"vendor_id": "{vf.vendor_id:04x}", "product_id": "{vf.product_id:04x}"'
    where = f'"address": "{vf.address.domain:04x}:{vf.address.bus:02x}:*.*"'
    if purpose.physical_network is not None:
        network = f'"physical_network": "{purpose.physical_network}"'
        yield f"device_spec = {{{ids}, {where}, {network}}}"
    else:
        yield f"device_spec = {{{ids}, {where}}}"
        yield f'alias = {{{ids}, "device_type": "type-VF", "name": "{purpose.alias}"}}'
