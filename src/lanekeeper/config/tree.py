"""What can be configured: every section, key, default and bound, and its line in the reference.

A field's ``Option`` names the section and key of OpenStack's files that it is read from. Numbers
carry their unit in the name, except where OpenStack's key has it otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from lanekeeper.config.health import Health
from lanekeeper.config.image_cache import ImageCacheManager
from lanekeeper.config.option import Option, Section
from lanekeeper.config.scheduler import Scheduler
from lanekeeper.config.service import Cors, Keystone, Placement
from lanekeeper.config.value import (
    parse_flat_networks,
    parse_listen,
    parse_mtus,
    parse_name,
)
from lanekeeper.domain.network.mapping import (
    Bandwidth,
    InventoryDefaults,
    parse_bandwidths,
    parse_device_mappings,
    parse_excluded_devices,
    parse_inventory_defaults,
)
from lanekeeper.domain.network.vlan import VlanRange, parse_vlan_ranges
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.alias import Alias
from lanekeeper.domain.pci.cleaning_hook import CleaningHook
from lanekeeper.domain.pci.device_spec import DeviceSpec
from lanekeeper.domain.topology.cpu_set import parse_cpu_set
from lanekeeper.domain.topology.page_size import ReservedPages, parse_reserved_pages


class Pci(Section, frozen=True):
    """PCI devices: which of them guests may have, and under which names."""

    device_spec: Annotated[
        tuple[DeviceSpec, ...],
        Option(
            "pci",
            "device_spec",
            "Devices that guests may have: a JSON object or a list of them; repeatable; the first "
            "entry that selects a device wins, for its tags too.",
            old=(("pci", "passthrough_whitelist"), ("DEFAULT", "pci_passthrough_whitelist")),
            multiple=True,
            of_agent=True,
        ),
    ] = ()
    alias: Annotated[
        tuple[Alias, ...],
        Option(
            "pci",
            "alias",
            "A name under which flavors ask for devices, a JSON object; repeatable; several of "
            "one name are alternatives, the first preferred.",
            old=(("DEFAULT", "pci_alias"),),
            multiple=True,
        ),
    ] = ()
    report_in_placement: Annotated[
        bool,
        Option("pci", "report_in_placement", "Read; Placement always shows devices."),
    ] = True
    pci_in_placement: Annotated[
        bool,
        Option("filter_scheduler", "pci_in_placement", "Read; devices are always scheduled."),
    ] = True


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
            "Read, not obeyed (no bandwidth is counted): INTERFACE:EGRESS:INGRESS, in kbit/s.",
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


class Compute(Section, frozen=True):
    """A host's size, and how hosts are chosen."""

    host: Annotated[
        str | None,
        Option(
            "DEFAULT",
            "host",
            "Name of this host; its own where unset.",
            parse=parse_name,
            at_start=True,
        ),
    ] = None
    cpu_allocation_ratio: Annotated[
        float,
        Meta(gt=0, le=1000),
        Option(
            "DEFAULT",
            "cpu_allocation_ratio",
            "VCPUs that are lent out for each CPU.",
            also=(("DEFAULT", "initial_cpu_allocation_ratio"),),
            at_start=True,
        ),
    ] = 4.0
    ram_allocation_ratio: Annotated[
        float,
        Meta(gt=0, le=1000),
        Option(
            "DEFAULT",
            "ram_allocation_ratio",
            "Memory that is lent out for each byte that is there.",
            also=(("DEFAULT", "initial_ram_allocation_ratio"),),
            at_start=True,
        ),
    ] = 1.0
    disk_allocation_ratio: Annotated[
        float,
        Meta(gt=0, le=1000),
        Option(
            "DEFAULT",
            "disk_allocation_ratio",
            "Disk that is lent out for each byte that is there.",
            also=(("DEFAULT", "initial_disk_allocation_ratio"),),
            at_start=True,
        ),
    ] = 1.0
    reserved_host_cpus: Annotated[
        int,
        Meta(ge=0),
        Option(
            "DEFAULT",
            "reserved_host_cpus",
            "CPUs kept for the host.",
            at_start=True,
        ),
    ] = 0
    reserved_host_memory_mb: Annotated[
        int,
        Meta(ge=0),
        Option(
            "DEFAULT",
            "reserved_host_memory_mb",
            "Memory kept for the host, in MiB.",
            at_start=True,
        ),
    ] = 512
    reserved_host_disk_mb: Annotated[
        int,
        Meta(ge=0),
        Option(
            "DEFAULT",
            "reserved_host_disk_mb",
            "Disk kept for the host, in MiB.",
            at_start=True,
        ),
    ] = 0
    pack_cells: Annotated[
        bool,
        Option(
            "compute",
            "packing_host_numa_cells_allocation_strategy",
            "Fill NUMA nodes of a host that guests are on before empty ones.",
        ),
    ] = False


