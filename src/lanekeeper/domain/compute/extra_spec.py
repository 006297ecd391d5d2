"""Flavor extra specs and image properties: their spelling, and which of them can be honoured.

A spec that changes where a guest may run or what it is given is never overlooked: what cannot be
honoured yet is refused when a server asks for it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from lanekeeper.domain.compute.aggregate import DEVICES_ONLY_KEY
from lanekeeper.domain.compute.extra_spec_rule import check_by_rule
from lanekeeper.domain.compute.flavor import ALIAS_SPEC, Flavor
from lanekeeper.domain.compute.spec_scope import check_scope_offered, scope_meant
from lanekeeper.domain.errors import Forbidden, Invalid, NotOffered
from lanekeeper.domain.network.card import VNIC_TYPE_SPEC
from lanekeeper.domain.network.vf_wanted import RATE_SPEC, flavor_rates
from lanekeeper.domain.pci.alias import NumaPolicy
from lanekeeper.domain.pci.request import parse_alias_spec
from lanekeeper.domain.topology.affinity import RootPolicy
from lanekeeper.domain.topology.guest_spec import (
    check_spec,
    is_topology_property,
    is_topology_spec,
)

SPEC_LENGTH_MAX = 255
_KEY = re.compile(r"[a-zA-Z0-9-_:. ]{1,255}", re.ASCII)
SCOPE = "aggregate_instance_extra_specs:"
"""What begins the extra specs that are for a host's aggregates alone."""
CAPABILITY_SCOPE = "capabilities:"
CAPABILITIES = frozenset(
    {
        "cpu_info:arch",
        "host",
        "hypervisor_hostname",
        "hypervisor_type",
        "hypervisor_version",
        "num_instances",
    }
)
"""What is known of a host, of all that extra specs with CAPABILITY_SCOPE may ask for in Nova."""
NUMA_POLICY_SPEC = "hw:pci_numa_affinity_policy"
NUMA_POLICY_PROPERTY = "hw_pci_numa_affinity_policy"

OWN_SCOPE = "lanekeeper:"
"""What begins extra specs and aggregates' metadata that mean something here and nowhere else."""
ROOT_POLICY_SPEC = f"{OWN_SCOPE}pcie_root"
GROUP_POLICY_SPEC = "group_policy"
_ISOLATE = "isolate"
_GROUP_POLICIES = ("none", _ISOLATE)

_KNOWN = frozenset(
    {
        ALIAS_SPEC,
        NUMA_POLICY_SPEC,
        ROOT_POLICY_SPEC,
        GROUP_POLICY_SPEC,
        RATE_SPEC,
        VNIC_TYPE_SPEC,
    }
)
_ALIAS_SCOPE = "pci_passthrough:"
_VIF = "quota:vif_"
_MEANINGFUL = (
    "accel:",
    "capabilities:",
    "group",
    "hw",
    OWN_SCOPE,
    "os:",
    "pci_passthrough:",
    "powervm:",
    "quota:",
    "resources",
    "trait",
    "vmware:",
)
"""Beginnings of specs that OpenStack gives a meaning; anybody else's are notes."""

_PROPERTIES = (
    "hw_cpu_",
    "hw_emulation_",
    "hw_firmware_",
    "hw_locked_memory",
    "hw_maxphysaddr_",
    "hw_mem_",
    "hw_numa",
    "hw_tpm_",
    "hw_viommu_",
    "os_secure_boot",
    "trait:",
)
"""Beginnings of image properties that a guest without them would miss."""
_PROPERTIES_WITHOUT_EFFECT: Mapping[str, str] = {
    "hw_firmware_type": "bios",
    "hw_locked_memory": "false",
    "os_secure_boot": "disabled",
}


