"""Rules that hold mappings and exclusions of interfaces against a host."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from lanekeeper.config.doctor.case import Case
from lanekeeper.config.doctor.finding import Hit, Rule
from lanekeeper.config.doctor.rules_host import NET, VF, spec
from lanekeeper.config.doctor.rules_network import EXCLUDED, MAPPINGS
from lanekeeper.domain.hostplan.findings.finding import Severity
from lanekeeper.domain.pci.address import PciAddress


def _network_nothing(case: Case) -> Iterator[Hit]:
    found, line = case.coverage, case.last(MAPPINGS)
    if found is None or not found[1].listed or line is None:
        return
    served = {name.casefold() for name in found[1].networks}
    for name in case.value(MAPPINGS):
        if name.casefold() not in served:
            says = f"no listed device of {found[0].name} serves {name}"
            yield Hit(line.source, says, f'a device_spec with "physical_network": "{name}"')


def _network_contradiction(case: Case) -> Iterator[Hit]:
    found, line = case.coverage, case.last(MAPPINGS)
    if found is None or line is None:
        return
    devices = {device.address: device for device in found[0].facts.devices}
    wrong: dict[tuple[str, str], list[PciAddress]] = {}
    for one in found[1].listed:
        network = one.tags.get("physical_network")
        pf = devices.get(one.device.parent) if one.device.parent else one.device
        reached = [
            name for name, names in case.value(MAPPINGS).items() if pf and pf.netdev in names
        ]
        if network and pf and reached and network.casefold() not in map(str.casefold, reached):
            wrong.setdefault((pf.netdev or "", network), []).append(one.device.address)
    for (interface, network), addresses in wrong.items():
        says = (
            f"{interface} is not mapped to {network}, but {len(addresses)} of its functions "
            f"(first {addresses[0]}) are listed for it: no port on them can be bound"
        )
        yield Hit(line.source, says, f"{network}:{interface}, or another physical_network there")


def _interface_missing(case: Case) -> Iterator[Hit]:
    line = case.last(MAPPINGS)
    if case.host is None or line is None:
        return
    known = [interface.name for interface in case.host.facts.interfaces]
    for name in dict.fromkeys(n for names in case.value(MAPPINGS).values() for n in names):
        if name not in known:
            close = get_close_matches(name, known, n=1)
            fix = close[0] if close else f"one of {', '.join(known)}" if known else ""
            yield Hit(line.source, f"{case.host.name} has no interface {name} on a device", fix)


def _excluded(case: Case) -> Iterator[Hit]:
    line = case.last(EXCLUDED)
    if case.host is None or line is None:
        return
    by_address = {device.address: device for device in case.host.facts.devices}
    for interface, addresses in case.value(EXCLUDED).items():
        for address in sorted(addresses):
            device = by_address.get(address)
            pf = by_address.get(device.parent) if device and device.parent else None
            if pf is None or pf.netdev != interface:
                says = f"{address} is no VF of {interface} on {case.host.name}: nothing is excluded"
                yield Hit(line.source, says, "")


def _excluded_listed(case: Case) -> Iterator[Hit]:
    found, line = case.coverage, case.last(EXCLUDED)
    if found is None or line is None:
        return
    entries = list(case.good_specs)
    excluded = {address for addresses in case.value(EXCLUDED).values() for address in addresses}
    for one in found[1].listed:
        if one.device.address in excluded:
            where = entries[one.entry][0].source
            says = (
                f"{one.device.address} is excluded here and listed in {where}: a guest may get "
                "it, and nobody sets its link state and spoof check"
            )
            yield Hit(line.source, says, "take it out of one of both")


RULES: tuple[Rule, ...] = (
    Rule(
        id="host-network-nothing",
        severity=Severity.WARNING,
        what="A mapping names a physical network that no listed device of the host serves.",
        check=_network_nothing,
        shows=spec(VF) + "[sriov_nic]\nphysical_device_mappings = physnet1:ens1f0\n",
        spares=spec(NET) + "[sriov_nic]\nphysical_device_mappings = physnet1:ens1f0\n",
        needs_host=True,
    ),
    Rule(
        id="host-network-contradiction",
        severity=Severity.ERROR,
        what="device_spec and physical_device_mappings say different physical networks of one "
        "interface: Nova chooses a VF and Neutron does not bind the port.",
        check=_network_contradiction,
        shows=spec(NET) + "[sriov_nic]\nphysical_device_mappings = physnet2:ens1f0\n",
        spares=spec(NET) + "[sriov_nic]\nphysical_device_mappings = physnet1:ens1f0\n",
        needs_host=True,
    ),
    Rule(
        id="host-interface-missing",
        severity=Severity.WARNING,
        what="A mapping names an interface that the host does not have.",
        check=_interface_missing,
        shows="[sriov_nic]\nphysical_device_mappings = physnet1:enp59s0f0\n",
        spares="[sriov_nic]\nphysical_device_mappings = physnet1:ens1f0\n",
        needs_host=True,
    ),
    Rule(
        id="host-exclude-idle",
        severity=Severity.WARNING,
        what="exclude_devices names what is no VF of that interface.",
        check=_excluded,
        shows="[sriov_nic]\nphysical_device_mappings = physnet1:ens1f0\n"
        "exclude_devices = ens1f0:0000:3b:11.0\n",
        spares="[sriov_nic]\nphysical_device_mappings = physnet1:ens1f0\n"
        "exclude_devices = ens1f0:0000:3b:10.0\n",
        needs_host=True,
    ),
    Rule(
        id="host-exclude-listed",
        severity=Severity.WARNING,
        what="A VF is excluded from the agent, but a device_spec gives it to guests.",
        check=_excluded_listed,
        shows=spec(NET) + "[sriov_nic]\nphysical_device_mappings = physnet1:ens1f0\n"
        "exclude_devices = ens1f0:0000:3b:10.0\n",
        spares=spec('"address": "0000:3b:10.2", "physical_network": "physnet1"')
        + "[sriov_nic]\nphysical_device_mappings = physnet1:ens1f0\n"
        "exclude_devices = ens1f0:0000:3b:10.0\n",
        needs_host=True,
    ),
)