class Cpus(Section, frozen=True):
    """Which of a host's CPUs and pages guests get."""

    cpu_dedicated_set: Annotated[
        frozenset[int],
        Option(
            "compute",
            "cpu_dedicated_set",
            "CPUs of this host that are given to one guest's CPU each, as hw:cpu_policy=dedicated "
            "asks: 4-15,^8. None where unset.",
            parse=parse_cpu_set,
            of_agent=True,
        ),
    ] = frozenset()
    cpu_shared_set: Annotated[
        frozenset[int],
        Option(
            "compute",
            "cpu_shared_set",
            "CPUs of this host that guests' other CPUs float over. Where unset all are, or none "
            "where cpu_dedicated_set is set.",
            parse=parse_cpu_set,
            of_agent=True,
        ),
    ] = frozenset()
    reserved_huge_pages: Annotated[
        tuple[ReservedPages, ...],
        Option(
            "DEFAULT",
            "reserved_huge_pages",
            "Pages of this host that no guest gets, those of a vswitch: "
            "node:0,size:2048,count:64; repeatable.",
            parse=parse_reserved_pages,
            multiple=True,
            of_agent=True,
        ),
    ] = ()


class Rules(Section, frozen=True):
    """Who may do what."""

    policy_file: Annotated[
        str | None,
        Option(
            "oslo_policy",
            "policy_file",
            "File with oslo.policy rules in place of the defaults; --policy-file goes first.",
            is_path=True,
        ),
    ] = None


