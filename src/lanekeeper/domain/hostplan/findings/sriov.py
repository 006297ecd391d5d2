"""PFs, the VFs they have and could have, and what keeps them from more."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lanekeeper.domain.hostplan.findings.finding import Finding, Kind, Rule, Severity
from lanekeeper.domain.hostplan.survey import FunctionFacts, Region, Survey
from lanekeeper.domain.pci.device import PciDevice

MISSING = Kind(
    "sriov-missing",
    Severity.WARNING,
    "No device can create VFs.",
    "Only whole cards can be given to guests.",
    "switch on SR-IOV in the firmware and in the card's own settings",
)
PRESENT = Kind("vfs-present", Severity.OK, "A PF has VFs.")
NONE = Kind(
    "vfs-missing",
    Severity.WARNING,
    "A PF has no VFs.",
    "There is nothing of this card to give to guests yet.",
)
NO_DRIVER = Kind(
    "pf-without-driver",
    Severity.WARNING,
    "A PF has no driver.",
    "VFs are created by the driver of the PF.",
    "load the driver of the PF",
)
PF_ON_VFIO = Kind(
    "pf-on-vfio",
    Severity.WARNING,
    "A PF is bound to a VFIO driver.",
    "The whole card is for one guest; the host creates no VFs on it, and those that are left have "
    "no one to set their MAC and VLAN.",
    "driverctl unset-override, or rebind it to its network driver, if VFs are wanted",
)
LINK_DOWN = Kind(
    "pf-link-down",
    Severity.WARNING,
    "The interface of a PF is down.",
    "VFs have no link while the PF is down, with most cards.",
)
BARS = Kind(
    "vf-bars-missing",
    Severity.ERROR,
    "The VFs of a PF were given no memory windows (BARs).",
    "Creating VFs fails with 'not enough MMIO resources for SR-IOV'.",
    "switch on SR-IOV and Above 4G Decoding in the firmware, or kernel_arguments: [pci=realloc]",
)
DEVICE_BARS = Kind(
    "bars-missing",
    Severity.ERROR,
    "A device was given no memory window (BAR) although it asks for one.",
    "Its driver does not load, and no guest can use it.",
    "switch on Above 4G Decoding in the firmware, or kernel_arguments: [pci=realloc]",
)
BUS_NUMBERS = Kind(
    "vf-bus-numbers-missing",
    Severity.ERROR,
    "The last VFs of a PF would lie past the bus numbers that its slot has.",
    "Creating that many VFs fails with 'SR-IOV: bus number out of range'.",
    "switch on SR-IOV or ARI in the firmware, or kernel_arguments: ['pci=assign-busses']",
)
REALLOC = Kind(
    "pci-realloc",
    Severity.INFO,
    "The kernel hands out memory windows anew (pci=realloc).",
    "It mends firmware that forgot the VFs; a card whose windows do not fit may lose them instead.",
    "take it out where the firmware knows SR-IOV",
)
ARI = Kind(
    "ari-missing",
    Severity.WARNING,
    "A PF could have more VFs than fit in its bus without ARI.",
    "Without Alternative Routing-ID a bus holds 8 functions of a card: VFs need further bus "
    "numbers, or are not seen.",
    "switch on ARI in the firmware, or use a slot whose root port has it",
)
TOO_MANY = Kind(
    "max-vfs-too-many",
    Severity.ERROR,
    "max_vfs asks for more VFs than the card has.",
    "The driver takes the highest that it knows and says so in the log only, or makes none.",
)
MAX_VFS = Kind(
    "max-vfs-option",
    Severity.WARNING,
    "VFs are made by the option max_vfs of the driver.",
    "It counts for every card of that driver, the one that carries the management address too; "
    "drivers newer than igb and ixgbe do not have it, and it is deprecated in these.",
)
HOST_DRIVER = Kind(
    "vfs-on-host-driver",
    Severity.INFO,
    "VFs are bound to a driver of the host.",
    "libvirt moves a managed VF to VFIO and back; until then the host has an interface for each, "
    "which its network services may configure.",
)

_UNSET = 0x20000000  # Linux include/linux/ioport.h, IORESOURCE_UNSET: nothing was assigned
_WINDOW = 0x300  # IORESOURCE_IO is 0x100, IORESOURCE_MEM 0x200
_PER_BUS = 8  # functions of one device number
_MAX_VFS = re.compile(r"(?:(\w+)\.)?max_vfs=([\d,]+)")


def _pfs(survey: Survey) -> Iterator[Finding]:
    if not survey.host.pfs:
        yield MISSING.found(
            "host",
            "no device can create VFs",
            "no function in /sys/bus/pci/devices has sriov_totalvfs above 0",
        )
    for pf in survey.host.pfs:
        yield from _pf(pf, survey)


def _pf(pf: PciDevice, survey: Survey) -> Iterator[Finding]:
    subject = named(pf)
    home = f"/sys/bus/pci/devices/{pf.address}"
    evidence = f"{home}/sriov_numvfs is {pf.num_vfs}, sriov_totalvfs {pf.total_vfs}"
    summary = f"VFs {pf.num_vfs} of {pf.total_vfs}"
    if pf.num_vfs:
        yield PRESENT.found(subject, summary, evidence)
    else:
        fix = f'policy: pfs: [{{pf: "{pf.address}", vfs: {pf.total_vfs}}}]'
        yield NONE.found(subject, summary, evidence, fix)
    if pf.driver is None:
        no_driver = "the PF has no driver, so it cannot create VFs"
        yield NO_DRIVER.found(subject, no_driver, f"{home} has no driver link")
    elif "vfio" in pf.driver:
        yield PF_ON_VFIO.found(
            subject, f"the PF is on {pf.driver}", f"{home}/driver leads to {pf.driver}"
        )
    interface = survey.host.link_of(pf)
    if interface is not None and not interface.is_up:
        yield LINK_DOWN.found(
            subject,
            f"{interface.name} is down, so its VFs have no link",
            f"/sys/class/net/{interface.name}/flags lacks IFF_UP",
            f"link: up in the policy, or ip link set {interface.name} up",
        )


def named(device: PciDevice) -> str:
    """Return the address with the interface's name, where there is one."""
    return f"{device.address}{f' ({device.netdev})' if device.netdev else ''}"


