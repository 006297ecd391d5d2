"""Rules that hold device_spec and alias against a host."""

from __future__ import annotations

from collections.abc import Iterator

from lanekeeper.config.doctor.case import Case
from lanekeeper.config.doctor.finding import Hit, Rule
from lanekeeper.config.doctor.host import Host, entry_of, left_out, listed
from lanekeeper.config.doctor.rules_alias import unsatisfiable
from lanekeeper.domain.hostplan.findings.finding import Severity
from lanekeeper.domain.hostplan.management import management_of
from lanekeeper.domain.pci.alias import NumaPolicy
from lanekeeper.domain.pci.device import PciDevice

_BRIDGE, _STORAGE = 0x06, 0x01  # PCI Code and ID Assignment Specification, class codes
_NEAR = (NumaPolicy.REQUIRED, NumaPolicy.SOCKET)
VF = '"vendor_id": "8086", "product_id": "10ca"'
NET = f'{VF}, "physical_network": "physnet1"'


def spec(*entries: str) -> str:
    return "[pci]\n" + "".join(f"device_spec = {{{entry}}}\n" for entry in entries)


def _entries(case: Case) -> Iterator[tuple[Host, Hit, tuple[PciDevice, ...]]]:
    """Yield for each entry what it lists, and a hit at its place to fill in."""
    found = case.coverage
    if found is not None:
        host, covered = found
        for (one, _), entry in zip(case.good_specs, covered.entries, strict=True):
            yield host, Hit(one.source, "", "", one.shown), entry.takes


def _at(hit: Hit, says: str, fix: str) -> Hit:
    return Hit(hit.source, says, fix, hit.found)


def _management(case: Case) -> Iterator[Hit]:
    for host, hit, takes in _entries(case):
        for device in takes:
            interface = management_of(device, host.facts)
            if interface is not None:
                carries = interface.doubt or f"which carries {', '.join(interface.carries)}"
                says = (
                    f"lists {device.address} ({interface.name}), {carries}: "
                    f"a guest that gets it cuts {host.name} off"
                )
                yield _at(hit, says, "product_id or address of what is meant")


def _boot_disk(case: Case) -> Iterator[Hit]:
    for host, hit, takes in _entries(case):
        for device in takes:
            if mounted := host.disks.get(device.address):
                says = f"lists {device.address}, from whose disks {', '.join(mounted)} is mounted"
                yield _at(hit, says, "address of the controller that is meant")


def _storage(case: Case) -> Iterator[Hit]:
    for host, hit, takes in _entries(case):
        for device in takes:
            is_used = device.driver is not None and not device.driver.startswith("vfio")
            is_storage = device.class_code >> 16 == _STORAGE and device.address not in host.disks
            if is_storage and is_used:
                says = (
                    f"lists {device.address}, a storage controller that {device.driver} drives: "
                    "what is on its disks is wiped or lost to the host"
                )
                yield _at(hit, says, "see that nothing of the host's is on its disks")


def _bridge(case: Case) -> Iterator[Hit]:
    for host, hit, takes in _entries(case):
        bridges = tuple(one for one in takes if one.class_code >> 16 == _BRIDGE)
        if bridges:
            says = f"lists bridges of {host.name}: {listed(bridges)}; no guest can have them"
            yield _at(hit, says, "product_id or address of what is meant")


def _both_sides(case: Case) -> Iterator[Hit]:
    """Tell it at each of the lines that bring it about, naming the others."""
    found = case.coverage
    specs = list(case.good_specs)
    for clash in found[1].clashes if found else ():
        for entry in clash.entries:
            one, _ = specs[entry]
            others = [str(specs[other][0].source) for other in clash.entries if other != entry]
            says = f"together with {' and '.join(others)}: {clash.says}" if others else clash.says
            yield Hit(one.source, says, "list one side", one.shown)


