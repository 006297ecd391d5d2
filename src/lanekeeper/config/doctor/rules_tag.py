"""Rules about the tags of device_spec entries."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lanekeeper.config.doctor.case import Case, Object
from lanekeeper.config.doctor.finding import Hit, Rule
from lanekeeper.config.doctor.rules_spec import NET, PLAIN, keys_of, network_of, where, written
from lanekeeper.domain.hostplan.findings.finding import Severity
from lanekeeper.domain.pci.device_spec import DeviceSpec
from lanekeeper.domain.pci.spec_key import KNOWN, near_miss


def _tag(key: str, value: str = "true") -> Callable[[DeviceSpec], bool]:
    return lambda spec: spec.tags.get(key) == value


def _unread_tags(case: Case) -> Iterator[Hit]:
    for one in case.specs:
        for key in keys_of(one):
            if key not in KNOWN and not near_miss(key) and key != "device_id":
                alias = key in ("device_type", "dev_type", "name", "numa_policy")
                yield Hit(
                    one.source,
                    f"{key!r} selects nothing and is a tag that nobody reads; in Nova it splits "
                    "the pool of a card's VFs",
                    "it belongs into an alias" if alias else "remove it",
                    one.shown,
                )


def _json_flag(written: DeviceSpec, one: Object) -> bool:
    entry = one.entry or {}
    return any(
        (key in entry and str(entry[key]).lower() not in ("true", "false"))
        or entry.get(key) is True
        for key in ("trusted", "remote_managed")
    )


def _unasked_migration(case: Case) -> Iterator[Hit]:
    asked = any(alias.live_migratable for _, alias in case.good_aliases)
    for one, spec in case.good_specs:
        if _tag("live_migratable")(spec) and case.aliases and not asked and not network_of(spec):
            yield Hit(
                one.source,
                "no alias asks for live_migratable, so no server with such a device can move live",
                'alias with "live_migratable": "yes"',
                one.shown,
            )


def _unreported(case: Case) -> Iterator[Hit]:
    line = case.last("[pci] report_in_placement")
    if line is None or case.value("[pci] report_in_placement"):
        return
    for one, spec in case.good_specs:
        if _tag("one_time_use")(spec):
            says = f"Nova refuses one_time_use while {line.source} says report_in_placement = false"
            yield Hit(one.source, says, "report_in_placement = true", one.shown)


RULES: tuple[Rule, ...] = (
    Rule(
        id="spec-tag-unread",
        severity=Severity.WARNING,
        what="The key is a tag that nobody reads.",
        check=_unread_tags,
        shows=written(f'{PLAIN}, "rack": "r1"'),
        spares=written(f'{PLAIN}, "managed": "no"'),
    ),
    Rule(
        id="spec-network-null",
        severity=Severity.INFO,
        what="`physical_network` null is for ports of overlay networks: only with hardware "
        "offload or a SmartNIC, and only on networks of one segment.",
        check=where(
            lambda spec, one: (one.entry or {}).get("physical_network", "") is None,
            "these serve ports of networks without a physical network, and no alias",
            "a name, for VLAN and flat networks; no such key, for aliases",
        ),
        shows=written(f'{PLAIN}, "physical_network": null'),
        spares=written(NET),
    ),
    Rule(
        id="spec-network-empty",
        severity=Severity.WARNING,
        what="An empty `physical_network` matches no port in Nova, neither with nor without a "
        "physical network. Here it means the same as null.",
        check=where(
            lambda spec, one: (one.entry or {}).get("physical_network") == "",
            "the empty name matches no port in Nova; here it is the same as null",
            "a name, or null",
        ),
        shows=written(f'{PLAIN}, "physical_network": ""'),
        spares=written(f'{PLAIN}, "physical_network": null'),
    ),
    Rule(
        id="spec-flag-spelling",
        severity=Severity.WARNING,
        what='Nova compares `trusted` and `remote_managed` as text: only `"true"` and '
        '`"false"` work. A JSON true passes its scheduler and fails on the host; `"yes"` fails '
        "both. Here all spellings are read.",
        check=where(
            _json_flag, "Nova takes the text true or false only", '"true" or "false", in quotes'
        ),
        shows=written(f'{NET}, "trusted": true'),
        spares=written(f'{NET}, "trusted": "true"'),
    ),
    Rule(
        id="spec-trusted-unasked",
        severity=Severity.WARNING,
        what="Only ports ask for trust, and only devices with a physical_network serve ports.",
        check=where(
            lambda spec, _one: "trusted" in spec.tags and "physical_network" not in spec.tags,
            "trusted is asked for by ports only, and this serves none",
            "physical_network, or no trusted",
        ),
        shows=written(f'{PLAIN}, "trusted": "true"'),
        spares=written(f'{NET}, "trusted": "true"'),
    ),
    Rule(
        id="spec-remote-managed",
        severity=Severity.WARNING,
        what="`remote_managed` is for VFs of a SmartNIC: each needs a card serial number in its "
        "VPD, ports of vnic type remote-managed, and OVN, which Lanekeeper does not have. No "
        "alias can have such a device.",
        check=where(
            lambda spec, _one: spec.is_remote_managed,
            "a SmartNIC of its own has to program these; they need a serial number in the VPD, "
            "and neither aliases nor ordinary ports get them",
            'no remote_managed, or "false", for ordinary NICs',
        ),
        shows=written(f'{NET}, "remote_managed": "true"'),
        spares=written(f'{NET}, "remote_managed": "false"'),
    ),
    Rule(
        id="spec-managed-no",
        severity=Severity.INFO,
        what="`managed` no leaves the driver alone: the operator has bound vfio-pci or a variant "
        "driver before a guest starts, or it does not start.",
        check=where(
            lambda spec, _one: _tag("managed", "false")(spec) and not network_of(spec),
            "nobody changes the driver: vfio-pci or a variant driver has to be bound before",
            "a driver in the host's policy",
        ),
        shows=written(f'{PLAIN}, "managed": "no"'),
        spares=written(f'{PLAIN}, "managed": "yes"'),
    ),
    Rule(
        id="spec-managed-network",
        severity=Severity.WARNING,
        what="Nova ignores `managed` no for ports: their interface is always managed.",
        check=where(
            lambda spec, _one: _tag("managed", "false")(spec) and bool(network_of(spec)),
            "Nova ignores managed = no for devices that serve ports",
            "no managed",
        ),
        shows=written(f'{NET}, "managed": "no"'),
        spares=written(f'{PLAIN}, "managed": "no"'),
    ),
    Rule(
        id="spec-migratable-network",
        severity=Severity.WARNING,
        what="Nova ignores `live_migratable` for devices with a physical_network: the VF is "
        "unplugged before the move and another one plugged in after it.",
        check=where(
            lambda spec, _one: "live_migratable" in spec.tags and bool(network_of(spec)),
            "Nova ignores live_migratable for devices that serve ports",
            "no live_migratable",
        ),
        shows=written(f'{NET}, "live_migratable": "yes"'),
        spares=written(f'{PLAIN}, "live_migratable": "yes"'),
    ),
    Rule(
        id="spec-migratable-versions",
        severity=Severity.INFO,
        what="Wherever `live_migratable` stands, even with no, Nova demands libvirt 10.0.0 and "
        "QEMU 8.2.2 to start.",
        check=where(
            lambda spec, _one: "live_migratable" in spec.tags,
            "with this key, whatever its value, Nova starts from libvirt 10.0.0 and QEMU 8.2.2 on",
            "",
        ),
        shows=written(f'{PLAIN}, "live_migratable": "no"'),
        spares=written(PLAIN),
    ),
    Rule(
        id="spec-migratable-unasked",
        severity=Severity.INFO,
        what="Devices are marked live_migratable, but no alias asks for that, and a server moves "
        "only with devices that it asked for so.",
        check=_unasked_migration,
        shows=written(f'{PLAIN}, "live_migratable": "yes"')
        + f'alias = {{"name": "a1", {PLAIN}}}\n',
        spares=written(f'{PLAIN}, "live_migratable": "yes"')
        + f'alias = {{"name": "a1", {PLAIN}, "live_migratable": "yes"}}\n',
    ),
    Rule(
        id="spec-one-time-network",
        severity=Severity.WARNING,
        what="`one_time_use` does nothing in Nova for devices with a physical_network.",
        check=where(
            lambda spec, _one: _tag("one_time_use")(spec) and bool(network_of(spec)),
            "Nova ignores one_time_use for devices that serve ports",
            "no one_time_use",
        ),
        shows=written(f'{NET}, "one_time_use": true'),
        spares=written(f'{PLAIN}, "one_time_use": true'),
    ),
    Rule(
        id="spec-one-time-unreported",
        severity=Severity.WARNING,
        what="Nova refuses `one_time_use` where it does not report to Placement.",
        check=_unreported,
        shows=written(f'{PLAIN}, "one_time_use": true') + "report_in_placement = false\n",
        spares=written(f'{PLAIN}, "one_time_use": true') + "report_in_placement = true\n",
    ),
)
