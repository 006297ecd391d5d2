"""Whether VFs and options are there after a reboot, and the files that were to see to it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches

from lanekeeper.domain.hostplan.findings.finding import Finding, Kind, Rule, Severity
from lanekeeper.domain.hostplan.findings.sriov import max_vfs_options, named
from lanekeeper.domain.hostplan.persistence import POLICY_FILE, UNIT_LINK
from lanekeeper.domain.hostplan.survey import Line, Survey
from lanekeeper.domain.pci.device import PciDevice

NOT_PERSISTENT = Kind(
    "vfs-not-persistent",
    Severity.WARNING,
    "A PF has VFs that nothing creates at boot.",
    "After a reboot they are gone: guests that hold them do not start, and the scheduler sees no "
    "devices.",
)
RC_LOCAL = Kind(
    "vfs-from-rc-local",
    Severity.WARNING,
    "VFs are created by rc.local.",
    "systemd runs it beside other units, not before them: libvirt, Open vSwitch and the agents may "
    "start before the VFs are there, and may not find them.",
)
TWO_OWNERS = Kind(
    "vf-count-two-owners",
    Severity.WARNING,
    "More than one thing gives a PF its VFs at boot.",
    "A count changes through none only: whoever comes second fails, or takes the VFs of the first "
    "away; which one that is may change with each boot.",
    "leave one of them; policy: pfs: … with persist: true sets the count before guests start",
)
MISSPELT = Kind(
    "sysfs-name-misspelt",
    Severity.WARNING,
    "A file that runs at boot writes to a name that sysfs does not have.",
    "The write fails, at boot, where no one sees it; no VFs are made.",
)
INITRAMFS = Kind(
    "initramfs-lacks-option",
    Severity.WARNING,
    "An option in modprobe.d is not in the initramfs that loads the module.",
    "The module is loaded before the root file system is there, without the option; loading it "
    "again later changes nothing.",
)

_SYSFS_NAME = re.compile(r"[/{\"']((?:device/)?sriov_?\w*)")
_WRITTEN = re.compile(r"\b(?:echo|printf)\s+(?:-n\s+)?[\"']?(\d{1,9})\b.*sriov_numvfs")
# Linux Documentation/ABI/testing/sysfs-bus-pci
_NAMES = (
    "sriov_numvfs",
    "sriov_totalvfs",
    "sriov_drivers_autoprobe",
    "sriov_offset",
    "sriov_stride",
    "sriov_vf_device",
    "sriov_vf_total_msix",
    "sriov_vf_msix_count",
)


def _is_rc_local(line: Line) -> bool:
    return line.path.endswith("rc.local")


def _vfs(survey: Survey) -> Iterator[Finding]:
    host = survey.host
    if host.files.get(UNIT_LINK) is not None and host.files.get(POLICY_FILE) is not None:
        return  # the policy brings them back
    for pf in host.pfs:
        if pf.num_vfs and not _kept(pf, survey):
            looked = ", ".join(f"/{name}" for name in survey.boot_files)
            yield NOT_PERSISTENT.found(
                named(pf),
                f"its {pf.num_vfs} VFs will be gone after a reboot",
                f"sriov_numvfs is {pf.num_vfs}; no line for it in {looked or 'files run at boot'}, "
                "no max_vfs in /etc/modprobe.d",
                f'policy: pfs: [{{pf: "{pf.address}", vfs: {pf.num_vfs}}}], persist: true',
            )


def _kept(pf: PciDevice, survey: Survey) -> bool:
    driver = _module(pf.driver or "")
    for line in survey.modprobe:
        parts = line.text.split()
        is_meant = parts[0] == "options" and [*map(_module, parts[1:2])] == [driver]
        if is_meant and "max_vfs=" in line.text:
            return True
    words = (word.partition(".") for word in survey.host.cmdline)
    options = (option for module, _, option in words if _module(module) == driver)
    counts = [option for option in options if option.startswith("max_vfs=")]
    if counts and counts[-1].partition("=")[2].strip("0,"):  # the last word counts
        return True
    whose = (*survey.host.vf_counts_of(pf), *(a for a in survey.host.vf_counts if not a.marks))
    return any(line.count != 0 for line in whose)


def _two_owners(survey: Survey) -> Iterator[Finding]:
    given = [each for each in max_vfs_options(survey) if each[1].strip("0,")]
    options = {module: source for module, _, source in given}
    for pf in survey.host.pfs:
        owners = {line.path: str(line) for line in survey.host.vf_counts_of(pf)}
        if option := options.get(_module(pf.driver or "")):
            owners["max_vfs"] = option
        if len(owners) > 1:
            yield TWO_OWNERS.found(
                named(pf), f"{len(owners)} things give it VFs at boot", "; ".join(owners.values())
            )


def _module(name: str) -> str:
    """Return a module's name as the kernel has it: to modprobe both dashes are one."""
    return name.replace("-", "_")


