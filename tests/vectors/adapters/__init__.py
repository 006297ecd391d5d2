"""One adapter for each kind of file: a case's input into what Lanekeeper says of it."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping

from vectors.adapters import (
    agent,
    alias,
    binding,
    device_spec,
    discovery,
    extra_specs,
    life,
    migration,
    network_options,
    normalization,
    numa_fit,
    placing,
    pools,
    ports,
    query,
    scheduling,
    vf,
    xml,
)
from vectors.case import Adapter, Answer, Data


def _site(data: Data) -> Iterable[Answer]:
    """Loaded when it is needed: a whole site is a second of imports."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the HTTP client that comes with the site's tests
        from vectors.adapters.site import site
    return site(data)


ADAPTERS: Mapping[str, Adapter] = {
    "nova/alias": alias.alias,
    "nova/binding_profile": binding.binding_profile,
    "nova/device_spec": device_spec.device_spec,
    "nova/device_spec_config": device_spec.device_spec_config,
    "nova/extra_spec_values": extra_specs.values,
    "nova/extra_specs": extra_specs.extra_specs,
    "nova/normalization": normalization.normalization,
    "nova/numa_fit": numa_fit.numa_fit,
    "nova/numa": placing.requests,
    "nova/filter_weigher": scheduling.filter_weigher,
    "nova/numa_policy_resolution": scheduling.numa_policy_resolution,
    "nova/placement_query": query.placement_query,
    "nova/pools": pools.pools,
    "nova/ports": ports.ports,
    "nova/discovery": discovery.discovery,
    "nova/live_migration_precheck": migration.live_migration_precheck,
    "nova/live_migration_xml": migration.live_migration_xml,
    "nova/placement": _site,
    "nova/server_lifecycle": _site,
    "nova/requests": placing.requests,
    "nova/state_machine": life.state_machine,
    "nova/xml": xml.xml,
    "neutron/agent_loop": agent.agent_loop,
    "neutron/legacy_pci_vendor_list": agent.legacy_pci_vendor_list,
    "neutron/placement": agent.placement,
    "neutron/vf_scan": agent.vf_scan,
    "neutron/agent_config": network_options.agent_config,
    "neutron/binding": binding.binding,
    "neutron/link_state": vf.link_states,
    "neutron/netlink_vf": vf.netlink_vf,
    "neutron/qos_vf_rate": vf.qos_vf_rate,
    "neutron/exclude_devices": network_options.exclude_devices,
    "neutron/network_vlan_ranges": network_options.network_vlan_ranges,
    "neutron/physical_device_mappings": network_options.physical_device_mappings,
}

NOT_YET = frozenset(
    {
        "neutron/fdb_extension",
    }
)
"""Kinds that no public function of ours answers yet: their cases count as failed."""