def check_spelling(specs: Mapping[str, str]) -> None:
    """Check keys and values as every version of the API does.

    Raises:
        Invalid: a key or value that is too long, empty, or has other characters than allowed.
    """
    for key, value in specs.items():
        if not _KEY.fullmatch(key):
            raise Invalid(
                f"extra spec key {key[:60]!r} must have 1 to {SPEC_LENGTH_MAX} letters, digits, "
                "blanks or any of - _ : ."
            )
        if len(value) > SPEC_LENGTH_MAX or "\0" in value:
            raise Invalid(
                f"extra spec {key}: its value has NUL or more than {SPEC_LENGTH_MAX} letters"
            )


def check_own(specs: Mapping[str, str]) -> None:
    """Check those specs that are ours alone, whatever version of the API sets them.

    Raises:
        Invalid: there is none of that name, or it has another value than it may have.
    """
    for key in specs:
        if not key.lower().startswith(OWN_SCOPE) or key == ROOT_POLICY_SPEC:
            continue
        if key == DEVICES_ONLY_KEY:
            raise Invalid(
                f"extra spec {key} does not exist",
                hint=f"{key} is metadata of a host aggregate: openstack aggregate set --property",
            )
        raise Invalid(
            f"extra spec {key[:60]} does not exist",
            hint=f"did you mean {ROOT_POLICY_SPEC}? Nothing else begins with {OWN_SCOPE}",
        )
    root_policy(specs)


def check_values(specs: Mapping[str, str]) -> None:
    """Check keys and values as the API does from 2.86 on.

    What is honoured here is also read as it will be for a server, which some values do not pass
    that Nova takes: it refuses the server then.

    Raises:
        Invalid: a value of the wrong form, or an unknown key in a scope that OpenStack has.
    """
    for key, value in specs.items():
        if key == ALIAS_SPEC:
            parse_alias_spec(value)
        elif key == NUMA_POLICY_SPEC:
            _numa_policy(value, key)
        elif key == ROOT_POLICY_SPEC:
            root_policy(specs)
        elif key == GROUP_POLICY_SPEC:
            isolates(specs)
        elif key == RATE_SPEC:
            flavor_rates(specs)
        elif is_topology_spec(key):
            check_spec(key, value)
        if key != VNIC_TYPE_SPEC:
            check_by_rule(key, value)


def numa_policy(specs: Mapping[str, str], properties: Mapping[str, str]) -> NumaPolicy | None:
    """Return the PCI NUMA policy that flavor or image ask for; None when neither does.

    Raises:
        Forbidden: they ask for different ones.
        Invalid: neither required, preferred, legacy nor socket.

    Source: nova ``virt/hardware.py``, get_pci_numa_policy_constraint.
    """
    flavor, image = specs.get(NUMA_POLICY_SPEC), properties.get(NUMA_POLICY_PROPERTY)
    if flavor is not None and image is not None and flavor != image:
        raise Forbidden(
            f"The image property {NUMA_POLICY_PROPERTY} {image[:40]!r} and the flavor's "
            f"{NUMA_POLICY_SPEC} {flavor[:40]!r} differ: set one of them only, or both alike"
        )
    text = flavor if flavor is not None else image
    return None if text is None else _numa_policy(text, NUMA_POLICY_SPEC)


def root_policy(specs: Mapping[str, str]) -> RootPolicy:
    """Return whether a flavor has all of a server's devices below one PCIe root port.

    Raises:
        Invalid: neither any, preferred nor required.
    """
    text = specs.get(ROOT_POLICY_SPEC, RootPolicy.ANY)
    try:
        return RootPolicy(text)
    except ValueError as error:
        raise Invalid(
            f"{ROOT_POLICY_SPEC} {text[:40]!r} is none of {', '.join(RootPolicy)}"
        ) from error


def isolates(specs: Mapping[str, str]) -> bool:
    """Whether each of a server's devices has to come from another card.

    Raises:
        Invalid: ``group_policy`` is neither none nor isolate.
    """
    text = specs.get(GROUP_POLICY_SPEC, "none")
    if text not in _GROUP_POLICIES:
        raise Invalid(f"{GROUP_POLICY_SPEC} {text[:40]!r} is none of {', '.join(_GROUP_POLICIES)}")
    return text == _ISOLATE


