"""Rules about aliases."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lanekeeper.config.doctor.case import Case, Object
from lanekeeper.config.doctor.finding import Check, Hit, Rule
from lanekeeper.config.doctor.host import entry_of, left_out
from lanekeeper.config.doctor.possible import could_serve, distance, mismatches
from lanekeeper.domain.hostplan.findings.finding import Severity
from lanekeeper.domain.pci.alias import Alias
from lanekeeper.domain.pci.device_spec import DeviceSpec

_IDS = '"vendor_id": "8086", "product_id": "10ca"'


def _alias(*entries: str) -> str:
    return "[pci]\n" + "".join(f"alias = {{{entry}}}\n" for entry in entries)


def _where(test: Callable[[Alias, Object], bool], says: str, fix: str) -> Check:
    """Make a rule of a question about one alias."""

    def check(case: Case) -> Iterator[Hit]:
        for one, alias in case.good_aliases:
            if test(alias, one):
                yield Hit(one.source, says, fix, one.shown)

    return check


def _refused(case: Case) -> Iterator[Hit]:
    for one in case.aliases:
        if one.entry is not None:
            for error in one.errors:
                yield Hit(
                    one.source, f"a start refuses this: {one.which}{error}", error.hint, one.shown
                )


def _list(case: Case) -> Iterator[Hit]:
    seen = set()
    for one in case.aliases:
        # Several objects without a list have a rule of their own; VIO's are lists by right.
        is_list = one.line.value.lstrip().startswith("[")
        if is_list and not one.line.assignment.is_vio and one.source not in seen:
            seen.add(one.source)
            says = f"an alias is one object, not a list (here of {one.siblings})"
            yield Hit(one.source, says, "one alias = {...} for each; `config convert` does it")


def _disagree(case: Case) -> Iterator[Hit]:
    first: dict[str, tuple[Object, Alias]] = {}
    for one, alias in case.good_aliases:
        other, earlier = first.setdefault(alias.name, (one, alias))
        for what, here, there in (
            ("device_type", alias.dev_type, earlier.dev_type),
            ("numa_policy", alias.numa_policy, earlier.numa_policy),
        ):
            if here != there:
                says = (
                    f"{alias.name} has {what} {here or 'none'} here, "
                    f"but {there or 'none'} in {other.source}"
                )
                yield Hit(one.source, says, "the same in both, or two names", one.shown)


def _repeated(case: Case) -> Iterator[Hit]:
    line = case.last("[filter_scheduler] pci_in_placement")
    if line is None or not case.value("[filter_scheduler] pci_in_placement"):
        return
    seen: set[str] = set()
    for one, alias in case.good_aliases:
        if alias.name in seen:
            says = (
                f"Nova refuses two aliases named {alias.name} while {line.source} says "
                "pci_in_placement = true; here they are alternatives"
            )
            yield Hit(one.source, says, "two names, or one resource_class for both", one.shown)
        seen.add(alias.name)


def _unsatisfiable(case: Case) -> Iterator[Hit]:
    yield from unsatisfiable(case).values()


def unsatisfiable(case: Case) -> dict[str, Hit]:
    """Find the aliases that no device of any host can do for, by name."""
    found: dict[str, Hit] = {}
    specs = list(case.good_specs)
    if not specs or len(specs) != len(case.specs):
        return found
    by_name: dict[str, list[tuple[Object, Alias]]] = {}
    for one, alias in case.good_aliases:
        by_name.setdefault(alias.name, []).append((one, alias))
    for name, alternatives in by_name.items():
        pairs = [(o, spec, alias) for _, alias in alternatives for o, spec in specs]
        if not any(could_serve(spec, alias) for _, spec, alias in pairs):
            nearest = min(pairs, key=lambda pair: distance(pair[1], pair[2]))
            found[name] = _never(case, alternatives[0][0], name, nearest)
    return found


def _never(case: Case, alias: Object, name: str, nearest: tuple[Object, DeviceSpec, Alias]) -> Hit:
    """Say what the entry that comes nearest lacks, and what would mend that."""
    place, spec, alternative = nearest
    reasons = tuple(mismatches(spec, alternative))
    says = (
        f"no device can ever do for {name}: the entry in {place.source} "
        f"{' and '.join(one.reason for one in reasons)}"
    )
    if len(case.specs) > 1:
        says += "; no other entry comes nearer"
    remedies = [one.remedy for one in reasons]
    fix = " and ".join(remedies) if all(remedies) else "a device_spec for what the alias asks"
    if case.coverage and (unlisted := case.coverage[1].aliases[name].unlisted):
        says, fix = f"{says}; {left_out(unlisted)}", entry_of(unlisted[0])
    return Hit(alias.source, says, fix, str(alias))


def _without_kind(alias: Alias, _one: Object) -> bool:
    return alias.dev_type is None


def _any_device(alias: Alias, _one: Object) -> bool:
    has_ids = alias.vendor_id is not None or alias.product_id is not None
    return not has_ids and alias.resource_class is None


def _capability(_alias: Alias, one: Object) -> bool:
    return "capability_type" in (one.entry or {})


def _unnameable(case: Case) -> Iterator[Hit]:
    for one in case.aliases:
        name = str((one.entry or {}).get("name", ""))
        if "," in name or ":" in name:
            says = "no flavor can name this alias, and a start refuses it"
            yield Hit(one.source, says, "a name without comma and colon", one.shown)


def _class_and_ids(alias: Alias, one: Object) -> bool:
    return alias.vendor_id is not None and "resource_class" in (one.entry or {})


RULES: tuple[Rule, ...] = (
    Rule(
        id="alias-refused",
        severity=Severity.ERROR,
        what="The alias has a key or value that a start refuses. In Nova one bad alias makes all "
        "of them unusable.",
        check=_refused,
        shows=_alias(f'"name": "a1", {_IDS}, "device_type": "vf"'),
        spares=_alias(f'"name": "a1", {_IDS}, "device_type": "type-VF"'),
    ),
    Rule(
        id="alias-list",
        severity=Severity.ERROR,
        what="Several aliases stand in one value as a list, as in VIO's custom.yml. In nova.conf "
        "each is a value of its own.",
        check=_list,
        shows=f'[pci]\nalias = [{{"name": "a1", {_IDS}}}]\n',
        spares=_alias(f'"name": "a1", {_IDS}'),
    ),
    Rule(
        id="alias-disagree",
        severity=Severity.ERROR,
        what="Aliases of one name are alternatives and have to agree in device_type and "
        "numa_policy.",
        check=_disagree,
        shows=_alias(
            f'"name": "a1", {_IDS}, "numa_policy": "required"',
            '"name": "a1", "vendor_id": "8086", "product_id": "1520"',
        ),
        spares=_alias(
            f'"name": "a1", {_IDS}', '"name": "a1", "vendor_id": "8086", "product_id": "1520"'
        ),
    ),
    Rule(
        id="alias-repeated",
        severity=Severity.WARNING,
        what="Nova refuses aliases of one name where pci_in_placement is on.",
        check=_repeated,
        shows=_alias(
            f'"name": "a1", {_IDS}', '"name": "a1", "vendor_id": "8086", "product_id": "1520"'
        )
        + "[filter_scheduler]\npci_in_placement = true\n",
        spares=_alias(f'"name": "a1", {_IDS}') + "[filter_scheduler]\npci_in_placement = true\n",
    ),
    Rule(
        id="alias-unsatisfiable",
        severity=Severity.WARNING,
        what="No device_spec of these files can ever list a device that the alias takes. Servers "
        "with it find no host.",
        check=_unsatisfiable,
        shows=f'[pci]\ndevice_spec = {{{_IDS}, "physical_network": "physnet1"}}\n'
        f'alias = {{"name": "a1", {_IDS}}}\n',
        spares=f'[pci]\ndevice_spec = {{{_IDS}}}\nalias = {{"name": "a1", {_IDS}}}\n',
    ),
    Rule(
        id="alias-any-device",
        severity=Severity.WARNING,
        what="An alias may name a kind of device only, as VIO's page has it. Then every listed "
        "device of that kind that is not kept for ports will do, whatever it is; Nova refuses it.",
        check=_where(
            _any_device, "any listed device of this kind will do", "vendor_id and product_id"
        ),
        shows=_alias('"device_type": "type-VF", "name": "v"'),
        spares=_alias(f'{_IDS}, "device_type": "type-VF", "name": "v"'),
    ),
    Rule(
        id="alias-without-type",
        severity=Severity.INFO,
        what="Without device_type the alias takes VFs and plain devices, never a PF.",
        check=_where(
            _without_kind, "takes VFs and plain devices, never a PF", '"device_type": "type-VF"'
        ),
        shows=_alias(f'"name": "a1", {_IDS}'),
        spares=_alias(f'"name": "a1", {_IDS}, "device_type": "type-VF"'),
    ),
    Rule(
        id="alias-capability-type",
        severity=Severity.WARNING,
        what="An alias with capability_type never finds a device in Nova; here the key says "
        "nothing.",
        check=_where(_capability, "with capability_type Nova never finds a device", "remove it"),
        shows=_alias(f'"name": "a1", {_IDS}, "capability_type": "pci"'),
        spares=_alias(f'"name": "a1", {_IDS}'),
    ),
    Rule(
        id="alias-name-unusable",
        severity=Severity.ERROR,
        what="A flavor cannot name an alias with a comma or a colon in its name.",
        check=_unnameable,
        shows=_alias(f'"name": "gpu:a16", {_IDS}'),
        spares=_alias(f'"name": "gpu-a16", {_IDS}'),
    ),
    Rule(
        id="alias-class-and-ids",
        severity=Severity.INFO,
        what="resource_class beside the ids: with Placement both count, without it Nova ignores "
        "the class.",
        check=_where(
            _class_and_ids,
            "both the ids and the class count here; Nova ignores the class unless "
            "pci_in_placement is on",
            "",
        ),
        shows=_alias(f'"name": "a1", {_IDS}, "resource_class": "CUSTOM_A16"'),
        spares=_alias('"name": "a1", "resource_class": "CUSTOM_A16"'),
    ),
)
