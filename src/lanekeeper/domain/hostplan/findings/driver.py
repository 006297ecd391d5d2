"""Drivers that hand functions to guests: there, wanted, overridden, kept away."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from lanekeeper.domain.hostplan.findings.finding import Finding, Kind, Rule, Severity
from lanekeeper.domain.hostplan.survey import Line, Survey
from lanekeeper.domain.pci.device import PciDevice

VFIO = Kind("vfio-pci", Severity.OK, "vfio-pci is loaded.")
NOT_LOADED = Kind(
    "vfio-pci-not-loaded",
    Severity.INFO,
    "vfio-pci is not loaded.",
    "libvirt loads it with the first guest; a guest whose device it does not manage fails.",
    "modprobe vfio-pci; a plan with VFs does it",
)
MISSING = Kind(
    "vfio-pci-missing",
    Severity.ERROR,
    "The kernel has no vfio-pci.",
    "Nothing can be given to a guest.",
    "install the kernel package that has it (Debian's cloud kernels do not)",
)
UNREADABLE = Kind(
    "device-unreadable",
    Severity.ERROR,
    "A function cannot be read, or says what makes no sense.",
    "It is set aside: not shown, not planned with, not offered to guests.",
    "see the kernel log; reseat or replace the card",
)
ATTRIBUTE = Kind(
    "device-attribute-unreadable",
    Severity.WARNING,
    "Something that a function says of its state cannot be read, or makes no sense.",
    "The doctor has nothing more to say of that function: other trouble of it may go unseen.",
    "see the kernel log; a card that falls off the bus reads as ff everywhere",
)
HOST_UNREADABLE = Kind(
    "host-file-unreadable",
    Severity.WARNING,
    "A file of the host cannot be read, or makes no sense.",
    "What depends on it is not judged: its trouble goes unseen.",
    "run the check as root; see the kernel log",
)
OVERRIDE = Kind(
    "driver-override-unmet",
    Severity.WARNING,
    "A function is meant for one driver (driver_override) and is on another, or on none.",
    "No other driver may take it, so it lies idle, or it changes hands at the next reboot.",
)
VARIANT = Kind(
    "vfio-variant-fits",
    Severity.INFO,
    "The kernel has a VFIO driver made for this VF, and it is not in use.",
    "On plain vfio-pci the guest cannot be migrated with the device.",
)
BLACKLISTED = Kind(
    "module-blacklisted",
    Severity.WARNING,
    "A module that is needed here is kept from loading.",
    "It does not load by itself at boot (blacklist), or not at all (install … /bin/false).",
)
IDS = Kind(
    "vfio-ids-take-host-device",
    Severity.ERROR,
    "vfio-pci is told to take every device of a kind, one that the host uses among them.",
    "At the next boot the host loses that device: its network, its disks.",
    "take that id out of ids=; a policy names devices by address",
)
LINE_UNKNOWN = Kind(
    "modprobe-line-unknown",
    Severity.WARNING,
    "A line in modprobe.d begins with no word that modprobe knows.",
    "modprobe warns and passes over it; what it was meant for does not happen.",
    "options, blacklist, install, remove, alias, softdep and weakdep are known",
)
FILE_IGNORED = Kind(
    "modprobe-file-ignored",
    Severity.WARNING,
    "A file in modprobe.d does not end in .conf.",
    "modprobe passes over it.",
)

# As modprobe.d of kmod has them.
_COMMANDS = frozenset(
    ("options", "blacklist", "install", "remove", "alias", "softdep", "weakdep", "include")
)
_ALWAYS = frozenset(("vfio", "vfio_pci", "vfio_pci_core", "vfio_iommu_type1", "kvm"))


def _vfio(survey: Survey) -> Iterator[Finding]:
    host = survey.host
    if "vfio_pci" in host.modules:
        yield VFIO.found("host", "vfio-pci is loaded", "/sys/module/vfio_pci exists")
    elif "vfio_pci" in host.loadable:
        yield NOT_LOADED.found(
            "host",
            "vfio-pci is not loaded; libvirt loads it with the first guest",
            "/sys/module/vfio_pci does not exist, the module does",
        )
    else:
        yield MISSING.found(
            "host",
            "the kernel has no vfio-pci, so nothing can be given to a guest",
            f"neither /sys/module/vfio_pci nor a module of kernel {host.release or 'unknown'}",
        )


def _faults(survey: Survey) -> Iterator[Finding]:
    for name, reason in survey.host.device_faults:
        yield UNREADABLE.found(name, "this function cannot be read and is set aside", reason)
    for name, reason in survey.function_faults:
        yield ATTRIBUTE.found(name, "its state cannot be read and is not judged", reason)
    for name, reason in (*survey.host.node_faults, *survey.faults):
        yield HOST_UNREADABLE.found(name, "not judged", reason)


def _overrides(survey: Survey) -> Iterator[Finding]:
    for device in survey.host.devices:
        override = survey.of(device).override
        if override and override != device.driver:
            yield OVERRIDE.found(
                str(device.address),
                f"meant for {override}, on {device.driver or 'no driver'}",
                f"/sys/bus/pci/devices/{device.address}/driver_override is {override}",
                f"modprobe {override}; echo {device.address} > /sys/bus/pci/drivers_probe",
            )


def _variants(survey: Survey) -> Iterator[Finding]:
    """Name for each PF the variant driver that its VFs could have, once."""
    for pf in survey.host.pfs:
        for vf in survey.host.vfs_of(pf.address):
            fits = [v for v in survey.variants if fnmatchcase(_alias(vf), v.pattern)]
            if fits and (vf.driver or "") not in {variant.module for variant in fits}:
                yield VARIANT.found(
                    str(pf.address),
                    f"{fits[0].module} fits its VFs; {vf.address} is on {vf.driver or 'no driver'}",
                    f"/lib/modules/{survey.host.release}/modules.alias has "
                    f"vfio_pci:{fits[0].pattern}",
                    f"libvirt 10.0 and later choose it for a managed device; else modprobe "
                    f"{fits[0].module} and vf_driver: {fits[0].module} in the policy",
                )
                break


def _alias(device: PciDevice) -> str:
    """Return the name by which drivers are matched; VFIO's do not ask for the subsystem.

    Source: Linux scripts/mod/file2alias.c, do_pci_entry().
    """
    base, sub, interface = device.class_code.to_bytes(3)
    return (
        f"v{device.vendor_id:08X}d{device.product_id:08X}sv{0:08X}sd{0:08X}"
        f"bc{base:02X}sc{sub:02X}i{interface:02X}"
    )


def _blacklists(survey: Survey) -> Iterator[Finding]:
    needed = _ALWAYS | {
        (device.driver or "").replace("-", "_") for device in survey.host.devices if device.driver
    }
    for line in survey.modprobe:
        words = line.text.split()
        module = words[1].replace("-", "_") if len(words) > 1 else ""
        if module not in needed:
            continue
        if words[0] == "blacklist" or (words[0] == "install" and words[2:3] and _is_no(words[2])):
            yield BLACKLISTED.found(
                module,
                f"{module} is kept from loading",
                str(line),
                f"take the line out of /{line.path}, then renew the initramfs",
            )


def _is_no(command: str) -> bool:
    return command.rpartition("/")[2] in ("false", "true")


def _ids(survey: Survey) -> Iterator[Finding]:
    used = {i.device: i for i in survey.host.interfaces if i.carries}
    for source, ids in _ids_said(survey):
        for device in survey.host.devices:
            if (device.vendor_id, device.product_id) in ids and device.address in used:
                name = used[device.address].name
                yield IDS.found(
                    f"{device.address} ({name})",
                    f"vfio-pci will take {name}, which carries the host's traffic",
                    source,
                )


def _ids_said(survey: Survey) -> Iterator[tuple[str, set[tuple[int, int]]]]:
    for line in survey.modprobe:
        words = line.text.split()
        if words[0] == "options" and words[1:2] and words[1].replace("-", "_") == "vfio_pci":
            for word in words[2:]:
                if word.startswith("ids="):
                    yield str(line), _parse_ids(word[4:])
    for word in survey.host.cmdline:
        if word.replace("-", "_").startswith("vfio_pci.ids="):
            yield f"/proc/cmdline has {word}", _parse_ids(word.partition("=")[2])


def _parse_ids(text: str) -> set[tuple[int, int]]:
    found = set()
    for entry in text.split(","):
        parts = entry.split(":")
        try:
            found.add((int(parts[0], 16), int(parts[1], 16)))
        except (ValueError, IndexError):
            continue  # vfio-pci warns and passes over it as well
    return found


def _modprobe(survey: Survey) -> Iterator[Finding]:
    for line in survey.modprobe:
        if (word := line.text.split()[0]) not in _COMMANDS:
            yield LINE_UNKNOWN.found(_file(line), f"{word!r} is no command of modprobe", str(line))
    for name in survey.modprobe_ignored:
        yield FILE_IGNORED.found(
            f"/{name}",
            "modprobe does not read this file",
            f"/{name} does not end in .conf",
            f"mv /{name} /{name}.conf",
        )


def _file(line: Line) -> str:
    return f"/{line.path}"


RULES: tuple[Rule, ...] = (
    Rule(_vfio, (VFIO, NOT_LOADED, MISSING)),
    Rule(_faults, (UNREADABLE, ATTRIBUTE, HOST_UNREADABLE)),
    Rule(_overrides, (OVERRIDE,)),
    Rule(_variants, (VARIANT,)),
    Rule(_blacklists, (BLACKLISTED,)),
    Rule(_ids, (IDS,)),
    Rule(_modprobe, (LINE_UNKNOWN, FILE_IGNORED)),
)