class Own(Section, frozen=True):
    """What is Lanekeeper's alone, in ``[lanekeeper]``; an unknown key there is an error."""

    listen: Annotated[
        tuple[str, ...],
        Option(
            "lanekeeper",
            "listen",
            "Where the controller answers: HOST:PORT, http://HOST:PORT (loopback only) or "
            "https://HOST:PORT, separated by commas.",
            parse=parse_listen,
            at_start=True,
        ),
    ] = ("127.0.0.1:8774",)
    database_url_file: Annotated[
        str | None,
        Option(
            "lanekeeper",
            "database_url_file",
            "File that holds the database's URL; a SQLite file in the state directory where unset.",
            at_start=True,
        ),
    ] = None
    region: Annotated[
        str,
        Option(
            "lanekeeper",
            "region",
            "The region that the catalog names.",
            parse=parse_name,
            at_start=True,
        ),
    ] = "RegionOne"
    refuse_unschedulable: Annotated[
        bool,
        Option(
            "lanekeeper",
            "refuse_unschedulable",
            "Refuse a server that fits nowhere with 409 and the reason, instead of making one in "
            "ERROR as Nova does.",
        ),
    ] = False
    strict_device_spec: Annotated[
        bool,
        Option(
            "lanekeeper",
            "strict_device_spec",
            "Refuse every device_spec key that is not known, not only likely slips of the pen.",
        ),
    ] = False
    accept_exchanged_devices: Annotated[
        bool,
        Option(
            "lanekeeper",
            "accept_exchanged_devices",
            "Offer another device at a known address at once where the one before it was free and "
            "clean; it is set aside until `lanekeeper device clean` where unset, and always where "
            "that one was held or dirty.",
        ),
    ] = False
    token_expiration_s: Annotated[
        int,
        Meta(ge=60, le=604_800),
        Option("lanekeeper", "token_expiration_s", "Seconds until a token expires."),
    ] = 3600
    body_bytes_max: Annotated[
        int,
        Meta(ge=1024, le=64 * 2**20),
        Option(
            "lanekeeper",
            "body_bytes_max",
            "Largest JSON body that is read, in bytes; what agents and Placement's clients send "
            "has a bound of its own.",
        ),
    ] = 2**20
    image_bytes_max: Annotated[
        int,
        Meta(ge=2**20, le=2**50),
        Option("lanekeeper", "image_bytes_max", "Largest image that is taken, in bytes."),
    ] = 64 * 2**30
    cleaning_timeout_s: Annotated[
        float,
        Meta(gt=0, le=86_400),
        Option(
            "lanekeeper",
            "cleaning_timeout_s",
            "Seconds that one try to clean a device may take before it counts as failed; after "
            "four such tries it is quarantined.",
            of_agent=True,
        ),
    ] = 120.0
    cleaning_hooks: Annotated[
        tuple[CleaningHook, ...],
        Option(
            "lanekeeper",
            "cleaning_hooks",
            "A program that has to succeed before a device is clean, a JSON object: command (a "
            "list; {address} stands for the device's), vendor_id, product_id, class (its first "
            "2, 4 or 6 digits), timeout_s (60); repeatable, run in order.",
            parse=CleaningHook.parse,
            multiple=True,
            of_agent=True,
        ),
    ] = ()
    agent_down_s: Annotated[
        float,
        Meta(ge=5, le=86_400),
        Option(
            "lanekeeper",
            "agent_down_s",
            "Seconds without a word from an agent after which its host takes no new servers.",
            also=(("DEFAULT", "agent_down_time"),),
        ),
    ] = 75.0
    device_history_kept_days: Annotated[
        int,
        Meta(ge=1, le=36_500),
        Option(
            "lanekeeper",
            "device_history_kept_days",
            "Days that it is kept who held a device and how it was cleaned (lanekeeper device "
            "history).",
        ),
    ] = 365
    device_history_kept_max: Annotated[
        int,
        Meta(ge=1000, le=100_000_000),
        Option(
            "lanekeeper",
            "device_history_kept_max",
            "How many such events of all devices are kept at most, the youngest ones.",
        ),
    ] = 1_000_000
    events_kept_days: Annotated[
        int,
        Meta(ge=1, le=36_500),
        Option(
            "lanekeeper",
            "events_kept_days",
            "Days that what was asked of a server is kept once the server is gone (openstack "
            "server event list); of one that is there all is kept.",
        ),
    ] = 90
    events_kept_max: Annotated[
        int,
        Meta(ge=1000, le=100_000_000),
        Option(
            "lanekeeper",
            "events_kept_max",
            "How many such events of servers that are gone are kept at most, the youngest ones.",
        ),
    ] = 100_000
    metrics_token_file: Annotated[
        str,
        Option(
            "lanekeeper",
            "metrics_token_file",
            "File with the bearer token that /metrics needs away from loopback; without one it is "
            "answered on loopback only.",
            at_start=True,
        ),
    ] = ""


class Config(Section, frozen=True):
    """The whole of it. ``Config()`` lists no device; ``load(())`` reads the shipped sample."""

    pci: Pci = Pci()
    ml2: Ml2 = Ml2()
    sriov_nic: SriovNic = SriovNic()
    compute: Compute = Compute()
    cpus: Cpus = Cpus()
    scheduler: Scheduler = Scheduler()
    rules: Rules = Rules()
    image_cache: ImageCacheManager = ImageCacheManager()
    lanekeeper: Own = Own()
    placement: Placement = Placement()
    health: Health = Health()
    keystone: Keystone = Keystone()
    cors: Cors = Cors()
