"""Whether an entry could ever list a device that an alias asks for, on whatever host."""

from __future__ import annotations

from collections.abc import Iterator

from lanekeeper.domain.pci.alias import Alias
from lanekeeper.domain.pci.device_spec import DeviceSpec
from lanekeeper.domain.pci.request import Mismatch
from lanekeeper.domain.pci.resource_class import (
    NETWORK_PF,
    NETWORK_VF,
    class_of_ids,
    normalize_resource_class,
    traits_of,
)


def could_serve(spec: DeviceSpec, alias: Alias) -> bool:
    return not any(True for _ in mismatches(spec, alias))


def distance(spec: DeviceSpec, alias: Alias) -> tuple[int, int]:
    """Tell how far *spec* is from serving *alias*: one of other ids is hardly the one meant."""
    reasons = sum(1 for _ in mismatches(spec, alias))
    return sum(1 for _ in _of_ids(spec, alias)), reasons


def mismatches(spec: DeviceSpec, alias: Alias) -> Iterator[Mismatch]:
    """Say, one thing at a time, why no device that *spec* lists can do for *alias*."""
    other_ids = tuple(_of_ids(spec, alias))
    yield from other_ids
    network, named = spec.tags.get("physical_network"), spec.tags.get("resource_class")
    if network and not named:
        yield Mismatch(
            f"serves ports on {network}, and aliases only with a resource_class",
            "a resource_class in that entry, or an entry without physical_network",
        )
    elif not other_ids:
        yield from _of_class(spec, alias, named)
    if spec.is_remote_managed:
        yield Mismatch("is remote_managed")
    if missing := sorted(alias.traits - traits_of(spec.tags)):
        names = ", ".join(missing)
        yield Mismatch(f"lacks the trait {names}", f'"traits": "{names}" in that entry')
    if alias.live_migratable is not None:
        asked = "true" if alias.live_migratable else "false"
        if spec.tags.get("live_migratable") != asked:
            tag = f'"live_migratable": "{asked}" in that entry'
            yield Mismatch(f"is not marked live_migratable {asked}", tag)


def _of_ids(spec: DeviceSpec, alias: Alias) -> Iterator[Mismatch]:
    for name in ("vendor_id", "product_id"):
        asked, listed = getattr(alias, name), getattr(spec, name)
        if asked is not None and listed not in (None, asked):
            yield Mismatch(f"lists {name} {listed:04x} only")


def _of_class(spec: DeviceSpec, alias: Alias, named: str | None) -> Iterator[Mismatch]:
    asked = alias.resource_class
    if asked is None:
        return
    if named:
        counted = normalize_resource_class(named)
        if counted != asked:
            yield Mismatch(f"is counted as {counted}", f'"resource_class": "{named}" in the alias')
        return
    if asked.startswith("CUSTOM_PCI_"):
        if spec.vendor_id is not None and spec.product_id is not None:
            counted = class_of_ids(spec.vendor_id, spec.product_id)
            if counted != asked:
                yield Mismatch(f"is counted as {counted}")
    elif asked not in (NETWORK_VF, NETWORK_PF):
        yield Mismatch("has no resource_class", f'"resource_class": "{asked}" in that entry')
