"""Rules about device_spec entries, each by itself and against each other."""

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
from lanekeeper.domain.pci.spec_key import KNOWN, near_miss

_NET = '"vendor_id": "8086", "product_id": "10ca", "physical_network": "physnet1"'
_PLAIN = '"vendor_id": "8086", "product_id": "10ca"'
_FIELDS = {"domain": (4, 0x10000), "bus": (2, 0x100), "slot": (2, 0x20), "function": (1, 8)}
"""Digits as the kernel prints them, and how many values there are."""


def _spec(entry: str) -> str:
    return f"[pci]\ndevice_spec = {{{entry}}}\n"


def _where(test: Callable[[DeviceSpec, Object], bool], says: str, fix: str) -> Check:
    """Make a rule of a question about one entry."""

    def check(case: Case) -> Iterator[Hit]:
        for one, spec in case.good_specs:
            if test(spec, one):
                yield Hit(one.source, says, fix, str(one))

    return check


def _keys(one: Object) -> Iterator[str]:
    return iter(one.entry or {})


def _misspelt(case: Case) -> Iterator[Hit]:
    for one in case.specs:
        for key in _keys(one):
            if near := near_miss(key):
                yield Hit(
                    one.source,
                    f"{key!r} is no key: Nova keeps it as a tag, and the entry selects far more "
                    "than was meant; a start here refuses it",
                    f'"{near}"',
                    str(one),
                )


def _device_id(case: Case) -> Iterator[Hit]:
    for one in case.specs:
        if "device_id" in _keys(one):
            yield Hit(
                one.source,
                "'device_id' selects nothing; the RHEL chapter writes it for vendor_id, VIO's "
                "page for product_id",
                '"vendor_id" or "product_id"',
                str(one),
            )


def _unread_tags(case: Case) -> Iterator[Hit]:
    for one in case.specs:
        for key in _keys(one):
            if key not in KNOWN and not near_miss(key) and key != "device_id":
                alias = key in ("device_type", "dev_type", "name", "numa_policy")
                yield Hit(
                    one.source,
                    f"{key!r} selects nothing and is a tag that nobody reads; in Nova it splits "
                    "the pool of a card's VFs",
                    "it belongs into an alias" if alias else "remove it",
                    str(one),
                )


def _numbers(case: Case) -> Iterator[Hit]:
    for one in (*case.specs, *case.aliases):
        for key in ID_KEYS:
            value = (one.entry or {}).get(key)
            if isinstance(value, int) and not isinstance(value, bool):
                says = f"{key} {value} is a number; it must be text of hexadecimal digits"
                yield Hit(one.source, says, f'"{key}": "{value:04}"', str(one))


def _refused(case: Case) -> Iterator[Hit]:
    for one in case.specs:
        if one.entry is not None:
            for error in one.errors:
                yield Hit(one.source, f"a start refuses this: {error}", error.hint, str(one))


def _selects_all(spec: DeviceSpec, _one: Object) -> bool:
    anywhere = spec.address in (AddressPattern(), AddressExpressions())
    return spec.vendor_id is spec.product_id is None and anywhere and not spec.devname


def _vendor_only(spec: DeviceSpec, _one: Object) -> bool:
    anywhere = spec.address in (AddressPattern(), AddressExpressions())
    return spec.vendor_id is not None and spec.product_id is None and anywhere and not spec.devname


def _tag(key: str, value: str = "true") -> Callable[[DeviceSpec], bool]:
    return lambda spec: spec.tags.get(key) == value


def _network(spec: DeviceSpec) -> str:
    return spec.tags.get("physical_network", "")


def _json_flag(_spec: DeviceSpec, one: Object) -> bool:
    entry = one.entry or {}
    return any(
        (key in entry and str(entry[key]).lower() not in ("true", "false"))
        or entry.get(key) is True
        for key in ("trusted", "remote_managed")
    )


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
                    str(one),
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
                    str(one),
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
                    str(one),
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


def _unasked_migration(case: Case) -> Iterator[Hit]:
    asked = any(alias.live_migratable for _, alias in case.good_aliases)
    for one, spec in case.good_specs:
        if _tag("live_migratable")(spec) and case.aliases and not asked and not _network(spec):
            yield Hit(
                one.source,
                "no alias asks for live_migratable, so no server with such a device can move live",
                'alias with "live_migratable": "yes"',
                str(one),
            )


