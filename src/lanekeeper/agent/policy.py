"""What the operator lets a host's agent touch, and how."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from lanekeeper.config.image_cache import ImageCacheManager
from lanekeeper.config.network import SriovNic
from lanekeeper.config.tree import Config, Cpus
from lanekeeper.domain.network.uplink import USUAL, Patience
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.cleaning_hook import CleaningHook
from lanekeeper.domain.pci.device_spec import DeviceSpec
from lanekeeper.protocol import BandwidthFact

_ALL = Cpus()
"""Guests float over every CPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the operator lets this host's agent touch.

    Attributes:
        mappings: physical network to interfaces, ``[sriov_nic] physical_device_mappings``.
        excluded: VFs that stay with the host, ``[sriov_nic] exclude_devices``.
        bandwidths: what interfaces carry, ``[sriov_nic] resource_provider_bandwidths``.
        bridges: physical network to the bridge on it, ``[ovs] bridge_mappings``.
        guards: whether ports of those bridges are guarded, ``[securitygroup] firewall_driver``.
        shared: physical network to interfaces that are told of guests on its bridge although they
            are no ports of it, ``[FDB] shared_physical_device_mappings``.
        hypervisors: interface to the host below which it is said to be counted.
        cleaning_timeout_s: what one try to clean a device may take.
        cpus: which of the host's CPUs guests get.
        patience: with uplinks.
        relays: whether VFs of uplinks that are down have no link.
        erase_nvme: whether NVMe drives are erased when they are cleaned.
        cleaning_hooks: programs that have to succeed before a device is clean.
        image_cache: when images that nothing needs are removed.
    """

    specs: Sequence[DeviceSpec] = ()
    mappings: Mapping[str, Sequence[str]] = field(default_factory=dict)
    excluded: frozenset[PciAddress] = frozenset()
    bandwidths: Sequence[BandwidthFact] = ()
    bridges: Mapping[str, str] = field(default_factory=dict)
    guards: bool = True
    shared: Mapping[str, Sequence[str]] = field(default_factory=dict)
    hypervisors: Mapping[str, str] = field(default_factory=dict)
    cleaning_timeout_s: float = 120.0
    cpus: Cpus = _ALL
    patience: Patience = USUAL
    relays: bool = True
    erase_nvme: bool = True
    cleaning_hooks: Sequence[CleaningHook] = ()
    image_cache: ImageCacheManager = field(default_factory=ImageCacheManager)

    @classmethod
    def of(cls, config: Config) -> Self:
        """Take what concerns a host's agent from the whole configuration."""
        return cls(
            specs=config.pci.device_spec,
            mappings=config.sriov_nic.physical_device_mappings,
            excluded=frozenset().union(*config.sriov_nic.exclude_devices.values()),
            bandwidths=tuple(_bandwidths(config.sriov_nic)),
            bridges=config.ovs.bridge_mappings,
            guards=config.security_group.guards,
            shared=config.ovs.shared_physical_device_mappings,
            hypervisors=dict(_hypervisors(config.sriov_nic)),
            cleaning_timeout_s=config.lanekeeper.cleaning_timeout_s,
            cpus=config.cpus,
            patience=Patience(
                down_s=config.lanekeeper.uplink_down_s, up_s=config.lanekeeper.uplink_up_s
            ),
            relays=config.lanekeeper.relay_uplink,
            erase_nvme=config.lanekeeper.erase_nvme,
            cleaning_hooks=config.lanekeeper.cleaning_hooks,
            image_cache=config.image_cache,
        )


def _bandwidths(nic: SriovNic) -> Iterator[BandwidthFact]:
    defaults = nic.resource_provider_inventory_defaults
    for interface, carried in sorted(nic.resource_provider_bandwidths.items()):
        yield BandwidthFact(
            interface=interface,
            egress_kbps=carried.egress_kbps,
            ingress_kbps=carried.ingress_kbps,
            reserved=defaults.reserved,
            min_unit=defaults.min_unit,
            max_unit=defaults.max_unit,
            step_size=defaults.step_size,
            allocation_ratio=defaults.allocation_ratio,
        )


def _hypervisors(nic: SriovNic) -> Iterator[tuple[str, str]]:
    default = nic.resource_provider_default_hypervisor
    for interface in sorted(nic.resource_provider_bandwidths):
        if host := nic.resource_provider_hypervisors.get(interface, default):
            yield interface, host
