"""Causes that lie in the hosts: whether they are there, what they are kept for, what they have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from causes.case import Asked, Cause, Make, Mend, World, instead
from fleet import OTHER_PROJECT, PROJECT
from lanekeeper.config.scheduler import Scheduler
from lanekeeper.control.compute.hypervisor import set_enabled
from lanekeeper.domain.scheduling.filter_choice import OF_NOVA
from lanekeeper.protocol import NumaCell, PagesFact


def of_flavor(**values: Any) -> Mend:
    return lambda world, asked: instead(asked, flavor=world.flavor(**values))


def no_host(world: World) -> Asked:
    return Asked(flavor=world.flavor())


def disabled(world: World) -> Asked:
    for name in ("h1", "h2"):
        host_id = world.fleet.host(name)
        set_enabled(world.fleet.site, host_id, enabled=False, reason="dust")
    return Asked(flavor=world.flavor())


def enable(world: World, asked: Asked) -> None:
    set_enabled(world.fleet.site, world.fleet.hosts["h1"], enabled=True)


def down(world: World) -> Asked:
    world.fleet.host("h1")
    world.fleet.hands.turn(3600)
    return Asked(flavor=world.flavor())


def other_zone(world: World) -> Asked:
    world.fleet.host("h1")
    world.fleet.host("h2", disk_gib=1)
    world.aggregate("h2", zone="west")
    return Asked(flavor=world.flavor(disk_gib=2), zone="west")


def forced_host(world: World) -> Asked:
    world.fleet.host("h1")
    world.fleet.host("h2")
    world.fleet.host("h3", disk_gib=1)
    return Asked(flavor=world.flavor(disk_gib=2), host="h3")


def in_aggregate(flavor: dict[str, str], **metadata: str) -> Make:
    def make(world: World) -> Asked:
        world.fleet.host("h1")
        world.others.append(world.aggregate("h1", **metadata))
        return Asked(flavor=world.flavor_of(flavor))

    return make


def say(**metadata: str) -> Mend:
    def mend(world: World, asked: Asked) -> None:
        world.say(world.others[0], **metadata)

    return mend


def flavor_for_aggregate(world: World, asked: Asked) -> None:
    world.say(world.others[0], instance_type="big,f2")


def of_image(**properties: Any) -> Mend:
    return lambda world, asked: instead(asked, image_id=world.fleet.image(**properties))


def image_isolation(world: World) -> Asked:
    world.fleet.host("h1")
    world.aggregate("h1", os_distro="linux")
    return Asked(flavor=world.flavor(), image_id=world.fleet.image(os_distro="windows"))


def architecture(world: World) -> Asked:
    world.fleet.host("h1", architecture="x86_64")
    return Asked(flavor=world.flavor(), image_id=world.fleet.image(hw_architecture="aarch64"))


def foreign_flavor(world: World) -> Asked:
    world.fleet.host("h1", architecture="x86_64")
    return Asked(flavor=world.flavor(capabilities__cpu_info__arch="aarch64"))


def isolated_host(world: World) -> Asked:
    world.fleet.host("h1")
    isolate(world)
    return Asked(flavor=world.flavor(), image_id=world.fleet.image())


def isolate(world: World, images: Sequence[str] = ()) -> None:
    world.set(
        scheduler=Scheduler(
            enabled_filters=tuple(OF_NOVA), isolated_hosts=("h1",), isolated_images=tuple(images)
        )
    )


def isolate_image(world: World, asked: Asked) -> None:
    isolate(world, [str(asked.image_id)])


def full_of_servers(world: World) -> Asked:
    world.fleet.host("h1")
    world.others.append(world.aggregate("h1", max_instances_per_host="1"))
    world.create(Asked(flavor=world.flavor()))
    return Asked(flavor=world.flavor())


def small(host: dict[str, Any], flavor: dict[str, Any]) -> Make:
    """A host of that size, with a server, and a flavor for which the rest is not enough."""

    def make(world: World) -> Asked:
        world.fleet.host("h1", **host)
        world.others.append(world.create(Asked(flavor=world.flavor())).id)
        return Asked(flavor=world.flavor(**flavor))

    return make


def delete_other(world: World, asked: Asked) -> None:
    world.delete(world.others.pop())


def add_host(world: World, asked: Asked) -> None:
    world.fleet.host("h9")


# NUMA ---------------------------------------------------------------------------------------------


def cells(*, pinned: bool = True, pages: int = 0, nodes: int = 2) -> list[NumaCell]:
    """Nodes of four CPUs, two of which are for pinning."""
    return [
        NumaCell(
            id=node,
            socket=node,
            cpus=list(range(4 * node, 4 * node + 4)),
            memory_mib=4096,
            siblings=[[cpu] for cpu in range(4 * node, 4 * node + 4)],
            dedicated=[4 * node + 2, 4 * node + 3] if pinned else [],
            shared=[4 * node, 4 * node + 1],
            pages=[PagesFact(size_kib=2048, total=pages)] if pages else [],
        )
        for node in range(nodes)
    ]


def on_cells(told: Sequence[NumaCell], vcpus: int = 1, **specs: str) -> Make:
    def make(world: World) -> Asked:
        world.fleet.host("h1", (), cells=told)
        return Asked(flavor=world.flavor_of(specs, vcpus=vcpus))

    return make


def tell_cells(told: Sequence[NumaCell]) -> Mend:
    def mend(world: World, asked: Asked) -> None:
        world.fleet.host("h1", (), cells=told)

    return mend


def pinned_full(world: World) -> Asked:
    world.fleet.host("h1", (), cells=cells())
    asked = Asked(flavor=world.flavor(vcpus=2, hw__cpu_policy="dedicated"))
    world.others += [world.create(asked).id, world.create(asked).id]
    return asked


def split_cells(world: World) -> Asked:
    """Four CPUs for pinning, two on each node, and one guest cell wants three."""
    world.fleet.host("h1", (), cells=cells())
    return Asked(flavor=world.flavor(vcpus=3, hw__cpu_policy="dedicated"))


def multithreaded() -> list[NumaCell]:
    return [replace(one, siblings=[[one.cpus[0], one.cpus[1]], one.cpus[2:]]) for one in cells()]


CAUSES = (
    Cause(
        id="no-host",
        what="no host is enrolled",
        says="There is no host at all",
        helps="enrol one (lanekeeper agent enroll)",
        make=no_host,
        mend=add_host,
    ),
    Cause(
        id="disabled",
        what="the compute service of each host is disabled",
        says="is disabled: dust",
        helps="openstack compute service set --enable h1 nova-compute",
        make=disabled,
        mend=enable,
    ),
    Cause(
        id="down",
        what="the agent of each host is silent",
        says="is down: its agent has not been heard of lately",
        helps="start lanekeeper agent there",
        make=down,
        mend=lambda world, asked: world.fleet.seen(),
    ),
    Cause(
        id="zone",
        what="the hosts of the zone are full, the others are in another one",
        says="is in zone nova, not west",
        helps="ask for zone nova or none",
        make=other_zone,
        mend=lambda world, asked: instead(asked, zone="nova"),
    ),
    Cause(
        id="forced-host",
        what="the one host that is asked for does not fit",
        says="is not h3, the only host that was asked for",
        helps="ask for no host",
        make=forced_host,
        mend=lambda world, asked: instead(asked, host=None),
    ),
    Cause(
        id="aggregate-extra-specs",
        what="no host is in an aggregate that has what the flavor's extra specs ask for",
        says="is in aggregates with ssd=false, the flavor has ssd=true",
        helps="openstack aggregate set --property ssd=",
        make=in_aggregate({"ssd": "true"}, ssd="false"),
        mend=say(ssd="true"),
    ),
    Cause(
        id="aggregate-tenants",
        what="the hosts' aggregates are for other projects",
        says="is in an aggregate for other projects alone",
        helps="add the project to its filter_tenant_id",
        make=in_aggregate({}, filter_tenant_id=OTHER_PROJECT),
        mend=say(filter_tenant_id=f"{OTHER_PROJECT},{PROJECT}"),
    ),
    Cause(
        id="aggregate-flavors",
        what="the hosts' aggregates are for other flavors",
        says="is in an aggregate for servers of flavor big",
        helps="add f2 to the aggregate's instance_type",
        make=in_aggregate({}, instance_type="big"),
        mend=flavor_for_aggregate,
    ),
    Cause(
        id="image-isolation",
        what="the hosts' aggregates are for images of another property",
        says="is in aggregates with os_distro=linux, the image has os_distro=windows",
        helps="use an image with os_distro=linux",
        make=image_isolation,
        mend=of_image(os_distro="linux"),
    ),
    Cause(
        id="isolated-host",
        what="the hosts are kept for other images",
        says="is kept for other images",
        helps="change isolated_hosts and isolated_images in [filter_scheduler]",
        make=isolated_host,
        mend=isolate_image,
    ),
    Cause(
        id="dedicated-host",
        what="the hosts are kept for servers that ask for devices",
        says="for servers that ask for devices",
        helps="ask for a device",
        make=in_aggregate({}, lanekeeper__devices_only="true"),
        mend=of_flavor(pci_passthrough__alias="a1:1"),
    ),
    Cause(
        id="image-properties",
        what="the image is for another architecture than the hosts'",
        says="has x86_64, the image has hw_architecture=aarch64",
        helps="use an image for such hosts",
        make=architecture,
        mend=of_image(hw_architecture="x86_64"),
    ),
    Cause(
        id="capabilities",
        what="the flavor asks for another processor than the hosts'",
        says="has cpu_info:arch x86_64, the flavor has capabilities:cpu_info:arch=aarch64",
        helps="use another flavor",
        make=foreign_flavor,
        mend=of_flavor(),
    ),
    Cause(
        id="num-instances",
        what="the hosts have as many servers as their aggregates allow",
        says="has 1 servers, 1 are the most",
        helps="raise the aggregate's max_instances_per_host",
        make=full_of_servers,
        mend=say(max_instances_per_host="2"),
    ),
    Cause(
        id="vcpus",
        what="no host has so many VCPUs free",
        says="VCPUs free, 99 needed",
        helps="use a smaller flavor",
        make=small({"vcpus": 4}, {"vcpus": 99}),
        mend=of_flavor(),
    ),
    Cause(
        id="memory",
        what="no host has so much memory free",
        says="MiB of memory free, 1000 needed",
        helps="delete servers",
        make=small({"memory_mib": 1536}, {"ram_mib": 1000}),
        mend=delete_other,
    ),
    Cause(
        id="disk",
        what="no host has so much disk free",
        says="has 4 of 5 GiB of disk free, 5 needed",
        helps="or add a host",
        make=small({"disk_gib": 5}, {"disk_gib": 5}),
        mend=add_host,
    ),
    Cause(
        id="pinning-none",
        what="no host names CPUs for pinning",
        says="has 0 of 0 CPUs for pinning free, 1 needed",
        helps="name some in [compute] cpu_dedicated_set of h1",
        make=on_cells(cells(pinned=False), hw__cpu_policy="dedicated"),
        mend=tell_cells(cells()),
    ),
    Cause(
        id="pinning-full",
        what="the CPUs for pinning are taken",
        says="has 0 of 4 CPUs for pinning free, 2 needed",
        helps="delete servers",
        make=pinned_full,
        mend=delete_other,
    ),
    Cause(
        id="pinning-cell",
        what="no one NUMA cell has so many CPUs for pinning free",
        says="has 2 of 2 CPUs for pinning free, 3 needed",
        helps="use a smaller flavor",
        make=split_cells,
        mend=of_flavor(vcpus=2, hw__cpu_policy="dedicated"),
    ),
    Cause(
        id="threads-isolate",
        what="hw:cpu_thread_policy isolate, and the hosts' cores have two threads",
        says="has cores of 2 threads, and hw:cpu_thread_policy isolate takes cores of one",
        helps="use hw:cpu_thread_policy require or prefer",
        make=on_cells(
            multithreaded(),
            hw__cpu_policy="dedicated",
            hw__cpu_thread_policy="isolate",
        ),
        mend=of_flavor(hw__cpu_policy="dedicated", hw__cpu_thread_policy="prefer"),
    ),
    Cause(
        id="huge-pages-none",
        what="no host keeps huge pages",
        says="has no huge pages at all",
        helps="keep huge pages on that host",
        make=on_cells(cells(), hw__mem_page_size="large"),
        mend=tell_cells(cells(pages=512)),
    ),
    Cause(
        id="huge-pages-few",
        what="too few huge pages are free",
        says="has 8 of 8 pages of 2048 KiB free, 32 needed",
        helps="keep more huge pages on that host",
        make=on_cells(cells(pages=8), hw__mem_page_size="2048"),
        mend=tell_cells(cells(pages=512)),
    ),
    Cause(
        id="numa-nodes",
        what="the guest wants more NUMA cells than the hosts have",
        says="has 2 NUMA cells, 4 needed",
        helps="use a flavor with fewer hw:numa_nodes",
        make=on_cells(cells(), vcpus=4, hw__numa_nodes="4"),
        mend=of_flavor(vcpus=4, hw__numa_nodes="2"),
    ),
)
