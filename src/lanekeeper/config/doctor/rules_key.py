"""Rules about keys and single values: old, gone, misspelt, overridden, refused."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from lanekeeper.config.correction import corrected, meant
from lanekeeper.config.doctor.case import Case, Line, in_order, is_secret
from lanekeeper.config.doctor.finding import Hit, Rule, shortened
from lanekeeper.config.doctor.rules_filter import unknown_filters
from lanekeeper.config.doctor.source import Source
from lanekeeper.config.doctor.unread import (
    gone_why,
    is_homeless,
    moved_to,
    option_meant_by,
    replaced_by,
    unread,
)
from lanekeeper.config.file import NO_SECTION
from lanekeeper.config.home import VIO_NAMES
from lanekeeper.config.names import GUIDE_NAMES, OWN_SECTIONS, homes, is_specific
from lanekeeper.domain.hostplan.findings.finding import Severity

_PER_SERVICE = ("keystone_authtoken", "placement", "placement_database", "cors", "oslo_policy")
"""Sections that each OpenStack service has in a file of its own, with values of its own."""
_NEAR_VALUE = 0.7
_HOMES_TOLD = 3
_SPEC = '{"vendor_id": "8086", "product_id": "10ca"}'
_ALIAS = '{"name": "a1", "vendor_id": "8086", "product_id": "10ca"}'


def _is_guides(line: Line) -> bool:
    return (line.assignment.section or "pci", line.assignment.key) in GUIDE_NAMES


def _old(case: Case) -> Iterator[Hit]:
    for line in case.lines:
        if line.option and line.is_old and line.assignment.section != NO_SECTION:
            yield Hit(line.source, f"{line.place} is an old name", f"{line.option.name} = ...")
        elif moved := moved_to(line):
            name, why = moved
            says = f"{line.place} is an old name of Nova's; Lanekeeper reads neither, since {why}"
            yield Hit(line.source, says, f"{name} = ..., or remove the line")
        elif replaced := replaced_by(line):
            right, why = replaced
            yield Hit(line.source, f"{line.place} is an old name that is not read: {why}", right)


def _outside(case: Case) -> Iterator[Hit]:
    for line in case.lines:
        if line.assignment.section == NO_SECTION and not line.assignment.is_vio and line.option:
            yield Hit(
                line.source,
                f"{line.assignment.key} stands before any section, as old guides print it; "
                "oslo.config refuses such a file",
                f"{line.option.name} = ...",
            )


def _guides(case: Case) -> Iterator[Hit]:
    for line in case.lines:
        if line.option and _is_guides(line):
            yield Hit(
                line.source,
                f"{line.assignment.key} is printed by the guide, but nothing reads it, and a "
                "start refuses it",
                "; ".join(meant(line.option, line.value)) or f"{line.option.name} = ...",
            )


def _gone(case: Case) -> Iterator[Hit]:
    for line in case.lines:
        if why := gone_why(line):
            yield Hit(line.source, f"{line.place} no longer exists: {why}", "remove the line")


def _misspelt(case: Case) -> Iterator[Hit]:
    for line in case.lines:
        if option := option_meant_by(line):
            yield Hit(line.source, f"{line.place} is read by nobody", f"{option.name} = ...")
    for one in _vio_unread(case):
        if close := get_close_matches(one.assignment.key, VIO_NAMES, n=1, cutoff=_NEAR_VALUE):
            yield Hit(one.source, f"{one.assignment.key} is read by nobody", f"{close[0]}: ...")


def _homeless(case: Case) -> Iterator[Hit]:
    for line in case.lines:
        if is_homeless(line) and option_meant_by(line) is None:
            found = [f"[{section}] above it" for section in homes(line.assignment.key)]
            yield Hit(
                line.source,
                f"{line.assignment.key} stands before any section: nobody reads it, and "
                "oslo.config refuses the file",
                " or ".join(found) if 0 < len(found) <= _HOMES_TOLD else "its [section] above it",
            )


def _nobodys(case: Case) -> Iterator[Hit]:
    for line, near in unread(case):
        is_own = line.assignment.section in OWN_SECTIONS
        if is_own or is_homeless(line) or option_meant_by(line) is not None:
            continue
        key, says = line.assignment.key, f"{line.place} is neither Lanekeeper's nor OpenStack's"
        found = homes(key) if is_specific(key) else ()
        if len(found) == 1:
            says = f"{line.place} is read by nobody: OpenStack has {key} in another section"
        right = f"[{found[0]}] {key}" if len(found) == 1 else near
        fix = f"{right} = ..." if right else "remove the line, unless something else reads it"
        yield Hit(line.source, says, fix)


def _own_unknown(case: Case) -> Iterator[Hit]:
    for line, near in unread(case):
        if line.assignment.section in OWN_SECTIONS:
            fix = f"{near} = ..." if near else "the reference lists all keys"
            yield Hit(line.source, f"there is no key {line.place}; a start is refused", fix)


def _vio_unread(case: Case) -> Iterator[Line]:
    return (line for line in case.lines if line.assignment.is_vio and line.option is None)


def _vio(case: Case) -> Iterator[Hit]:
    unread: dict[str, list[str]] = {}
    for line in _vio_unread(case):
        unread.setdefault(line.source.file, []).append(line.assignment.key)
    for file, keys in unread.items():
        names = list(dict.fromkeys(keys))
        yield Hit(
            Source(file),
            f"of a custom.yml only {' and '.join(VIO_NAMES)} are read",
            found=f"{len(names)} other keys: {', '.join(names)}",
        )


def _overridden(case: Case) -> Iterator[tuple[Line, Line]]:
    """Yield each line that does not count, and the one that does."""
    by_option: dict[str, list[Line]] = {}
    for line in case.lines:
        if line.option is not None and not line.option.multiple:
            is_own = line.option.section in _PER_SERVICE
            owner = f"{line.source.file} " if is_own else ""
            by_option.setdefault(f"{owner}{line.option.name}", []).append(line)
    for lines in map(in_order, by_option.values()):
        yield from ((line, lines[-1]) for line in lines[:-1])


def _shown(line: Line) -> str:
    return "another one" if is_secret(line.assignment.key) else shortened(repr(line.value))


def _contradicted(case: Case) -> Iterator[Hit]:
    for line, last in _overridden(case):
        if line.value != last.value:
            is_newer = line.source.file == last.source.file and last.rank < line.rank
            yield Hit(
                line.source,
                f"{line.place} does not count: {last.source} says {_shown(last)}, and the "
                f"{'newer name' if is_newer else 'last'} wins",
                "keep one of both lines",
            )


def _repeated(case: Case) -> Iterator[Hit]:
    for line, last in _overridden(case):
        if line.value == last.value:
            yield Hit(line.source, f"{last.source} says the same again", "keep one of both lines")


def _refused(case: Case) -> Iterator[Hit]:
    for line in case.lines:
        error = case.error_of(line)
        if error is not None and not unknown_filters(line):
            assert line.option is not None
            fix = "; ".join(corrected(line.option, line.value)) or error.hint
            yield Hit(line.source, f"a start refuses this: {error}", fix)


def _report_off(case: Case) -> Iterator[Hit]:
    for key in ("[pci] report_in_placement", "[filter_scheduler] pci_in_placement"):
        line = case.last(key)
        if line is not None and case.value(key) is False:
            yield Hit(
                line.source,
                "has no effect: Placement shows and schedules every device",
                "remove the line, unless a Nova reads this file too",
            )


def _workarounds(case: Case) -> Iterator[Hit]:
    for line in case.lines:
        if line.assignment.section == "workarounds":
            yield Hit(
                line.source,
                f"{line.place} works around a defect of OpenStack's and has no effect here",
                "remove the line, unless an OpenStack service reads this file too",
            )


RULES: tuple[Rule, ...] = (
    Rule(
        id="key-old",
        severity=Severity.WARNING,
        what="The key has another name today. It is read under the old one too, if it is read.",
        check=_old,
        shows=f"[DEFAULT]\npci_passthrough_whitelist = {_SPEC}\n",
        spares=f"[pci]\ndevice_spec = {_SPEC}\n",
    ),
    Rule(
        id="key-outside-section",
        severity=Severity.WARNING,
        what="The key stands before any section. OpenStack refuses such a file; here it is read "
        "for the section where it belongs.",
        check=_outside,
        shows=f"pci_alias = {_ALIAS}\n",
        spares=f"[pci]\nalias = {_ALIAS}\n",
    ),
    Rule(
        id="key-without-section",
        severity=Severity.ERROR,
        what="The line stands before any section, and nothing tells for whom: it means nothing "
        "to anybody, and OpenStack refuses the file.",
        check=_homeless,
        shows="virt_type = kvm\n",
        spares="[libvirt]\nvirt_type = kvm\n",
    ),
    Rule(
        id="key-of-a-guide",
        severity=Severity.ERROR,
        what="Nova's guide prints `dev_spec`, a name that no release has read; nothing is listed.",
        check=_guides,
        shows=f"[pci]\ndev_spec = {_SPEC}\n",
        spares=f"[pci]\ndevice_spec = {_SPEC}\n",
    ),
    Rule(
        id="key-gone",
        severity=Severity.WARNING,
        what="Older releases had the key; nothing replaces it, and nothing has to.",
        check=_gone,
        shows="[ml2_sriov]\nagent_required = True\n",
        spares="[ml2]\nmechanism_drivers = sriovnicswitch\n",
    ),
    Rule(
        id="key-misspelt",
        severity=Severity.ERROR,
        what="Nobody reads the key, but it looks like one that Lanekeeper reads, or stands in "
        "the wrong section. What it was meant to say is not said.",
        check=_misspelt,
        shows="[sriov]\nphysical_device_mappings = physnet1:ens1f0\n",
        spares="[sriov_nic]\nphysical_device_mappings = physnet1:ens1f0\n",
    ),
    Rule(
        id="key-unknown",
        severity=Severity.WARNING,
        what="Neither Lanekeeper nor OpenStack reads the key.",
        check=_nobodys,
        shows="[libvirt]\nvirt_typ = kvm\n",
        spares="[libvirt]\nvirt_type = kvm\n",
    ),
    Rule(
        id="key-own-unknown",
        severity=Severity.ERROR,
        what="An unknown key in `[lanekeeper]` or `[health]`, our own, refuses the start.",
        check=_own_unknown,
        shows="[lanekeeper]\nlistn = 127.0.0.1:8774\n",
        spares="[lanekeeper]\nlisten = 127.0.0.1:8774\n",
    ),
    Rule(
        id="vio-keys-unread",
        severity=Severity.INFO,
        what="Of VMware Integrated OpenStack's custom.yml only the two keys about PCI devices are "
        "read; vSphere's own have nothing to say to KVM.",
        check=_vio,
        shows="==> custom.yml <==\nnova_cpu_allocation_ratio: 4\n",
        spares="==> custom.yml <==\n"
        'nova_pci_alias: [{"name": "a1", "vendor_id": "8086", "product_id": "10ca"}]\n',
    ),
    Rule(
        id="key-contradicted",
        severity=Severity.WARNING,
        what="The same key has another value further down or in a later file, and the last wins; "
        "in one file today's name wins over an old one, wherever they stand.",
        check=_contradicted,
        shows="[DEFAULT]\nreserved_host_cpus = 1\nreserved_host_cpus = 2\n",
        spares=f"[pci]\ndevice_spec = {_SPEC}\ndevice_spec = "
        '{"vendor_id": "8086", "product_id": "1520"}\n',
    ),
    Rule(
        id="key-repeated",
        severity=Severity.INFO,
        what="The same key has the same value again.",
        check=_repeated,
        shows="[DEFAULT]\nreserved_host_cpus = 1\nreserved_host_cpus = 1\n",
        spares="[DEFAULT]\nreserved_host_cpus = 1\n",
    ),
    Rule(
        id="value-refused",
        severity=Severity.ERROR,
        what="The value is outside of what the key takes; a start is refused.",
        check=_refused,
        shows="[ml2_type_vlan]\nnetwork_vlan_ranges = physnet1:15:4095\n",
        spares="[ml2_type_vlan]\nnetwork_vlan_ranges = physnet1:15:4094\n",
    ),
    Rule(
        id="placement-switched-off",
        severity=Severity.INFO,
        what="`report_in_placement` and `pci_in_placement` are read, and false has no effect.",
        check=_report_off,
        shows="[pci]\nreport_in_placement = false\n",
        spares="[pci]\nreport_in_placement = true\n",
    ),
    Rule(
        id="workaround",
        severity=Severity.INFO,
        what="Keys of `[workarounds]` switch around defects of OpenStack's own services.",
        check=_workarounds,
        shows="[workarounds]\noptimize_for_wide_provider_trees = true\n",
        spares="[pci]\nreport_in_placement = true\n",
    ),
)
