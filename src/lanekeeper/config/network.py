"""Networks, and what a host's interfaces reach: Neutron's ML2 and SR-IOV agent's names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from lanekeeper.config.option import Option, Section
from lanekeeper.config.value import (
    NO_FIREWALL,
    parse_firewall_driver,
    parse_flat_networks,
    parse_mtus,
)
from lanekeeper.domain.network.mapping import (
    Bandwidth,
    InventoryDefaults,
    parse_bandwidths,
    parse_bridge_mappings,
    parse_device_mappings,
    parse_excluded_devices,
    parse_inventory_defaults,
    parse_named_hypervisors,
    parse_shared_mappings,
)
from lanekeeper.domain.network.vlan import VlanRange, parse_vlan_ranges
from lanekeeper.domain.pci.address import PciAddress


class Ml2(Section, frozen=True):
    """Networks: their kinds, VLANs and sizes of frames."""

    mechanism_drivers: Annotated[
        tuple[str, ...],
        Option("ml2", "mechanism_drivers", "Read; ports are bound as sriovnicswitch does."),
    ] = ("sriovnicswitch",)
    type_drivers: Annotated[
        tuple[str, ...], Option("ml2", "type_drivers", "Kinds of networks that may be made.")
    ] = ("flat", "vlan")
    project_network_types: Annotated[
        tuple[str, ...],
        Option(
            "ml2",
            "project_network_types",
            "Kinds to try for a network that names none, in this order.",
            old=(("ml2", "tenant_network_types"),),
        ),
    ] = ("vlan",)
    vlan_ranges: Annotated[
        Mapping[str, tuple[VlanRange, ...]],
        Option(
            "ml2_type_vlan",
            "network_vlan_ranges",
            "VLANs of each physical network: PHYSNET or PHYSNET:MIN:MAX, separated by commas.",
            parse=parse_vlan_ranges,
        ),
    ] = msgspec.field(default_factory=dict)
    flat_networks: Annotated[
        tuple[str, ...],
        Option(
            "ml2_type_flat",
            "flat_networks",
            "Physical networks that may be used untagged; * is all, nothing is none.",
            parse=parse_flat_networks,
        ),
    ] = ("*",)
    physical_network_mtus: Annotated[
        Mapping[str, int],
        Option(
            "ml2",
            "physical_network_mtus",
            "MTU of single physical networks: PHYSNET:MTU, separated by commas.",
            parse=parse_mtus,
        ),
    ] = msgspec.field(default_factory=dict)
    global_physnet_mtu: Annotated[
        int,
        Meta(ge=68, le=65535),
        Option("DEFAULT", "global_physnet_mtu", "MTU of all other physical networks."),
    ] = 1500


class SriovNic(Section, frozen=True):
    """What a host's network interfaces reach."""

    physical_device_mappings: Annotated[
        Mapping[str, tuple[str, ...]],
        Option(
            "sriov_nic",
            "physical_device_mappings",
            "PFs that reach each physical network: PHYSNET:INTERFACE, separated by commas.",
            parse=parse_device_mappings,
            of_agent=True,
        ),
    ] = msgspec.field(default_factory=dict)
    exclude_devices: Annotated[
        Mapping[str, frozenset[PciAddress]],
        Option(
            "sriov_nic",
            "exclude_devices",
            "VFs that are left alone: INTERFACE:ADDRESS;ADDRESS, separated by commas.",
            parse=parse_excluded_devices,
            of_agent=True,
        ),
    ] = msgspec.field(default_factory=dict)
    resource_provider_bandwidths: Annotated[
        Mapping[str, Bandwidth],
        Option(
            "sriov_nic",
            "resource_provider_bandwidths",
            "What PFs carry that ports can be promised: INTERFACE:EGRESS:INGRESS, in kbit/s as "
            "guests see it, separated by commas; empty for a direction of which nothing is.",
            parse=parse_bandwidths,
            of_agent=True,
        ),
    ] = msgspec.field(default_factory=dict)
    resource_provider_inventory_defaults: Annotated[
        InventoryDefaults,
        Option(
            "sriov_nic",
            "resource_provider_inventory_defaults",
            "What bandwidth inventories have beside their total: KEY:NUMBER, with commas.",
            parse=parse_inventory_defaults,
            of_agent=True,
        ),
    ] = InventoryDefaults()
    resource_provider_hypervisors: Annotated[
        Mapping[str, str],
        Option(
            "sriov_nic",
            "resource_provider_hypervisors",
            "Hosts below which Neutron counts bandwidth: INTERFACE:HOST, separated by commas. Here "
            "it is always the host that has the interface; another name is told as a problem.",
            parse=parse_named_hypervisors,
            of_agent=True,
        ),
    ] = msgspec.field(default_factory=dict)
    resource_provider_default_hypervisor: Annotated[
        str | None,
        Option(
            "sriov_nic",
            "resource_provider_default_hypervisor",
            "The same for all interfaces that resource_provider_hypervisors does not name.",
            of_agent=True,
        ),
    ] = None