def _speaks_of(line: Line, names: set[str]) -> bool:
    return any(
        re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", line.text) for name in names if name
    )


def _sysfs_names(line: Line) -> Iterator[str]:
    """Yield what of sysfs a line names that begins with ``sriov``."""
    for found in _SYSFS_NAME.findall(line.text):
        yield found.removeprefix("device/")


def _rc_local(survey: Survey) -> Iterator[Finding]:
    for line in survey.boot:
        wrong = [name not in _NAMES for name in _sysfs_names(line)]
        if wrong and all(wrong):
            continue  # makes no VFs, and is another finding
        if _is_rc_local(line) and "sriov_" in line.text:
            yield RC_LOCAL.found(
                f"/{line.path}",
                "VFs are created by rc.local, which waits for nothing and for which nothing waits"
                f"{_too_many(line, survey)}",
                str(line),
                "take the line out; policy: pfs: … with persist: true makes a unit that runs "
                "before libvirtd and Open vSwitch",
            )


def _too_many(line: Line, survey: Survey) -> str:
    """Say what comes of a count that the card cannot have.

    Source: Linux ``drivers/pci/pci-sysfs.c``, sriov_numvfs_store(): ERANGE, and nothing changes.
    """
    found = _WRITTEN.search(line.text)
    for pf in survey.host.pfs if found else ():
        most = pf.total_vfs
        if found and int(found[1]) > most and _speaks_of(line, {str(pf.address), pf.netdev or ""}):
            return f"; {named(pf)} can have at most {most} VFs, so that {found[1]} makes none"
    return ""


def _misspelt(survey: Survey) -> Iterator[Finding]:
    for line in survey.boot:
        for name in _sysfs_names(line):
            if name in _NAMES:
                continue
            near = get_close_matches(name, _NAMES, n=1)
            meant = f", {near[0]} is meant" if near else ""
            yield MISSPELT.found(
                f"/{line.path}",
                f"sysfs has no {name}{meant}",
                str(line),
                f"write {near[0]}" if near else f"one of {', '.join(_NAMES)}",
            )


def _initramfs(survey: Survey) -> Iterator[Finding]:
    initramfs = survey.initramfs
    if initramfs is None:
        return
    for line in survey.modprobe:
        words = line.text.split()
        module = _module(words[1]) if len(words) > 1 else ""
        if words[0] not in ("options", "blacklist") or module not in initramfs.modules:
            continue
        if " ".join(words) not in initramfs.modprobe:
            yield INITRAMFS.found(
                module,
                f"/{initramfs.path} loads {module} without {' '.join(words[2:]) or words[0]}",
                f"{line}; /{initramfs.path} has {module} and not that line",
                "update-initramfs -u -k all (Debian, Ubuntu) or dracut --force (Red Hat, SUSE)",
            )


RULES: tuple[Rule, ...] = (
    Rule(_vfs, (NOT_PERSISTENT,)),
    Rule(_rc_local, (RC_LOCAL,)),
    Rule(_two_owners, (TWO_OWNERS,)),
    Rule(_misspelt, (MISSPELT,)),
    Rule(_initramfs, (INITRAMFS,)),
)
