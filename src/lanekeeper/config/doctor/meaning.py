"""What each line that is read means today, in words."""

from __future__ import annotations

from collections.abc import Iterator

from lanekeeper.config.doctor.case import Case, Line, Object, is_json, is_secret
from lanekeeper.config.doctor.finding import shortened
from lanekeeper.config.doctor.source import Source
from lanekeeper.domain.pci.address_pattern import AddressPattern
from lanekeeper.domain.pci.alias import Alias
from lanekeeper.domain.pci.device import DeviceType
from lanekeeper.domain.pci.device_spec import DeviceSpec

_KINDS = {
    None: "VFs and plain devices",
    DeviceType.PCI: "plain devices",
    DeviceType.PF: "whole PFs",
    DeviceType.VF: "VFs",
}


def meanings(case: Case) -> Iterator[tuple[Source, str, str]]:
    """Yield (where, the option of today, what it says) for each line that is read, in order."""
    objects: dict[int, list[Object]] = {}
    for one in (*case.specs, *case.aliases):
        objects.setdefault(id(one.line), []).append(one)
    for line in case.lines:
        if line.option is None:
            continue
        if is_json(line.option):
            for one in objects.get(id(line), []):
                yield line.source, line.option.name, _object(one)
        else:
            yield line.source, line.option.name, _plain(case, line)


def _plain(case: Case, line: Line) -> str:
    assert line.option is not None
    if error := case.error_of(line):
        return f"nothing: {error}"
    shown = "" if is_secret(line.option.key) else f"{shortened(line.value)}: "
    return f"{shown}{line.option.help}"


def _object(one: Object) -> str:
    if isinstance(one.parsed, DeviceSpec):
        return spec_in_words(one.parsed)
    if isinstance(one.parsed, Alias):
        return alias_in_words(one.parsed)
    return f"nothing: {one.errors[0]}"


def spec_in_words(spec: DeviceSpec) -> str:
    """Say which devices an entry lists and for whom."""
    return f"{_selected(spec)}, {_purpose(spec)}{_other_tags(spec)}"


def _selected(spec: DeviceSpec) -> str:
    words = []
    if spec.vendor_id is not None or spec.product_id is not None:
        numbers = (spec.vendor_id, spec.product_id)
        words.append(":".join("*" if one is None else f"{one:04x}" for one in numbers))
    if spec.devname:
        words.append(f"of the interface {spec.devname}")
    if spec.address.is_exact:
        words.append(f"at {spec.address} and, if that is a PF, below it")
    elif spec.address != AddressPattern():
        words.append(f"at {spec.address}")
    return f"devices {' '.join(words)}" if words else "every device of the host"


def _purpose(spec: DeviceSpec) -> str:
    network, named = spec.tags.get("physical_network"), spec.tags.get("resource_class")
    if network is None:
        return f"for aliases that ask for {named}" if named else "for aliases"
    ports = f"for ports on {network}" if network else "for ports without a physical network"
    return f"{ports} and for aliases that ask for {named}" if named and network else ports


def _other_tags(spec: DeviceSpec) -> str:
    others = [
        f"{key} {value}"
        for key, value in spec.tags.items()
        if key not in ("physical_network", "resource_class")
    ]
    return f"; {', '.join(others)}" if others else ""


def alias_in_words(alias: Alias) -> str:
    """Say what a flavor gets under the alias's name."""
    words = [_KINDS[alias.dev_type]]
    if alias.vendor_id is not None and alias.product_id is not None:
        words.append(f"{alias.vendor_id:04x}:{alias.product_id:04x}")
    elif alias.resource_class:
        words.append(f"counted as {alias.resource_class}")
    if alias.traits:
        words.append(f"with {', '.join(sorted(alias.traits))}")
    if alias.live_migratable is not None:
        words.append("that can move live" if alias.live_migratable else "that cannot move live")
    return f"{alias.name}:N in a flavor asks for {' '.join(words)}; numa_policy {alias.numa_policy}"
