"""How hosts are chosen: ``[filter_scheduler]``, with Nova's names."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from lanekeeper.config.filter_name import DEFAULT_FILTERS, parse_filters
from lanekeeper.config.option import Option, Section
from lanekeeper.config.value import parse_list
from lanekeeper.domain.scheduling.filter_settings import FilterSettings
from lanekeeper.domain.scheduling.multiplier import Multipliers


class Scheduler(Section, frozen=True):
    """Filters and weighers."""

    enabled_filters: Annotated[
        tuple[str, ...],
        Option(
            "filter_scheduler",
            "enabled_filters",
            "Nova's filters that turn hosts away. What a flavor or a hint asks of one that is not "
            "named is refused. ComputeFilter: hosts that are down. PciPassthroughFilter and "
            "NUMATopologyFilter are obeyed even where they are not named; what is disabled, "
            "frozen, full or in another zone is never taken. Not offered, and turning no host "
            "away: JsonFilter, MetricsFilter and SimpleCIDRAffinityFilter.",
            old=(("DEFAULT", "scheduler_default_filters"),),
            parse=parse_filters,
        ),
    ] = DEFAULT_FILTERS
    pci_weight_multiplier: Annotated[
        float,
        Meta(ge=0),
        Option(
            "filter_scheduler",
            "pci_weight_multiplier",
            "How much it counts that few devices of a host are free.",
        ),
    ] = 1.0
    cpu_weight_multiplier: Annotated[
        float,
        Option(
            "filter_scheduler",
            "cpu_weight_multiplier",
            "How much it counts that many VCPUs are free; negative packs servers.",
        ),
    ] = 1.0
    ram_weight_multiplier: Annotated[
        float,
        Option(
            "filter_scheduler",
            "ram_weight_multiplier",
            "How much it counts that much memory is free; negative packs servers.",
            old=(("DEFAULT", "ram_weight_multiplier"),),
        ),
    ] = 1.0
    disk_weight_multiplier: Annotated[
        float,
        Option(
            "filter_scheduler",
            "disk_weight_multiplier",
            "How much it counts that much disk is free; negative packs servers.",
            old=(("DEFAULT", "disk_weight_multiplier"),),
        ),
    ] = 1.0
    soft_affinity_weight_multiplier: Annotated[
        float,
        Meta(ge=0),
        Option(
            "filter_scheduler",
            "soft_affinity_weight_multiplier",
            "How much it counts that a host has many servers of a group of policy soft-affinity.",
        ),
    ] = 1.0
    soft_anti_affinity_weight_multiplier: Annotated[
        float,
        Meta(ge=0),
        Option(
            "filter_scheduler",
            "soft_anti_affinity_weight_multiplier",
            "How much it counts that a host has few servers of a group of policy "
            "soft-anti-affinity.",
        ),
    ] = 1.0
    aggregate_image_properties_isolation_namespace: Annotated[
        str | None,
        Option(
            "filter_scheduler",
            "aggregate_image_properties_isolation_namespace",
            "AggregateImagePropertiesIsolation: only keys count that begin with this.",
        ),
    ] = None
    aggregate_image_properties_isolation_separator: Annotated[
        str,
        Option(
            "filter_scheduler",
            "aggregate_image_properties_isolation_separator",
            "AggregateImagePropertiesIsolation: what follows the namespace.",
        ),
    ] = "."
    image_properties_default_architecture: Annotated[
        str | None,
        Option(
            "filter_scheduler",
            "image_properties_default_architecture",
            "ImagePropertiesFilter: what images are for that have no hw_architecture.",
        ),
    ] = None
    max_instances_per_host: Annotated[
        int,
        Meta(ge=1),
        Option(
            "filter_scheduler",
            "max_instances_per_host",
            "NumInstancesFilter: servers that a host has at most; AggregateNumInstancesFilter: "
            "where no aggregate of it says otherwise.",
            old=(("DEFAULT", "max_instances_per_host"),),
        ),
    ] = 50
    max_io_ops_per_host: Annotated[
        int,
        Meta(ge=0),
        Option(
            "filter_scheduler",
            "max_io_ops_per_host",
            "IoOpsFilter: servers that a host builds at a time at most; AggregateIoOpsFilter: "
            "where no aggregate of it says otherwise.",
            old=(("DEFAULT", "max_io_ops_per_host"),),
        ),
    ] = 8
    isolated_hosts: Annotated[
        tuple[str, ...],
        Option(
            "filter_scheduler",
            "isolated_hosts",
            "IsolatedHostsFilter: hosts, by name, on which isolated_images are kept.",
            parse=parse_list,
        ),
    ] = ()
    isolated_images: Annotated[
        tuple[str, ...],
        Option(
            "filter_scheduler",
            "isolated_images",
            "IsolatedHostsFilter: ids of images that are kept on isolated_hosts.",
            parse=parse_list,
        ),
    ] = ()
    restrict_isolated_hosts_to_isolated_images: Annotated[
        bool,
        Option(
            "filter_scheduler",
            "restrict_isolated_hosts_to_isolated_images",
            "IsolatedHostsFilter: keep all other images from isolated_hosts.",
        ),
    ] = True

    @property
    def multipliers(self) -> Multipliers:
        return Multipliers(
            pci=self.pci_weight_multiplier,
            cpu=self.cpu_weight_multiplier,
            ram=self.ram_weight_multiplier,
            disk=self.disk_weight_multiplier,
            soft_affinity=self.soft_affinity_weight_multiplier,
            soft_anti_affinity=self.soft_anti_affinity_weight_multiplier,
        )

    @property
    def filter_settings(self) -> FilterSettings:
        return FilterSettings(
            image_namespace=self.aggregate_image_properties_isolation_namespace,
            image_separator=self.aggregate_image_properties_isolation_separator,
            default_architecture=self.image_properties_default_architecture,
            servers_max=self.max_instances_per_host,
            builds_max=self.max_io_ops_per_host,
            isolated_hosts=frozenset(self.isolated_hosts),
            isolated_images=frozenset(self.isolated_images),
            isolated_restrict=self.restrict_isolated_hosts_to_isolated_images,
        )
