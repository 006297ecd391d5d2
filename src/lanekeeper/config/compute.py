"""A host's size, CPUs and pages, with Nova's names."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from lanekeeper.config.option import Option, Section
from lanekeeper.config.value import parse_name
from lanekeeper.domain.topology.cpu_set import parse_cpu_set
from lanekeeper.domain.topology.page_size import ReservedPages, parse_reserved_pages


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