def _idle(case: Case) -> Iterator[Hit]:
    found = case.coverage
    if found is None:
        return
    for (one, _), entry in zip(case.good_specs, found[1].entries, strict=True):
        if not entry.takes and not entry.hidden:
            near = f"; nearest is {entry.nearest}" if entry.nearest else ""
            yield Hit(one.source, f"lists no device of {found[0].name}{near}", "", one.shown)


def _vfs_missing(case: Case) -> Iterator[Hit]:
    found = case.coverage
    if found is None:
        return
    host, covered = found
    for (one, spec), entry in zip(case.good_specs, covered.entries, strict=True):
        is_vfs = spec.product_id is not None and not entry.takes
        for pf in host.facts.pfs if is_vfs else ():
            here = pf.netdev == spec.devname if spec.devname else spec.address.covers(pf.address)
            same = spec.vendor_id in (None, pf.vendor_id) and spec.product_id != pf.product_id
            if here and same and not pf.num_vfs:
                name = f"{pf.address}{f' ({pf.netdev})' if pf.netdev else ''}"
                says = f"{name} has none of its {pf.total_vfs} VFs, of which this may list some"
                yield Hit(one.source, says, "make them: `lanekeeper host plan`", one.shown)


def _hidden(case: Case) -> Iterator[Hit]:
    found = case.coverage
    if found is None:
        return
    specs = list(case.good_specs)
    for (one, _), entry in zip(specs, found[1].entries, strict=True):
        if entry.hidden and not entry.takes:
            first = specs[entry.hidden[0][1]][0].source
            devices = tuple(device for device, _ in entry.hidden)
            says = f"all that it selects is listed before, first in {first}: {listed(devices)}"
            yield Hit(one.source, says, "put the narrower entry first, or remove one", one.shown)


def _twice(case: Case) -> Iterator[Hit]:
    found = case.coverage
    if found is None:
        return
    specs = list(case.good_specs)
    for (one, spec), entry in zip(specs, found[1].entries, strict=True):
        differing = {
            index: tuple(device for device, at in entry.hidden if at == index)
            for index in dict.fromkeys(at for _, at in entry.hidden)
            if specs[index][1].tags != spec.tags
        }
        for index, devices in differing.items():
            says = (
                f"{listed(devices)}: listed in {specs[index][0].source} already, with other tags; "
                "the first wins"
            )
            yield Hit(one.source, says, "let each device be in one entry", one.shown)


def _alias_nothing(case: Case) -> Iterator[Hit]:
    found = case.coverage
    if found is None:
        return
    host, covered = found
    never = unsatisfiable(case)  # on no host, which is told already
    for name, alias in covered.aliases.items():
        if alias.devices or name in never:
            continue
        one = next(one for one, spec in case.good_aliases if spec.name == name)
        says = f"no device of {host.name} does for {name}"
        if alias.unlisted:
            here = f"{says}; {left_out(alias.unlisted)}"
            yield Hit(one.source, here, entry_of(alias.unlisted[0]), one.shown)
        elif covered.listed:  # where nothing is listed, each entry is told already
            near = f"; nearest is {alias.nearest}" if alias.nearest else ""
            yield Hit(one.source, says + near, "", one.shown)


def _alias_far(case: Case) -> Iterator[Hit]:
    found = case.coverage
    if found is None:
        return
    for one, alias in case.good_aliases:
        devices = found[1].aliases[alias.name].devices
        is_nowhere = devices and all(device.numa_node is None for device in devices)
        if alias.numa_policy in _NEAR and is_nowhere:
            says = (
                f"{listed(devices)}: of no NUMA node on {found[0].name}, so that numa_policy "
                f"{alias.numa_policy} gives none to a guest with NUMA nodes"
            )
            yield Hit(one.source, says, '"numa_policy": "legacy" or "preferred"', one.shown)