def check_offered(flavor: Flavor, filters: Collection[str] = ()) -> None:
    """Make sure that everything this flavor asks for can be given.

    Args:
        flavor: what a server asks for.
        filters: Nova's names of those that are asked; some extra specs are theirs.

    Raises:
        NotOffered: it asks for what is not there; the message names the key.
    """
    for what, amount in (("ephemeral", flavor.ephemeral_gib), ("swap", flavor.swap_mib)):
        if amount:
            raise NotOffered(
                f"flavor {flavor.name} has {what} {amount}: such disks are not offered",
                hint=f"use a flavor with {what} 0",
            )
    for key, value in sorted(flavor.extra_specs.items()):
        if key in _KNOWN or is_topology_spec(key):
            continue
        check_scope_offered(flavor.name, key)
        if key.startswith(CAPABILITY_SCOPE) and not _is_known(key):
            raise NotOffered(
                f"flavor {flavor.name} has the extra spec {key}, and no host tells that",
                hint=f"hosts tell {', '.join(sorted(CAPABILITIES))}",
            )
        if name := _filter_of(key):
            if name in filters:
                continue
            raise NotOffered(
                f"flavor {flavor.name} has the extra spec {key}={value[:60]}, which {name} would "
                "honour and that filter is not on",
                hint=f"use a flavor without {key}, or add {name} to [filter_scheduler] "
                "enabled_filters",
            )
        if key.startswith(_VIF):
            raise NotOffered(
                f"flavor {flavor.name} has the extra spec {key}={value[:60]}, which a VF cannot "
                "keep: it limits what its guest sends, on average",
                hint=f"use {RATE_SPEC} alone, in kilobytes a second",
            )
        if key.startswith(_MEANINGFUL):
            raise NotOffered(
                f"flavor {flavor.name} has the extra spec {key}={value[:60]}, which is not "
                "offered and would not be honoured",
                hint=f"use a flavor without {key}",
            )


def _is_known(key: str) -> bool:
    return key.removeprefix(CAPABILITY_SCOPE) in CAPABILITIES


def _filter_of(key: str) -> str:
    """The filter whose business an extra spec is; empty where it is none's."""
    if key.startswith(SCOPE) or (":" not in key and not key.startswith(_MEANINGFUL)):
        return "AggregateInstanceExtraSpecsFilter"
    if key.startswith(CAPABILITY_SCOPE):
        return "ComputeCapabilitiesFilter"
    return ""


def check_properties(properties: Mapping[str, str]) -> None:
    """Make sure that everything the image asks for can be given.

    Raises:
        NotOffered: it asks for what is not there; the message names the property.
    """
    for key, value in sorted(properties.items()):
        if key.startswith(_ALIAS_SCOPE) or scope_meant(key) == _ALIAS_SCOPE.rstrip(":"):
            raise NotOffered(
                f"the image has the property {key[:60]}, which has no effect: devices are asked "
                "for by flavors and ports",
                hint=f"set {ALIAS_SPEC} as an extra spec of the flavor, and take it off the image",
            )
        if not key.startswith(_PROPERTIES) or is_topology_property(key):
            continue
        if _PROPERTIES_WITHOUT_EFFECT.get(key) != str(value).lower():
            raise NotOffered(
                f"the image has the property {key}={str(value)[:60]}, which is not offered and "
                "would not be honoured",
                hint=f"use an image without {key}",
            )


def _numa_policy(text: str, key: str) -> NumaPolicy:
    try:
        return NumaPolicy(text)
    except ValueError as error:
        raise Invalid(f"{key} {text[:40]!r} is none of {', '.join(NumaPolicy)}") from error
