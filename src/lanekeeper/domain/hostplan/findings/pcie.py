"""The way between a card and the CPU: resets, links, errors, and addresses."""

from __future__ import annotations

from collections.abc import Iterator

from lanekeeper.domain.hostplan.findings.finding import Finding, Kind, Rule, Severity
from lanekeeper.domain.hostplan.findings.sriov import named
from lanekeeper.domain.hostplan.survey import Survey
from lanekeeper.domain.pci.device import DeviceType, PciDevice

NO_RESET = Kind(
    "reset-missing",
    Severity.WARNING,
    "The kernel knows no way to reset a function that guests could have.",
    "What one guest left in the device, the next one finds: data, running DMA, a wedged state.",
    "renew the card's firmware; else give it to one guest only, for good",
)
WEAK_RESET = Kind(
    "reset-not-by-function",
    Severity.WARNING,
    "A function is reset only together with others, or by putting it to sleep.",
    "A bus reset takes every function behind the bridge with it, so VFIO refuses it while others "
    "are in use; a power-management reset may leave state behind.",
    "give all functions of the card to one guest, or use its VFs, which have FLR",
)
SLOW = Kind(
    "link-speed-low",
    Severity.WARNING,
    "A card's PCIe link is slower than card and slot could be.",
    "All its VFs share what is left of the bandwidth.",
    "reseat the card; look for another slot; see the link speed setting in the firmware",
)
NARROW = Kind(
    "link-width-low",
    Severity.WARNING,
    "A card's PCIe link has fewer lanes than the card.",
    "All its VFs share what is left of the bandwidth.",
    "use a slot with as many lanes; reseat the card; see bifurcation in the firmware",
)
CORRECTED = Kind(
    "aer-corrected-errors",
    Severity.INFO,
    "A card's link had errors that the hardware mended (AER).",
    "Each costs a repetition; many of them foretell errors that cannot be mended.",
    "reseat card and riser; watch the counter",
)
UNCORRECTED = Kind(
    "aer-uncorrected-errors",
    Severity.WARNING,
    "A card's link had errors that could not be mended (AER).",
    "Transfers were lost; the kernel may have reset the card under its guests.",
    "reseat or replace the card; see the kernel log for its AER lines",
)
OUT_OF_REACH = Kind(
    "address-not-schedulable",
    Severity.WARNING,
    "A function's PCI domain is above FFFF.",
    "Nova's device_spec and libvirt's guest XML end at domain FFFF: the device cannot be named, "
    "so not be given away. Intel's VMD makes such domains.",
    "switch off VMD for that slot in the firmware",
)

_DOMAIN_MAX = 0xFFFF
_SHARED_RESETS = frozenset(("bus", "cxl_bus", "pm"))
_UNMENDED = ("nonfatal", "fatal")
_BRIDGE = 0x06


def _for_guests(device: PciDevice) -> bool:
    return device.dev_type is not DeviceType.PCI or "vfio" in (device.driver or "")


def _resets(survey: Survey) -> Iterator[Finding]:
    """Judge PFs, VFs and what is on VFIO; of the VFs of one PF, which are alike, the first."""
    judged = set()
    for device in survey.host.devices:
        if not _for_guests(device) or (device.parent and device.parent in judged):
            continue
        methods = survey.of(device).reset_methods
        path = f"/sys/bus/pci/devices/{device.address}/reset_method"
        if device.parent and methods is not None:
            judged.add(device.parent)
        if methods == ():
            yield NO_RESET.found(named(device), "nothing can reset it", f"{path} is not there")
        elif methods and set(methods) <= _SHARED_RESETS:
            said = " ".join(methods)
            yield WEAK_RESET.found(named(device), f"reset by {said} only", f"{path} is {said!r}")


def _links(survey: Survey) -> Iterator[Finding]:
    for device in survey.host.devices:
        facts = survey.of(device)
        if device.parent or device.class_code >> 16 == _BRIDGE:
            continue  # a VF has the link of its PF; bridges sleep when nothing is below
        path = f"/sys/bus/pci/devices/{device.address}"
        if facts.speeds and facts.speeds[0] < facts.speeds[1]:
            now, most = facts.speeds
            yield SLOW.found(
                named(device),
                f"the link runs at {now:g} of {most:g} GT/s",
                f"{path}/current_link_speed is {now:g} GT/s, max_link_speed {most:g} GT/s",
            )
        if facts.widths and facts.widths[0] < facts.widths[1]:
            lanes, most_lanes = facts.widths
            yield NARROW.found(
                named(device),
                f"the link has {lanes} of {most_lanes} lanes",
                f"{path}/current_link_width is {lanes}, max_link_width {most_lanes}",
            )


def _errors(survey: Survey) -> Iterator[Finding]:
    for device in survey.host.devices:
        errors = survey.of(device).errors
        path = f"/sys/bus/pci/devices/{device.address}/aer_dev_"
        for kind in _UNMENDED:
            if counts := errors.get(kind):
                said = ", ".join(f"{name} {count}" for name, count in counts.items())
                summary = f"{sum(counts.values())} {kind} errors on its link"
                yield UNCORRECTED.found(named(device), summary, f"{path}{kind} has {said}")
        if counts := errors.get("correctable"):
            said = ", ".join(f"{name} {count}" for name, count in counts.items())
            summary = f"{sum(counts.values())} corrected errors on its link"
            yield CORRECTED.found(named(device), summary, f"{path}correctable has {said}")


def _addresses(survey: Survey) -> Iterator[Finding]:
    for device in survey.host.devices:
        if device.address.domain > _DOMAIN_MAX and device.class_code >> 16 != _BRIDGE:
            yield OUT_OF_REACH.found(
                named(device),
                f"domain {device.address.domain:x} is above ffff",
                f"/sys/bus/pci/devices/{device.address}",
            )


RULES: tuple[Rule, ...] = (
    Rule(_resets, (NO_RESET, WEAK_RESET)),
    Rule(_links, (SLOW, NARROW)),
    Rule(_errors, (CORRECTED, UNCORRECTED)),
    Rule(_addresses, (OUT_OF_REACH,)),
)
