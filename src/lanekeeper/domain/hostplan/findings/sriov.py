"""PFs and the VFs they have and could have."""

from __future__ import annotations

from collections.abc import Iterator

from lanekeeper.domain.hostplan.findings.finding import Finding, Rule, Severity
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.pci.device import PciDevice


def _sriov(host: HostFacts) -> Iterator[Finding]:
    if not host.pfs:
        yield Finding(
            "sriov-missing",
            Severity.WARNING,
            "host",
            "no device can create VFs",
            "no function in /sys/bus/pci/devices has sriov_totalvfs above 0",
            "switch on SR-IOV in the firmware and in the card's own settings",
        )
    for pf in host.pfs:
        yield from _pf(pf, host)


def _pf(pf: PciDevice, host: HostFacts) -> Iterator[Finding]:
    subject = f"{pf.address}{f' ({pf.netdev})' if pf.netdev else ''}"
    evidence = f"sriov_numvfs is {pf.num_vfs}, sriov_totalvfs {pf.total_vfs}"
    summary = f"VFs {pf.num_vfs} of {pf.total_vfs}"
    if pf.num_vfs:
        yield Finding("vfs-present", Severity.OK, subject, summary, evidence)
    else:
        fix = f'policy: pfs: [{{pf: "{pf.address}", vfs: {pf.total_vfs}}}]'
        yield Finding("vfs-missing", Severity.WARNING, subject, summary, evidence, fix)
    if pf.driver is None:
        fix = "load the driver of the PF"
        no_driver = "the PF has no driver, so it cannot create VFs"
        yield Finding(
            "pf-without-driver", Severity.WARNING, subject, no_driver, "no driver link", fix
        )
    interface = host.interface_of(pf.address)
    if interface is not None and not interface.is_up:
        yield Finding(
            "pf-link-down",
            Severity.WARNING,
            subject,
            f"{interface.name} is down, so its VFs have no link",
            f"/sys/class/net/{interface.name}/flags lacks IFF_UP",
            f"link: up in the policy, or ip link set {interface.name} up",
        )
    if pf.numa_node is None and len(host.nodes) > 1:
        yield Finding(
            "numa-node-unknown",
            Severity.INFO,
            subject,
            "the firmware does not say which NUMA node the card is near",
            "numa_node is -1",
            "guests that require affinity will not get it; see the firmware's SRAT",
        )


RULES: tuple[Rule, ...] = (_sriov,)