class Ovs(Section, frozen=True):
    """The virtual switches of a host, Open vSwitch's, on which normal ports are."""

    bridge_mappings: Annotated[
        Mapping[str, str],
        Option(
            "ovs",
            "bridge_mappings",
            "Bridge that is on each physical network: PHYSNET:BRIDGE, separated by commas; guests' "
            "normal ports are plugged into it.",
            parse=parse_bridge_mappings,
            of_agent=True,
        ),
    ] = msgspec.field(default_factory=dict)
    shared_physical_device_mappings: Annotated[
        Mapping[str, tuple[str, ...]],
        Option(
            "FDB",
            "shared_physical_device_mappings",
            "PFs that are told of guests on the bridge of a physical network, so that VFs reach "
            "them: PHYSNET:INTERFACE, separated by commas. PFs that are ports of the bridge are "
            "told without being named.",
            parse=parse_shared_mappings,
            of_agent=True,
        ),
    ] = msgspec.field(default_factory=dict)


class SecurityGroup(Section, frozen=True):
    """What guards the normal ports of a host."""

    firewall_driver: Annotated[
        str,
        Option(
            "securitygroup",
            "firewall_driver",
            "noop leaves normal ports of this host without guard: no security groups, no check of "
            "who a guest says it is. With any other of Neutron's drivers, flows of Open vSwitch "
            "guard them. Ports that are bound keep what they have.",
            parse=parse_firewall_driver,
            of_agent=True,
        ),
    ] = "openvswitch"
    enable_security_group: Annotated[
        bool,
        Option(
            "securitygroup",
            "enable_security_group",
            "false: as firewall_driver = noop.",
            of_agent=True,
        ),
    ] = True

    @property
    def guards(self) -> bool:
        """Whether ports of this host are guarded."""
        return self.enable_security_group and self.firewall_driver != NO_FIREWALL


class NetworkQuotas(Section, frozen=True):
    """How much of Network a project may have to which ``openstack quota set`` gave no number."""

    network: Annotated[
        int,
        Meta(ge=-1, le=2**31 - 1),
        Option("quotas", "quota_network", "Networks of a project; -1: any number."),
    ] = -1
    subnet: Annotated[
        int,
        Meta(ge=-1, le=2**31 - 1),
        Option("quotas", "quota_subnet", "Subnets of a project; -1: any number."),
    ] = -1
    port: Annotated[
        int,
        Meta(ge=-1, le=2**31 - 1),
        Option("quotas", "quota_port", "Ports of a project; -1: any number."),
    ] = -1
    security_group: Annotated[
        int,
        Meta(ge=-1, le=2**31 - 1),
        Option(
            "quotas",
            "quota_security_group",
            "Security groups of a project; -1: any number.",
        ),
    ] = -1
    security_group_rule: Annotated[
        int,
        Meta(ge=-1, le=2**31 - 1),
        Option(
            "quotas",
            "quota_security_group_rule",
            "Rules of security groups of a project; -1: any number.",
        ),
    ] = -1
    rbac_policy: Annotated[
        int,
        Meta(ge=-1, le=2**31 - 1),
        Option("quotas", "quota_rbac_policy", "RBAC policies of a project; -1: any number."),
    ] = -1