def _windows(survey: Survey) -> Iterator[Finding]:
    missing = False
    for device in survey.host.devices:
        facts = survey.of(device)
        path = f"/sys/bus/pci/devices/{device.address}/resource"
        for region in facts.regions:
            if _is_unset(region) and device.parent is None:
                missing = True
                yield DEVICE_BARS.found(
                    named(device),
                    f"BAR {region.number} has no address",
                    f"{path}:{region.number + 1} has no start, flags {region.flags:#x}",
                )
        if device.total_vfs and (finding := _vf_windows(device, facts, survey, path)):
            missing = True
            yield finding
    realloc = [word for word in survey.host.cmdline if re.match(r"pci=.*realloc(?!=off)", word)]
    if realloc and not missing:
        evidence = f"/proc/cmdline has {realloc[0]}"
        yield REALLOC.found("host", "the kernel hands out PCI windows anew", evidence)


def _vf_windows(pf: PciDevice, facts: FunctionFacts, survey: Survey, path: str) -> Finding | None:
    logged = [
        line
        for line in survey.log.lines
        if str(pf.address) in line and "not enough MMIO resources for SR-IOV" in line
    ]
    unset = [region for region in facts.vf_regions if _is_unset(region)]
    if logged:
        evidence = f"/{survey.log.source} has {logged[0]!r}"
    elif unset:
        numbers = ", ".join(str(region.number) for region in unset)
        evidence = f"{path}: VF BAR {numbers} has no start"
    else:
        return None
    return BARS.found(named(pf), "its VFs have no room in memory", evidence)


def _is_unset(region: Region) -> bool:
    return bool(region.flags & _WINDOW) and (region.start == 0 or bool(region.flags & _UNSET))


