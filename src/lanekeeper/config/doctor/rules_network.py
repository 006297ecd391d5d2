"""Rules about networks: VLANs, mappings, and what device_spec entries name of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from itertools import pairwise

from lanekeeper.config.doctor.case import Case, Line, Object
from lanekeeper.config.doctor.finding import Hit, Rule
from lanekeeper.config.value import split_list
from lanekeeper.domain.errors import Error
from lanekeeper.domain.hostplan.findings.finding import Severity
from lanekeeper.domain.network.mapping import check_interfaces
from lanekeeper.domain.network.vlan import VlanRange, parse_vlan_ranges

RANGES = "[ml2_type_vlan] network_vlan_ranges"
FLAT = "[ml2_type_flat] flat_networks"
MAPPINGS = "[sriov_nic] physical_device_mappings"
EXCLUDED = "[sriov_nic] exclude_devices"
BANDWIDTHS = "[sriov_nic] resource_provider_bandwidths"
_HYPERVISORS = "[sriov_nic] resource_provider_hypervisors"
_MTUS = "[ml2] physical_network_mtus"
_DRIVERS = "[ml2] mechanism_drivers"
_TYPES = "[ml2] type_drivers"
_PROJECT_TYPES = "[ml2] project_network_types"
_SRIOV = "sriovnicswitch"

_SPEC = (
    '[pci]\ndevice_spec = {"vendor_id": "8086", "product_id": "10ca", '
    '"physical_network": "physnet1"}\n'
)
_VLANS = "[ml2_type_vlan]\nnetwork_vlan_ranges = physnet1:15:20\n"
_MAPPED = "[sriov_nic]\nphysical_device_mappings = physnet1:ens1f0\n"


def named_networks(case: Case) -> frozenset[str]:
    """Return what the ml2 and agent files call the physical networks; ``*`` is none."""
    flat = case.value(FLAT) if case.last(FLAT) else ()
    return frozenset(case.value(RANGES)) | frozenset(case.value(MAPPINGS)) | set(flat) - {"*"}


def tagged_networks(case: Case) -> frozenset[str]:
    """Return the physical networks that device_spec entries name."""
    return frozenset(
        network for _, spec in case.good_specs if (network := spec.tags.get("physical_network"))
    )


def _near(name: str, names: Iterable[str], otherwise: str) -> str:
    close = get_close_matches(name, sorted(names), n=1)
    return close[0] if close else otherwise


def _strangers(case: Case, known: Iterable[str]) -> Iterator[tuple[Object, str, str]]:
    """Yield entries whose network is none of *known*, that network, and the nearest one."""
    folded = {name.casefold() for name in known}
    for one, spec in case.good_specs:
        network = spec.tags.get("physical_network")
        if network and network.casefold() not in folded:
            yield one, network, _near(network, known, "")


def _unmapped(case: Case) -> Iterator[Hit]:
    line = case.last(MAPPINGS)
    if line is not None and case.value(MAPPINGS):
        for one, network, near in _strangers(case, case.value(MAPPINGS)):
            says = f"{line.source} maps no interface to {network}: no port on it can be bound"
            yield Hit(one.source, says, near or f"{network}:INTERFACE in {MAPPINGS}", one.shown)


def _without_vlans(case: Case) -> Iterator[Hit]:
    line, known = case.last(RANGES), named_networks(case)
    if line is not None and known:
        for one, network, near in _strangers(case, known):
            says = f"neither {line.source} nor the rest of these files names {network}"
            yield Hit(one.source, says, near or f"{network}:MIN:MAX in {RANGES}", one.shown)


def _case_differs(case: Case) -> Iterator[Hit]:
    known = named_networks(case)
    by_fold = {name.casefold(): name for name in known}
    for one, spec in case.good_specs:
        network = spec.tags.get("physical_network", "")
        if network not in known and network.casefold() in by_fold:
            other = by_fold[network.casefold()]
            says = f"elsewhere it is {other}; Neutron tells cases apart, Nova does not"
            yield Hit(one.source, says, other, one.shown)


def _unserved(case: Case, key: str) -> Iterator[Hit]:
    tagged = {network.casefold() for network in tagged_networks(case)}
    line = case.last(key)
    for name in case.value(key) if line and case.specs else ():
        if name.casefold() not in tagged:
            assert line is not None
            says = f"no device_spec entry has the physical_network {name}"
            yield Hit(line.source, says, f'"physical_network": "{name}" in a device_spec')


def _mapping_unserved(case: Case) -> Iterator[Hit]:
    return _unserved(case, MAPPINGS)


def _vlans_unserved(case: Case) -> Iterator[Hit]:
    return _unserved(case, RANGES)


def _without_segment(case: Case) -> Iterator[Hit]:
    line, ranges = case.last(MAPPINGS), case.value(RANGES)
    if line is None or case.last(RANGES) is None:
        return
    flat = case.value(FLAT)
    for name in case.value(MAPPINGS):
        if name not in ranges and name not in flat and "*" not in flat:
            fix = _near(name, ranges, f"{name}:MIN:MAX in {RANGES}")
            says = f"{name} has neither VLANs nor is it a flat network: no network can be on it"
            yield Hit(line.source, says, fix)


def _only_flat(case: Case) -> Iterator[Hit]:
    line, ranges = case.last(MAPPINGS), case.value(RANGES)
    if line is None or case.last(RANGES) is None or "*" not in case.value(FLAT):
        return
    for name in case.value(MAPPINGS):
        if name not in ranges:
            says = f"{name} has no VLANs; only a flat network can be on it"
            yield Hit(line.source, says, _near(name, ranges, f"{name}:MIN:MAX in {RANGES}"))


def _overlap(case: Case) -> Iterator[Hit]:
    line = case.last(RANGES)
    if line is None:
        return
    for name, ranges in case.value(RANGES).items():
        ordered = sorted(ranges)
        for one, other in pairwise(ordered):
            if other.first <= one.last:
                says = f"{name}: {one} and {other} overlap"
                yield Hit(line.source, says, f"{name}:{one.first}:{max(one.last, other.last)}")


def _bare_wins(case: Case) -> Iterator[Hit]:
    line = case.last(RANGES)
    if line is None:
        return
    entries = list(split_list(line.value))
    for name, ranges in case.value(RANGES).items():
        own = [entry for entry in entries if name in parse_vlan_ranges(entry)]
        if ranges == (VlanRange(),) and len(own) > 1:
            says = f"{name} without a range has VLANs 1 to 4094, whatever ranges stand beside it"
            yield Hit(line.source, says, "leave the bare name out")


def _is_wanted(case: Case) -> bool:
    return bool(tagged_networks(case)) or case.last(MAPPINGS) is not None


def _driver_missing(case: Case) -> Iterator[Hit]:
    line = case.last(_DRIVERS)
    if line is not None and _is_wanted(case) and _SRIOV not in case.value(_DRIVERS):
        names = ",".join([*case.value(_DRIVERS), _SRIOV])
        says = f"{_SRIOV} is not among them: Neutron binds no port of type direct, Lanekeeper does"
        yield Hit(line.source, says, f"mechanism_drivers = {names}")


def _type_missing(case: Case) -> Iterator[Hit]:
    line = case.last(_TYPES)
    if line is not None and case.value(RANGES) and "vlan" not in case.value(_TYPES):
        says = "vlan is not among them, so no network uses the VLAN ranges"
        yield Hit(line.source, says, f"type_drivers = {','.join([*case.value(_TYPES), 'vlan'])}")


def _project_type(case: Case) -> Iterator[Hit]:
    line = case.last(_PROJECT_TYPES)
    if line is None or case.last(_TYPES) is None:
        return
    for name in case.value(_PROJECT_TYPES):
        if name not in case.value(_TYPES):
            yield Hit(
                line.source,
                f"{name} is not among type_drivers; Neutron's server ends with that",
                _near(name, case.value(_TYPES), f"{name} in type_drivers"),
            )


def _mtu(case: Case) -> Iterator[Hit]:
    line, known = case.last(_MTUS), named_networks(case)
    if line is not None and known:
        for name in case.value(_MTUS):
            if name not in known:
                says = f"nothing else of these files names {name}"
                yield Hit(line.source, says, _near(name, known, "remove it"))


def _interface(case: Case) -> Iterator[Hit]:
    for key in (EXCLUDED, BANDWIDTHS, _HYPERVISORS):
        line = case.last(key)
        for name in case.value(key) if line else ():
            try:
                check_interfaces(key.partition(" ")[2], [name], case.value(MAPPINGS))
            except Error as error:
                assert line is not None
                yield Hit(line.source, f"a start refuses this: {error}", error.hint)


def _addresses(line: Line) -> Iterator[str]:
    for entry in split_list(line.value):
        yield from filter(None, (piece.strip() for piece in entry.partition(":")[2].split(";")))


def _domainless(case: Case) -> Iterator[Hit]:
    line = case.last(EXCLUDED)
    for text in _addresses(line) if line else ():
        if text.count(":") != 2 or text != text.lower():  # noqa: PLR2004  # domain:bus:slot
            assert line is not None
            says = (
                f"Neutron's agent compares {text} as text with the kernel's spelling: never equal"
            )
            long = text.lower() if text.count(":") == 2 else f"0000:{text.lower()}"  # noqa: PLR2004
            yield Hit(line.source, says, long)


def _unfiltered(case: Case) -> Iterator[Hit]:
    for line in case.lines:
        one = line.assignment
        is_driver = (one.section, one.key) == ("securitygroup", "firewall_driver")
        if is_driver and "noop" not in line.assignment.value.lower() and _is_wanted(case):
            says = "no firewall driver filters SR-IOV ports: their security groups are not enforced"
            yield Hit(line.source, says, "filter on the switch or in the guest")


RULES: tuple[Rule, ...] = (
    Rule(
        id="network-unmapped",
        severity=Severity.ERROR,
        what="A device_spec names a physical_network that physical_device_mappings does not: the "
        "agent cannot bind a port on it.",
        check=_unmapped,
        shows=_SPEC + "[sriov_nic]\nphysical_device_mappings = physnet2:ens1f0\n",
        spares=_SPEC + _MAPPED,
    ),
    Rule(
        id="network-without-vlans",
        severity=Severity.WARNING,
        what="A device_spec names a physical_network that no VLAN range, flat network or mapping "
        "of the other files names.",
        check=_without_vlans,
        shows=_SPEC + "[ml2_type_vlan]\nnetwork_vlan_ranges = physnet2:15:20\n",
        spares=_SPEC + _VLANS,
    ),
    Rule(
        id="network-case",
        severity=Severity.WARNING,
        what="Names of physical networks differ in case only: Nova takes them for one, Neutron "
        "for two.",
        check=_case_differs,
        shows=_SPEC + "[ml2_type_vlan]\nnetwork_vlan_ranges = Physnet1:15:20\n",
        spares=_SPEC + _VLANS,
    ),
    Rule(
        id="network-unserved",
        severity=Severity.WARNING,
        what="A physical network has a mapping, but no device_spec names it: SR-IOV ports on it "
        "find no device.",
        check=_mapping_unserved,
        shows=_SPEC + _MAPPED.replace("ens1f0", "ens1f0,physnet2:ens1f1"),
        spares=_SPEC + _MAPPED,
    ),
    Rule(
        id="vlans-unserved",
        severity=Severity.INFO,
        what="A physical network has VLANs, but no device_spec of these files names it: only "
        "ports without SR-IOV can be on it.",
        check=_vlans_unserved,
        shows=_SPEC + "[ml2_type_vlan]\nnetwork_vlan_ranges = physnet1:15:20,physnet2\n",
        spares=_SPEC + _VLANS,
    ),
    Rule(
        id="mapping-without-network",
        severity=Severity.ERROR,
        what="A mapping names a physical network that has no VLANs and may not be flat.",
        check=_without_segment,
        shows=_MAPPED + "[ml2_type_vlan]\nnetwork_vlan_ranges = physnet2\n"
        "[ml2_type_flat]\nflat_networks =\n",
        spares=_MAPPED + _VLANS + "[ml2_type_flat]\nflat_networks =\n",
    ),
    Rule(
        id="mapping-flat-only",
        severity=Severity.WARNING,
        what="A mapping names a physical network that has no VLANs, while others have.",
        check=_only_flat,
        shows=_MAPPED + "[ml2_type_vlan]\nnetwork_vlan_ranges = physnet2\n",
        spares=_MAPPED + _VLANS,
    ),
    Rule(
        id="vlan-ranges-overlap",
        severity=Severity.WARNING,
        what="Two ranges of one physical network overlap. Neutron takes them without a word.",
        check=_overlap,
        shows="[ml2_type_vlan]\nnetwork_vlan_ranges = physnet1:15:20,physnet1:18:30\n",
        spares="[ml2_type_vlan]\nnetwork_vlan_ranges = physnet1:15:20,physnet1:21:30\n",
    ),
    Rule(
        id="vlan-bare-wins",
        severity=Severity.WARNING,
        what="A physical network stands both with and without a range; then it has all VLANs.",
        check=_bare_wins,
        shows="[ml2_type_vlan]\nnetwork_vlan_ranges = physnet1:15:20,physnet1\n",
        spares=_VLANS,
    ),
    Rule(
        id="driver-missing",
        severity=Severity.WARNING,
        what="SR-IOV is configured, but mechanism_drivers lacks sriovnicswitch.",
        check=_driver_missing,
        shows=_SPEC + "[ml2]\nmechanism_drivers = openvswitch\n",
        spares=_SPEC + "[ml2]\nmechanism_drivers = openvswitch, sriovnicswitch\n",
    ),
    Rule(
        id="type-missing",
        severity=Severity.WARNING,
        what="There are VLAN ranges, but type_drivers lacks vlan.",
        check=_type_missing,
        shows=_VLANS + "[ml2]\ntype_drivers = flat\n",
        spares=_VLANS + "[ml2]\ntype_drivers = flat,vlan\n",
    ),
    Rule(
        id="project-type-unloaded",
        severity=Severity.ERROR,
        what="project_network_types has a type that type_drivers lacks.",
        check=_project_type,
        shows="[ml2]\ntype_drivers = flat\nproject_network_types = vlan\n",
        spares="[ml2]\ntype_drivers = flat,vlan\nproject_network_types = vlan\n",
    ),
    Rule(
        id="mtu-unknown-network",
        severity=Severity.WARNING,
        what="An MTU is given for a physical network that nothing else names.",
        check=_mtu,
        shows=_VLANS + "[ml2]\nphysical_network_mtus = physnet:9000\n",
        spares=_VLANS + "[ml2]\nphysical_network_mtus = physnet1:9000\n",
    ),
    Rule(
        id="interface-unmapped",
        severity=Severity.ERROR,
        what="exclude_devices or resource_provider_bandwidths names an interface that no mapping "
        "has.",
        check=_interface,
        shows=_MAPPED + "exclude_devices = ens1f1:0000:3b:10.0\n",
        spares=_MAPPED + "exclude_devices = ens1f0:0000:3b:10.0\n",
    ),
    Rule(
        id="exclude-spelling",
        severity=Severity.WARNING,
        what="Neutron's agent compares exclude_devices as text: an address without domain or in "
        "upper case excludes nothing there. Here it is read as an address.",
        check=_domainless,
        shows=_MAPPED + "exclude_devices = ens1f0:3b:10.0\n",
        spares=_MAPPED + "exclude_devices = ens1f0:0000:3b:10.0\n",
    ),
    Rule(
        id="security-groups-unfiltered",
        severity=Severity.INFO,
        what="A firewall driver is set, but nothing filters the packets of a VF in a guest.",
        check=_unfiltered,
        shows=_MAPPED + "[securitygroup]\nfirewall_driver = openvswitch\n",
        spares=_MAPPED + "[securitygroup]\nfirewall_driver = noop\n",
    ),
)
