"""Whether an entry could ever list a device that an alias asks for, on whatever host."""

from __future__ import annotations

from lanekeeper.domain.pci.alias import Alias
from lanekeeper.domain.pci.device_spec import DeviceSpec
from lanekeeper.domain.pci.resource_class import (
    NETWORK_PF,
    NETWORK_VF,
    class_of_ids,
    normalize_resource_class,
    traits_of,
)


def could_serve(spec: DeviceSpec, alias: Alias) -> bool:
    return not why_not(spec, alias)


def why_not(spec: DeviceSpec, alias: Alias) -> str:
    """Say why no device that *spec* lists can do for *alias*; nothing where one could."""
    for name in ("vendor_id", "product_id"):
        asked, listed = getattr(alias, name), getattr(spec, name)
        if asked is not None and listed not in (None, asked):
            return f"lists {name} {listed:04x} only"
    network, named = spec.tags.get("physical_network"), spec.tags.get("resource_class")
    if network and not named:
        return f"serves ports on {network}, and aliases only with a resource_class"
    if spec.is_remote_managed:
        return "is remote_managed"
    return _why_not_counted(spec, alias, named)


def _why_not_counted(spec: DeviceSpec, alias: Alias, named: str | None) -> str:
    if named and alias.resource_class not in (None, normalize_resource_class(named)):
        return f"is counted as {normalize_resource_class(named)}"
    by_ids = (alias.resource_class or "").startswith("CUSTOM_PCI_")
    is_network = alias.resource_class in (NETWORK_VF, NETWORK_PF)
    if not named and alias.resource_class and not by_ids and not is_network:
        return "has no resource_class"
    if not named and by_ids and spec.vendor_id is not None and spec.product_id is not None:
        counted = class_of_ids(spec.vendor_id, spec.product_id)
        if counted != alias.resource_class:
            return f"is counted as {counted}"
    if missing := sorted(alias.traits - traits_of(spec.tags)):
        return f"lacks the trait {', '.join(missing)}"
    if alias.live_migratable is not None:
        asked = "true" if alias.live_migratable else "false"
        if spec.tags.get("live_migratable") != asked:
            return f"is not marked live_migratable {asked}"
    return ""
