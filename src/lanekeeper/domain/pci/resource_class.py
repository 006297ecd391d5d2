"""Names of resource classes and traits, and which of them a device has.

Source: nova ``compute/pci_placement_translator.py``, _normalize_resource_class and
_normalize_traits, which also let pass what Placement refuses; here that is refused at the start.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

import os_resource_classes
import os_traits

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.pci.device import DeviceType

NETWORK_VF = "SRIOV_NET_VF"
NETWORK_PF = "CUSTOM_SRIOV_NET_PF"
PHYSICAL_NETWORK_PREFIX = "CUSTOM_PHYSNET_"
LIVE_MIGRATABLE = "HW_PCI_LIVE_MIGRATABLE"
ONE_TIME_USE = "HW_PCI_ONE_TIME_USE"
MANAGED_DEVICE = "COMPUTE_MANAGED_PCI_DEVICE"

_PREFIX = "CUSTOM_"
_LENGTH_MAX = 255  # placement schemas/resource_class.py and trait.py
_STANDARD_CLASSES = frozenset(os_resource_classes.STANDARDS)
_STANDARD_TRAITS = frozenset(os_traits.get_traits())
_NOT_DEVICES = frozenset({"VCPU", "PCPU", "MEMORY_MB", "DISK_GB"})
"""What a host counts of itself; a device under one of these names would be lent out as a CPU."""


def normalize_resource_class(text: str) -> str:
    """Return the class that ``resource_class`` means: ``gpu.A16`` is ``CUSTOM_GPU_A16``.

    Raises:
        Invalid: longer than 255 characters, empty behind its prefix, or what a host counts of
            itself, such as VCPU.
    """
    name = text.upper()
    if name in _NOT_DEVICES:
        raise Invalid(
            f"resource_class {text!r} is what a host counts of itself, not of its devices",
            hint=f"a class of its own, such as CUSTOM_{name}_DEVICE, would be right",
        )
    return name if name in _STANDARD_CLASSES else _custom(name, "resource_class")


def normalize_trait(text: str) -> str:
    """Return the trait that *text* means: standard ones in any case, others with CUSTOM_.

    Raises:
        Invalid: longer than 255 characters, or empty behind its prefix.
    """
    name = text.upper()
    return name if name in _STANDARD_TRAITS else _custom(name, "trait")


@lru_cache
def parse_traits(text: str | None) -> frozenset[str]:
    """Read a comma-separated list; blanks around items and empty items do not count."""
    items = (item.strip() for item in (text or "").split(","))
    return frozenset(normalize_trait(item) for item in items if item)


def class_of_ids(vendor_id: int, product_id: int) -> str:
    """Name the class that devices have when their entry names none."""
    return f"CUSTOM_PCI_{vendor_id:04X}_{product_id:04X}"


def resource_class_of(
    vendor_id: int, product_id: int, dev_type: DeviceType, tags: Mapping[str, str]
) -> str:
    """Name the class under which a listed device is counted.

    What its entry names wins; a device with a physical network is a network function; all others
    are named for their ids.
    """
    if named := tags.get("resource_class"):
        return normalize_resource_class(named)
    if tags.get("physical_network"):
        return NETWORK_PF if dev_type is DeviceType.PF else NETWORK_VF
    return class_of_ids(vendor_id, product_id)


def traits_of(tags: Mapping[str, str]) -> frozenset[str]:
    """Name the traits of the provider of devices whose entry has *tags*."""
    traits = {MANAGED_DEVICE} | parse_traits(tags.get("traits"))
    if tags.get("live_migratable") == "true":
        traits.add(LIVE_MIGRATABLE)
    if tags.get("one_time_use") == "true":
        traits.add(ONE_TIME_USE)
    if network := tags.get("physical_network"):
        traits.add(physical_network_trait(network))
    return frozenset(traits)


def networks_of(traits: frozenset[str]) -> frozenset[str]:
    """Those of *traits* that name a physical network."""
    return frozenset(one for one in traits if one.startswith(PHYSICAL_NETWORK_PREFIX))


@lru_cache
def physical_network_trait(physical_network: str) -> str:
    """Name the trait of providers that reach *physical_network*: ``CUSTOM_PHYSNET_PHYSNET1``.

    Source: neutron-lib ``placement/utils.py``, physnet_trait.
    """
    return normalize_trait(PHYSICAL_NETWORK_PREFIX + physical_network)


def _custom(name: str, what: str) -> str:
    # Underscores that the operator wrote behind the prefix stay; Nova folds all others.
    foreign = r"[^A-Z0-9_]+" if name.startswith(_PREFIX) else r"[^A-Z0-9]+"
    bare = re.sub(foreign, "_", name.removeprefix(_PREFIX))
    if not bare:
        raise Invalid(f"{what} {name!r} has nothing behind {_PREFIX}")
    if len(_PREFIX + bare) > _LENGTH_MAX:
        raise Invalid(f"{what} {name[:40]!r}... is longer than {_LENGTH_MAX} characters")
    return _PREFIX + bare