def _unreported(case: Case) -> Iterator[Hit]:
    line = case.last("[pci] report_in_placement")
    if line is None or case.value("[pci] report_in_placement"):
        return
    for one, spec in case.good_specs:
        if _tag("one_time_use")(spec):
            says = f"Nova refuses one_time_use while {line.source} says report_in_placement = false"
            yield Hit(one.source, says, "report_in_placement = true", str(one))


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
                str(one),
            )


RULES: tuple[Rule, ...] = (
    Rule(
        id="spec-refused",
        severity=Severity.ERROR,
        what="The entry has a value that a start refuses: of the wrong type, out of range, or two "
        "keys that exclude each other.",
        check=_refused,
        shows=_spec('"address": "0000:3b:20.0"'),
        spares=_spec('"address": "0000:3b:1f.0"'),
    ),
    Rule(
        id="spec-key-misspelt",
        severity=Severity.ERROR,
        what="A misspelt key selects nothing. Nova keeps it as a tag without a word, so that the "
        "entry matches devices that nobody meant.",
        check=_misspelt,
        shows=_spec('"vendr_id": "8086"'),
        spares=_spec('"vendor_id": "8086"'),
    ),
    Rule(
        id="spec-device-id",
        severity=Severity.ERROR,
        what="`device_id` is a key of neither device_spec nor alias. The guides disagree on what "
        "it means.",
        check=_device_id,
        shows=_spec('"device_id": "8086", "product_id": "10ca"'),
        spares=_spec(_PLAIN),
    ),
    Rule(
        id="spec-tag-unread",
        severity=Severity.WARNING,
        what="The key is a tag that nobody reads.",
        check=_unread_tags,
        shows=_spec(f'{_PLAIN}, "rack": "r1"'),
        spares=_spec(f'{_PLAIN}, "managed": "no"'),
    ),
    Rule(
        id="id-not-text",
        severity=Severity.ERROR,
        what="An id is a JSON number; Nova ends with a traceback.",
        check=_numbers,
        shows=_spec('"vendor_id": 8086'),
        spares=_spec('"vendor_id": "8086"'),
    ),
    Rule(
        id="spec-selects-all",
        severity=Severity.ERROR,
        what="The entry selects every PCI function of the host: the boot disk and the management "
        "NIC too.",
        check=_where(
            _selects_all, "this gives away every PCI function", "vendor_id, product_id or address"
        ),
        shows=_spec('"physical_network": "physnet1"'),
        spares=_spec(_NET),
    ),
    Rule(
        id="spec-vendor-only",
        severity=Severity.WARNING,
        what="The entry selects whatever a vendor makes: bridges, chipset and disks of the "
        "machine, PFs and VFs alike.",
        check=_where(
            _vendor_only, "this gives away all that the vendor makes", "product_id or address too"
        ),
        shows=_spec('"vendor_id": "8086"'),
        spares=_spec(_PLAIN),
    ),
    Rule(
        id="spec-address-alone",
        severity=Severity.INFO,
        what="An exact address without product_id and physical_network: if it is a PF's, its VFs "
        "are selected too, and with both sides listed the start is refused.",
        check=_where(
            lambda spec, _one: (
                spec.address.is_exact and spec.product_id is None and not _network(spec)
            ),
            "if this is a PF, its VFs are selected too, and both sides refuse the start",
            "product_id of the side that is meant",
        ),
        shows=_spec('"address": "0000:3b:00.0"'),
        spares=_spec('"address": "0000:3b:00.0", "product_id": "10ca"'),
    ),
    Rule(
        id="spec-devname",
        severity=Severity.WARNING,
        what="Names of network interfaces change with the kernel, the firmware and the slots, and "
        "are gone while a guest has the device. Nova refuses devname since release 26 where it "
        "reports to Placement.",
        check=_where(
            lambda spec, _one: bool(spec.devname),
            "interface names change, and Nova refuses devname where it reports to Placement",
            '"address" of the PF; --host shows it',
        ),
        shows=_spec('"devname": "ens1f0", "physical_network": "physnet1"'),
        spares=_spec('"address": "0000:3b:00.0", "physical_network": "physnet1"'),
    ),
    Rule(
        id="spec-network-null",
        severity=Severity.INFO,
        what="`physical_network` null is for ports of overlay networks: only with hardware "
        "offload or a SmartNIC, and only on networks of one segment.",
        check=_where(
            lambda spec, one: (one.entry or {}).get("physical_network", "") is None,
            "these serve ports of networks without a physical network, and no alias",
            "a name, for VLAN and flat networks; no such key, for aliases",
        ),
        shows=_spec(f'{_PLAIN}, "physical_network": null'),
        spares=_spec(_NET),
    ),
    Rule(
        id="spec-network-empty",
        severity=Severity.WARNING,
        what="An empty `physical_network` matches no port in Nova, neither with nor without a "
        "physical network. Here it means the same as null.",
        check=_where(
            lambda spec, one: (one.entry or {}).get("physical_network") == "",
            "the empty name matches no port in Nova; here it is the same as null",
            "a name, or null",
        ),
        shows=_spec(f'{_PLAIN}, "physical_network": ""'),
        spares=_spec(f'{_PLAIN}, "physical_network": null'),
    ),
    Rule(
        id="spec-flag-spelling",
        severity=Severity.WARNING,
        what='Nova compares `trusted` and `remote_managed` as text: only `"true"` and '
        '`"false"` work. A JSON true passes its scheduler and fails on the host; `"yes"` fails '
        "both. Here all spellings are read.",
        check=_where(
            _json_flag, "Nova takes the text true or false only", '"true" or "false", in quotes'
        ),
        shows=_spec(f'{_NET}, "trusted": true'),
        spares=_spec(f'{_NET}, "trusted": "true"'),
    ),
    Rule(
        id="spec-trusted-unasked",
        severity=Severity.WARNING,
        what="Only ports ask for trust, and only devices with a physical_network serve ports.",
        check=_where(
            lambda spec, _one: "trusted" in spec.tags and "physical_network" not in spec.tags,
            "trusted is asked for by ports only, and this serves none",
            "physical_network, or no trusted",
        ),
        shows=_spec(f'{_PLAIN}, "trusted": "true"'),
        spares=_spec(f'{_NET}, "trusted": "true"'),
    ),
    Rule(
        id="spec-remote-managed",
        severity=Severity.WARNING,
        what="`remote_managed` is for VFs of a SmartNIC: each needs a card serial number in its "
        "VPD, ports of vnic type remote-managed, and OVN, which Lanekeeper does not have. No "
        "alias can have such a device.",
        check=_where(
            lambda spec, _one: spec.is_remote_managed,
            "a SmartNIC of its own has to program these; they need a serial number in the VPD, "
            "and neither aliases nor ordinary ports get them",
            'no remote_managed, or "false", for ordinary NICs',
        ),
        shows=_spec(f'{_NET}, "remote_managed": "true"'),
        spares=_spec(f'{_NET}, "remote_managed": "false"'),
    ),
    Rule(
        id="spec-managed-no",
        severity=Severity.INFO,
        what="`managed` no leaves the driver alone: the operator has bound vfio-pci or a variant "
        "driver before a guest starts, or it does not start.",
        check=_where(
            lambda spec, _one: _tag("managed", "false")(spec) and not _network(spec),
            "nobody changes the driver: vfio-pci or a variant driver has to be bound before",
            "a driver in the host's policy",
        ),
        shows=_spec(f'{_PLAIN}, "managed": "no"'),
        spares=_spec(f'{_PLAIN}, "managed": "yes"'),
    ),
    Rule(
        id="spec-managed-network",
        severity=Severity.WARNING,
        what="Nova ignores `managed` no for ports: their interface is always managed.",
        check=_where(
            lambda spec, _one: _tag("managed", "false")(spec) and bool(_network(spec)),
            "Nova ignores managed = no for devices that serve ports",
            "no managed",
        ),
        shows=_spec(f'{_NET}, "managed": "no"'),
        spares=_spec(f'{_PLAIN}, "managed": "no"'),
    ),
    Rule(
        id="spec-migratable-network",
        severity=Severity.WARNING,
        what="Nova ignores `live_migratable` for devices with a physical_network: the VF is "
        "unplugged before the move and another one plugged in after it.",
        check=_where(
            lambda spec, _one: "live_migratable" in spec.tags and bool(_network(spec)),
            "Nova ignores live_migratable for devices that serve ports",
            "no live_migratable",
        ),
        shows=_spec(f'{_NET}, "live_migratable": "yes"'),
        spares=_spec(f'{_PLAIN}, "live_migratable": "yes"'),
    ),
    Rule(
        id="spec-migratable-versions",
        severity=Severity.INFO,
        what="Wherever `live_migratable` stands, even with no, Nova demands libvirt 10.0.0 and "
        "QEMU 8.2.2 to start.",
        check=_where(
            lambda spec, _one: "live_migratable" in spec.tags,
            "with this key, whatever its value, Nova starts from libvirt 10.0.0 and QEMU 8.2.2 on",
            "",
        ),
        shows=_spec(f'{_PLAIN}, "live_migratable": "no"'),
        spares=_spec(_PLAIN),
    ),
    Rule(
        id="spec-migratable-unasked",
        severity=Severity.INFO,
        what="Devices are marked live_migratable, but no alias asks for that, and a server moves "
        "only with devices that it asked for so.",
        check=_unasked_migration,
        shows=_spec(f'{_PLAIN}, "live_migratable": "yes"')
        + f'alias = {{"name": "a1", {_PLAIN}}}\n',
        spares=_spec(f'{_PLAIN}, "live_migratable": "yes"')
        + f'alias = {{"name": "a1", {_PLAIN}, "live_migratable": "yes"}}\n',
    ),
    Rule(
        id="spec-one-time-network",
        severity=Severity.WARNING,
        what="`one_time_use` does nothing in Nova for devices with a physical_network.",
        check=_where(
            lambda spec, _one: _tag("one_time_use")(spec) and bool(_network(spec)),
            "Nova ignores one_time_use for devices that serve ports",
            "no one_time_use",
        ),
        shows=_spec(f'{_NET}, "one_time_use": true'),
        spares=_spec(f'{_PLAIN}, "one_time_use": true'),
    ),
    Rule(
        id="spec-one-time-unreported",
        severity=Severity.WARNING,
        what="Nova refuses `one_time_use` where it does not report to Placement.",
        check=_unreported,
        shows=_spec(f'{_PLAIN}, "one_time_use": true') + "report_in_placement = false\n",
        spares=_spec(f'{_PLAIN}, "one_time_use": true') + "report_in_placement = true\n",
    ),
    Rule(
        id="spec-pattern-idle",
        severity=Severity.ERROR,
        what="A regular expression of the address can match nothing: expressions see the field as "
        "the kernel prints it, lower case and with leading zeros.",
        check=_idle_pattern,
        shows=_spec('"address": {"bus": "3B"}'),
        spares=_spec('"address": {"bus": "3b"}'),
    ),
    Rule(
        id="spec-pattern-open",
        severity=Severity.WARNING,
        what="A regular expression is anchored at its start only, so `0` takes 00 to 0f.",
        check=_open_pattern,
        shows=_spec('"address": {"bus": "3b", "slot": "1"}'),
        spares=_spec('"address": {"bus": "3b", "slot": "10"}'),
    ),
    Rule(
        id="spec-shadowed",
        severity=Severity.WARNING,
        what="An earlier entry selects everything that this one does. The first wins, so this one "
        "and its tags are dead.",
        check=_shadowed,
        shows=_spec('"vendor_id": "8086"') + f"device_spec = {{{_NET}}}\n",
        spares=_spec(_NET) + 'device_spec = {"vendor_id": "8086"}\n',
    ),
    Rule(
        id="spec-never-asked",
        severity=Severity.WARNING,
        what="Neither an alias nor a port can ask for what the entry lists.",
        check=_never_asked,
        shows=_spec('"vendor_id": "10de", "product_id": "25b6"')
        + f'alias = {{"name": "a1", {_PLAIN}}}\n',
        spares=_spec(_PLAIN) + f'alias = {{"name": "a1", {_PLAIN}}}\n',
    ),
)
