"""Bandwidth that is promised to ports: what a port asks for, and who in Placement has it.

As in Neutron a host's interfaces are resource providers below one for its agent, and those below
the host's own. Amounts are kbit/s as the guest sees it: egress is what it sends.

Source: neutron-lib ``placement/utils.py``; neutron ``agent/common/placement_report.py``.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lanekeeper.domain.network.binding import SUPPORTED
from lanekeeper.domain.network.mapping import Bandwidth, InventoryDefaults
from lanekeeper.domain.network.port import PortRecord
from lanekeeper.domain.network.promise import EGRESS, INGRESS, promise_of, promising
from lanekeeper.domain.network.qos import QosRule
from lanekeeper.domain.pci.resource_class import normalize_trait, physical_network_trait
from lanekeeper.domain.placement.inventory import Inventory

_NAMESPACE = uuid.UUID("87f1895c-73bb-11e8-9008-c4d987b2a692")
"""Neutron's for agents of type NIC Switch. Source: neutron ``ml2/drivers/mech_sriov``."""
_AGENT = "NIC Switch agent"


# The port's side ----------------------------------------------------------------------------------


def group_id(port_id: str, rules: Iterable[QosRule]) -> str:
    """Name a port's request group, the same as long as its rules are.

    Source: neutron-lib ``placement/utils.py``, resource_request_group_uuid.
    """
    name = ":".join(rule.id for rule in promising(rules))
    return str(uuid.uuid5(uuid.UUID(port_id), name))


def resource_request(
    port_id: str, rules: Iterable[QosRule], vnic_type: str, physical_network: str | None
) -> dict[str, Any] | None:
    """What a port asks of Placement, as its ``resource_request`` shows; None where it is nothing.

    Source: neutron ``services/qos/qos_plugin.py``, _get_min_bw_request_group.
    """
    rules = list(rules)
    amounts = promise_of(rules).amounts
    if not amounts:
        return None
    reached = [physical_network_trait(physical_network)] if physical_network else []
    group = {
        "id": group_id(port_id, rules),
        "required": [*reached, vnic_type_trait(vnic_type)],
        "resources": amounts,
    }
    return {"request_groups": [group], "same_subtree": [group["id"]]}


def allocation_of(port: PortRecord, provider_id: str | None) -> dict[str, str]:
    """``allocation`` in a port's profile: its request group to the provider that it has it from.

    Source: nova ``network/neutron.py``, _get_binding_profile_allocation.
    """
    if provider_id is None or not promise_of(port.qos_rules):
        return {}
    return {group_id(port.id, port.qos_rules): provider_id}


def vnic_type_trait(vnic_type: str) -> str:
    """Name the trait of providers whose ports may be of *vnic_type*.

    Source: neutron-lib ``placement/utils.py``, vnic_type_trait.
    """
    return normalize_trait(f"CUSTOM_VNIC_TYPE_{vnic_type}")


# The host's side ----------------------------------------------------------------------------------


def agent_provider_id(host_name: str) -> str:
    """Id of the provider of a host's agent. Source: neutron-lib, agent_resource_provider_uuid."""
    return str(uuid.uuid5(_NAMESPACE, host_name))


def interface_provider_id(host_name: str, interface: str) -> str:
    """Id of an interface's provider. Source: neutron-lib, device_resource_provider_uuid."""
    return str(uuid.uuid5(_NAMESPACE, f"{host_name}:{interface}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class BandwidthProvider:
    """A provider, what it has, and the interface that it stands for; None for the agent's."""

    id: str
    name: str
    parent_id: str
    interface: str | None
    traits: frozenset[str]
    inventories: Mapping[str, Inventory]


def bandwidth_providers(
    host_ids: Mapping[str, str],
    hosts: Mapping[str, str],
    mappings: Mapping[str, Iterable[str]],
    bandwidths: Mapping[str, Bandwidth],
    defaults: InventoryDefaults,
) -> Iterator[BandwidthProvider]:
    """The providers of a host's interfaces; parents come before what is below them.

    Args:
        host_ids: name of a host to the id of its own provider.
        hosts: interface to the name of its host.
        mappings: physical network to interfaces.
        bandwidths: interface to what it carries; a direction that is not said has no inventory.
        defaults: what inventories have beside their total.

    Source: neutron ``agent/common/placement_report.py``, PlacementState.
    """
    kinds = frozenset(map(vnic_type_trait, SUPPORTED))
    for name in sorted({*hosts.values()}):
        yield BandwidthProvider(
            id=agent_provider_id(name),
            name=f"{name}:{_AGENT}",
            parent_id=host_ids[name],
            interface=None,
            traits=kinds,
            inventories={},
        )
    for interface, carried in sorted(bandwidths.items()):
        name = hosts[interface]
        networks = [network for network, names in mappings.items() if interface in names]
        yield BandwidthProvider(
            id=interface_provider_id(name, interface),
            name=f"{name}:{_AGENT}:{interface}",
            parent_id=agent_provider_id(name),
            interface=interface,
            traits=kinds | frozenset(map(physical_network_trait, networks)),
            inventories=_inventories(carried, defaults),
        )


def _inventories(carried: Bandwidth, defaults: InventoryDefaults) -> dict[str, Inventory]:
    totals = {EGRESS: carried.egress_kbps, INGRESS: carried.ingress_kbps}
    return {
        name: Inventory(
            total=total,
            reserved=defaults.reserved,
            min_unit=defaults.min_unit,
            max_unit=defaults.max_unit if defaults.max_unit is not None else total,
            step_size=defaults.step_size,
            allocation_ratio=defaults.allocation_ratio,
        )
        for name, total in totals.items()
        if total
    }