def _numbers(survey: Survey) -> Iterator[Finding]:
    for pf in survey.host.pfs:
        facts = survey.of(pf)
        path = f"/sys/bus/pci/devices/{pf.address}"
        if facts.offset and facts.above:
            first = pf.address.bus << 8 | pf.address.slot << 3 | pf.address.function
            last = first + facts.offset + (pf.total_vfs - 1) * (facts.stride or 0)
            bridge = survey.bridges.get(facts.above[0])
            if bridge and bridge.last_bus is not None and last >> 8 > bridge.last_bus:
                room = sum(
                    first + facts.offset + index * (facts.stride or 0) >> 8 <= bridge.last_bus
                    for index in range(pf.total_vfs)
                )
                yield BUS_NUMBERS.found(
                    named(pf),
                    f"bus numbers for {room} VFs of {pf.total_vfs}",
                    f"{path}/sriov_offset is {facts.offset}, sriov_stride {facts.stride}: VF "
                    f"{pf.total_vfs - 1} is on bus {last >> 8:02x}; subordinate_bus_number of "
                    f"{facts.above[0]} is {bridge.last_bus} ({bridge.last_bus:02x})",
                )
        if facts.ari is False and pf.total_vfs >= _PER_BUS:
            yield ARI.found(
                named(pf), f"{pf.total_vfs} VFs without ARI", f"{path}/ari_enabled is 0"
            )


def _max_vfs(survey: Survey) -> Iterator[Finding]:
    """Read the module option, which counts for all cards of a driver, one number each or one."""
    for module, counts, source in max_vfs_options(survey):
        pfs = [pf for pf in survey.host.pfs if (pf.driver or "").replace("-", "_") == module]
        wanted = max_vfs_each(counts, len(pfs))
        for pf, asked in zip(pfs, wanted, strict=True):
            if asked > pf.total_vfs:
                yield TOO_MANY.found(
                    named(pf),
                    f"max_vfs is {asked}, and the card has at most {pf.total_vfs}",
                    f"{source}; sriov_totalvfs is {pf.total_vfs}",
                    f'policy: pfs: [{{pf: "{pf.address}", vfs: {pf.total_vfs}}}]',
                )
        entries = ", ".join(
            f'{{pf: "{pf.address}", vfs: {min(asked, pf.total_vfs)}}}'
            for pf, asked in zip(pfs, wanted, strict=True)
            if asked
        )
        yield MAX_VFS.found(
            module,
            f"max_vfs makes VFs on every card of {module}",
            source,
            f"take it out; policy: pfs: [{entries}]" if entries else "take it out",
        )


def max_vfs_each(counts: str, cards: int) -> list[int]:
    """Return how many VFs each card of the driver gets. One number is for every card.

    Source: Linux ``drivers/net/ethernet/intel/igb/igb_main.c``, max_vfs; where a driver takes
    several numbers, each is for one card, in bus order.
    """
    numbers = [int(count or 0) for count in counts.split(",")]
    return numbers * cards if len(numbers) == 1 else [*numbers, *[0] * cards][:cards]


def max_vfs_options(survey: Survey) -> Iterator[tuple[str, str, str]]:
    """Yield each ``max_vfs`` that counts: module, numbers with commas between, where it stands."""
    for line in survey.modprobe:
        words = line.text.split()
        if words[0] == "options" and len(words) > 1:
            for word in words[2:]:
                if found := _MAX_VFS.fullmatch(word):
                    yield words[1].replace("-", "_"), found[2], str(line)
    last: dict[str, tuple[str, str]] = {}  # by module: the last word counts
    for word in survey.host.cmdline:
        if (found := _MAX_VFS.fullmatch(word)) and found[1]:
            last[found[1].replace("-", "_")] = found[2], f"/proc/cmdline has {word}"
    for module, (counts, source) in last.items():
        if counts.strip("0,"):
            yield module, counts, source


def _drivers(survey: Survey) -> Iterator[Finding]:
    for pf in survey.host.pfs:
        vfs = survey.host.vfs_of(pf.address)
        bound = [vf for vf in vfs if vf.driver and "vfio" not in vf.driver]
        if bound:
            drivers = ", ".join(sorted({vf.driver or "" for vf in bound}))
            yield HOST_DRIVER.found(
                named(pf),
                f"{len(bound)} of {len(vfs)} VFs are on {drivers}",
                f"/sys/bus/pci/devices/{bound[0].address}/driver leads to {bound[0].driver}",
                "vf_driver: none in the policy (sriov_drivers_autoprobe 0)",
            )


RULES: tuple[Rule, ...] = (
    Rule(_pfs, (MISSING, PRESENT, NONE, NO_DRIVER, PF_ON_VFIO, LINK_DOWN)),
    Rule(_windows, (BARS, DEVICE_BARS, REALLOC)),
    Rule(_numbers, (BUS_NUMBERS, ARI)),
    Rule(_max_vfs, (TOO_MANY, MAX_VFS)),
    Rule(_drivers, (HOST_DRIVER,)),
)