RULES: tuple[Rule, ...] = (
    Rule(
        id="host-management-nic",
        severity=Severity.ERROR,
        what="An entry lists the NIC that carries the host's own traffic.",
        check=_management,
        shows=spec('"vendor_id": "8086", "product_id": "1533"'),
        spares=spec(VF),
        needs_host=True,
    ),
    Rule(
        id="host-boot-disk",
        severity=Severity.ERROR,
        what="An entry lists a controller from whose disks the host has something mounted.",
        check=_boot_disk,
        shows=spec('"vendor_id": "144d", "product_id": "a804"'),
        spares=spec('"vendor_id": "8086", "product_id": "0a54"'),
        needs_host=True,
    ),
    Rule(
        id="host-storage-in-use",
        severity=Severity.WARNING,
        what="An entry lists a storage controller that a driver of the host has; whether "
        "something on its disks is needed cannot be seen.",
        check=_storage,
        shows=spec('"vendor_id": "8086", "product_id": "0a54"'),
        spares=spec(VF),
        needs_host=True,
    ),
    Rule(
        id="host-bridges",
        severity=Severity.WARNING,
        what="An entry lists bridges: it is wider than anybody means.",
        check=_bridge,
        shows=spec('"vendor_id": "8086"'),
        spares=spec(VF),
        needs_host=True,
    ),
    Rule(
        id="host-both-sides",
        severity=Severity.ERROR,
        what="A PF and VFs of its own are both listed without a physical_network, or a PF is "
        "remote_managed; an agent refuses to start.",
        check=_both_sides,
        shows=spec('"address": "0000:3b:00.0"'),
        spares=spec('"address": "0000:3b:00.0", "product_id": "10ca"'),
        needs_host=True,
    ),
    Rule(
        id="host-spec-idle",
        severity=Severity.WARNING,
        what="An entry matches no device of the host; the nearest one and the first field that "
        "differs are named.",
        check=_idle,
        shows=spec('"vendor_id": "8086", "product_id": "10cb"'),
        spares=spec(VF),
        needs_host=True,
    ),
    Rule(
        id="host-vfs-missing",
        severity=Severity.WARNING,
        what="An entry lists nothing, and a PF that it may mean has no VFs yet.",
        check=_vfs_missing,
        shows=spec(f'{VF}, "address": "0000:3b:00.1"'),
        spares=spec(f'{VF}, "address": "0000:3b:00.0"'),
        needs_host=True,
    ),
    Rule(
        id="host-spec-hidden",
        severity=Severity.WARNING,
        what="All that an entry matches on the host is listed by earlier entries.",
        check=_hidden,
        shows=spec('"address": "0000:3b:*.*"', NET),
        spares=spec(NET, '"address": "0000:3b:*.*"'),
        needs_host=True,
    ),
    Rule(
        id="host-device-twice",
        severity=Severity.WARNING,
        what="Two entries with different tags match the same devices; the first wins.",
        check=_twice,
        shows=spec(NET, '"vendor_id": "8086"'),
        spares=spec(NET, '"vendor_id": "144d"'),
        needs_host=True,
    ),
    Rule(
        id="host-alias-nothing",
        severity=Severity.WARNING,
        what="No device of the host that is listed does for the alias; the nearest one and the "
        "first reason are named, or the devices that would do and that no entry lists.",
        check=_alias_nothing,
        shows=spec(VF) + f'alias = {{"name": "a1", {VF}, "device_type": "type-PF"}}\n',
        spares=spec(VF) + f'alias = {{"name": "a1", {VF}, "device_type": "type-VF"}}\n',
        needs_host=True,
    ),
    Rule(
        id="host-alias-far",
        severity=Severity.WARNING,
        what="The alias wants devices near to the guest, and the host's firmware names no NUMA "
        "node for any that would do: a guest with NUMA nodes of its own gets none.",
        check=_alias_far,
        shows=spec(VF) + f'alias = {{"name": "a1", {VF}, "numa_policy": "required"}}\n',
        spares=spec(VF) + f'alias = {{"name": "a1", {VF}, "numa_policy": "legacy"}}\n',
        needs_host=True,
    ),
)
