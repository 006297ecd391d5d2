"""Rules about device_spec entries: what they select, each by itself and against each other."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from lanekeeper.config.correction import ID_KEYS
from lanekeeper.config.doctor.case import Case, Object
from lanekeeper.config.doctor.finding import Check, Hit, Rule
from lanekeeper.config.doctor.possible import could_serve
from lanekeeper.domain.hostplan.findings.finding import Severity
from lanekeeper.domain.pci.address_pattern import AddressExpressions, AddressPattern
from lanekeeper.domain.pci.device_spec import DeviceSpec
from lanekeeper.domain.pci.spec_key import near_miss

NET = '"vendor_id": "8086", "product_id": "10ca", "physical_network": "physnet1"'
PLAIN = '"vendor_id": "8086", "product_id": "10ca"'
_FIELDS = {"domain": (4, 0x10000), "bus": (2, 0x100), "slot": (2, 0x20), "function": (1, 8)}
"""Digits as the kernel prints them, and how many values there are."""


def written(entry: str) -> str:
    return f"[pci]\ndevice_spec = {{{entry}}}\n"


def where(test: Callable[[DeviceSpec, Object], bool], says: str, fix: str) -> Check:
    """Make a rule of a question about one entry."""

    def check(case: Case) -> Iterator[Hit]:
        for one, spec in case.good_specs:
            if test(spec, one):
                yield Hit(one.source, says, fix, one.shown)

    return check


def keys_of(one: Object) -> Iterator[str]:
    return iter(one.entry or {})


def _misspelt(case: Case) -> Iterator[Hit]:
    for one in case.specs:
        for key in keys_of(one):
            if near := near_miss(key):
                yield Hit(
                    one.source,
                    f"{key!r} is no key: Nova keeps it as a tag, and the entry selects far more "
                    "than was meant; a start here refuses it",
                    f'"{near}"',
                    one.shown,
                )


def _device_id(case: Case) -> Iterator[Hit]:
    for one in case.specs:
        if "device_id" in keys_of(one):
            yield Hit(
                one.source,
                "'device_id' selects nothing; the RHEL chapter writes it for vendor_id, VIO's "
                "page for product_id",
                '"vendor_id" or "product_id"',
                one.shown,
            )


def _numbers(case: Case) -> Iterator[Hit]:
    for one in (*case.specs, *case.aliases):
        for key in ID_KEYS:
            value = (one.entry or {}).get(key)
            if isinstance(value, int) and not isinstance(value, bool):
                says = f"{key} {value} is a number; it must be text of hexadecimal digits"
                yield Hit(one.source, says, f'"{key}": "{value:04}"', one.shown)


def _refused(case: Case) -> Iterator[Hit]:
    for one in case.specs:
        if one.entry is not None:
            for error in one.errors:
                yield Hit(
                    one.source, f"a start refuses this: {one.which}{error}", error.hint, one.shown
                )


def _vendor_only(spec: DeviceSpec, _one: Object) -> bool:
    anywhere = spec.address in (AddressPattern(), AddressExpressions())
    return spec.vendor_id is not None and spec.product_id is None and anywhere and not spec.devname


def network_of(spec: DeviceSpec) -> str:
    return spec.tags.get("physical_network", "")


def _patterns(one: Object) -> Iterator[tuple[str, str]]:
    address = (one.entry or {}).get("address")
    if isinstance(address, dict):
        for name, pattern in address.items():
            if name in _FIELDS and isinstance(pattern, str):
                yield name, pattern


def _idle_pattern(case: Case) -> Iterator[Hit]:
    for one, _ in case.good_specs:
        for name, pattern in _patterns(one):
            digits, count = _FIELDS[name]
            expression = re.compile(pattern)
            if not any(expression.match(f"{number:0{digits}x}") for number in range(count)):
                yield Hit(
                    one.source,
                    f"{name} {pattern!r} matches no {name} there can be",
                    f"{digits} lower-case hexadecimal digits, as the kernel prints them",
                    one.shown,
                )


def _open_pattern(case: Case) -> Iterator[Hit]:
    for one, _ in case.good_specs:
        for name, pattern in _patterns(one):
            digits, _ = _FIELDS[name]
            if re.fullmatch("[0-9a-f]+", pattern) and len(pattern) < digits:
                yield Hit(
                    one.source,
                    f"{name} {pattern!r} is anchored at its start only: it takes all that begin so",
                    f'"{pattern:0>{digits}}" for that one, "{pattern}.*" if all are meant',
                    one.shown,
                )


def _shadowed(case: Case) -> Iterator[Hit]:
    specs = list(case.good_specs)
    for at, (one, spec) in enumerate(specs):
        for other, earlier in specs[:at]:
            if _includes(earlier, spec):
                yield Hit(
                    one.source,
                    f"the entry in {other.source} selects all that this one does, and the first "
                    "wins, for its tags too",
                    "put the narrower entry first, or remove one",
                    one.shown,
                )
                break


def _includes(wide: DeviceSpec, narrow: DeviceSpec) -> bool:
    """Whether *wide* certainly selects whatever *narrow* selects."""
    same_ids = wide.vendor_id in (None, narrow.vendor_id) and wide.product_id in (
        None,
        narrow.product_id,
    )
    same_name = wide.devname in (None, narrow.devname)
    return same_ids and same_name and not wide.is_remote_managed and _covers(wide, narrow)


def _covers(wide: DeviceSpec, narrow: DeviceSpec) -> bool:
    if wide.address == narrow.address or wide.address == AddressPattern():
        return True
    if not (
        isinstance(wide.address, AddressPattern) and isinstance(narrow.address, AddressPattern)
    ):
        return False
    fields = ("domain", "bus", "slot", "function")
    pairs = [(getattr(wide.address, name), getattr(narrow.address, name)) for name in fields]
    # An exact address may be a PF's, and then reaches VFs that a wider pattern does not.
    return not narrow.address.is_exact and all(one in (None, other) for one, other in pairs)


def _never_asked(case: Case) -> Iterator[Hit]:
    aliases = [alias for _, alias in case.good_aliases]
    if not aliases or len(aliases) != len(case.aliases):
        return
    for one, spec in case.good_specs:
        is_for_ports = "physical_network" in spec.tags and not spec.tags.get("resource_class")
        if not is_for_ports and not any(could_serve(spec, alias) for alias in aliases):
            yield Hit(
                one.source,
                "no alias can ask for these devices, and without physical_network no port can",
                "an alias with their ids or resource_class, or a physical_network here",
                one.shown,
            )


RULES: tuple[Rule, ...] = (
    Rule(
        id="spec-refused",
        severity=Severity.ERROR,
        what="The entry has a value that a start refuses: of the wrong type, out of range, or two "
        "keys that exclude each other.",
        check=_refused,
        shows=written('"address": "0000:3b:20.0"'),
        spares=written('"address": "0000:3b:1f.0"'),
    ),
    Rule(
        id="spec-key-misspelt",
        severity=Severity.ERROR,
        what="A misspelt key selects nothing. Nova keeps it as a tag without a word, so that the "
        "entry matches devices that nobody meant.",
        check=_misspelt,
        shows=written('"vendr_id": "8086"'),
        spares=written('"vendor_id": "8086"'),
    ),
    Rule(
        id="spec-device-id",
        severity=Severity.ERROR,
        what="`device_id` is a key of neither device_spec nor alias. The guides disagree on what "
        "it means.",
        check=_device_id,
        shows=written('"device_id": "8086", "product_id": "10ca"'),
        spares=written(PLAIN),
    ),
    Rule(
        id="id-not-text",
        severity=Severity.ERROR,
        what="An id is a JSON number; Nova ends with a traceback.",
        check=_numbers,
        shows=written('"vendor_id": 8086'),
        spares=written('"vendor_id": "8086"'),
    ),
    Rule(
        id="spec-selects-all",
        severity=Severity.ERROR,
        what="The entry selects every PCI function of the host: the boot disk and the management "
        "NIC too; a start refuses it.",
        check=where(
            lambda spec, _one: spec.selects_all,
            "this gives away every PCI function; a start here refuses it",
            "vendor_id, product_id or address",
        ),
        shows=written('"physical_network": "physnet1"'),
        spares=written(NET),
    ),
    Rule(
        id="spec-vendor-only",
        severity=Severity.WARNING,
        what="The entry selects whatever a vendor makes: bridges, chipset and disks of the "
        "machine, PFs and VFs alike.",
        check=where(
            _vendor_only, "this gives away all that the vendor makes", "product_id or address too"
        ),
        shows=written('"vendor_id": "8086"'),
        spares=written(PLAIN),
    ),
    Rule(
        id="spec-address-alone",
        severity=Severity.INFO,
        what="An exact address without product_id and physical_network: if it is a PF's, its VFs "
        "are selected too, and with both sides listed the start is refused.",
        check=where(
            lambda spec, _one: (
                spec.address.is_exact and spec.product_id is None and not network_of(spec)
            ),
            "if this is a PF, its VFs are selected too, and both sides refuse the start",
            "product_id of the side that is meant",
        ),
        shows=written('"address": "0000:3b:00.0"'),
        spares=written('"address": "0000:3b:00.0", "product_id": "10ca"'),
    ),
    Rule(
        id="spec-devname",
        severity=Severity.WARNING,
        what="Names of network interfaces change with the kernel, the firmware and the slots, and "
        "are gone while a guest has the device. Nova refuses devname since release 26 where it "
        "reports to Placement.",
        check=where(
            lambda spec, _one: bool(spec.devname),
            "interface names change, and Nova refuses devname where it reports to Placement",
            '"address" of the PF; --host shows it',
        ),
        shows=written('"devname": "ens1f0", "physical_network": "physnet1"'),
        spares=written('"address": "0000:3b:00.0", "physical_network": "physnet1"'),
    ),
    Rule(
        id="spec-pattern-idle",
        severity=Severity.ERROR,
        what="A regular expression of the address can match nothing: expressions see the field as "
        "the kernel prints it, lower case and with leading zeros.",
        check=_idle_pattern,
        shows=written('"address": {"bus": "3B"}'),
        spares=written('"address": {"bus": "3b"}'),
    ),
    Rule(
        id="spec-pattern-open",
        severity=Severity.WARNING,
        what="A regular expression is anchored at its start only, so `0` takes 00 to 0f.",
        check=_open_pattern,
        shows=written('"address": {"bus": "3b", "slot": "1"}'),
        spares=written('"address": {"bus": "3b", "slot": "10"}'),
    ),
    Rule(
        id="spec-shadowed",
        severity=Severity.WARNING,
        what="An earlier entry selects everything that this one does. The first wins, so this one "
        "and its tags are dead.",
        check=_shadowed,
        shows=written('"vendor_id": "8086"') + f"device_spec = {{{NET}}}\n",
        spares=written(NET) + 'device_spec = {"vendor_id": "8086"}\n',
    ),
    Rule(
        id="spec-never-asked",
        severity=Severity.WARNING,
        what="Neither an alias nor a port can ask for what the entry lists.",
        check=_never_asked,
        shows=written('"vendor_id": "10de", "product_id": "25b6"')
        + f'alias = {{"name": "a1", {PLAIN}}}\n',
        spares=written(PLAIN) + f'alias = {{"name": "a1", {PLAIN}}}\n',
    ),
)
