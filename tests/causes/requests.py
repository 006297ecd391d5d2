"""Causes that lie in what is asked for."""

from __future__ import annotations

from typing import Any

from causes.case import Asked, Cause, World, instead
from fleet import ADMIN, OTHER_PROJECT, PROJECT, lab_devices, pf_and_vfs
from lanekeeper.config.scheduler import Scheduler
from lanekeeper.control.compute.server_group import create_group
from lanekeeper.control.identity.limit import (
    NewLimit,
    create_registered_limits,
    list_registered_limits,
    update_registered_limit,
)
from lanekeeper.domain.compute.server_group import GroupPolicy
from lanekeeper.domain.network.port import VnicType
from lanekeeper.domain.scheduling.filter_choice import OF_NOVA
from lanekeeper.store.tables import subnet


def unknown_alias(world: World) -> Asked:
    world.fleet.host("h1")
    # An old microversion lets a flavor name an alias that nobody has defined.
    return Asked(flavor=world.flavor(pci_passthrough__alias="gpu:1"))


def others_alias(world: World) -> Asked:
    world.fleet.host("h1")
    world.alias(name="a1", project_ids=[OTHER_PROJECT])
    return Asked(flavor=world.flavor(pci_passthrough__alias="a1:1"))


def over_quota(world: World) -> Asked:
    world.fleet.host("h1")
    wanted = [NewLimit(resource_name="servers", amount=1)]
    create_registered_limits(world.fleet.site, wanted)
    asked = Asked(flavor=world.flavor())
    world.create(asked)
    return asked


def raised_limit(world: World, asked: Asked) -> None:
    (registered,) = list_registered_limits(world.fleet.site)
    update_registered_limit(world.fleet.site, registered.id, {"default_limit": 2})


def set_pool(world: World, network_id: str, last: str) -> None:
    """Have the subnet of a network give addresses from 10.0.15.10 to *last*."""
    pool = [{"start": "10.0.15.10", "end": last}]
    with world.fleet.site.database.engine.begin() as connection:
        mine = subnet.c.network_id == network_id
        connection.execute(subnet.update().where(mine).values(allocation_pools=pool))


def no_address(world: World) -> Asked:
    world.fleet.host("h1")
    asked = Asked(flavor=world.flavor(), networks=(world.fleet.network(),))
    set_pool(world, asked.networks[0], "10.0.15.10")
    world.create(asked)
    return asked


def more_addresses(world: World, asked: Asked) -> None:
    set_pool(world, asked.networks[0], "10.0.15.11")


def of_vnic_type(vnic_type: VnicType) -> Any:
    def make(world: World) -> Asked:
        world.fleet.host("h1")
        return Asked(flavor=world.flavor(), ports=(world.port(vnic_type=vnic_type),))

    return make


def direct_port(world: World, asked: Asked) -> Asked:
    return instead(asked, ports=(world.port(world.fleet.network("other", vlan=99)),))


def bridge_named(world: World, asked: Asked) -> None:
    world.fleet.host("h1", bridges={"physnet1": "br-ex"})


def failover_pair(world: World) -> Asked:
    world.fleet.host("h1")
    return Asked(flavor=world.flavor(), ports=(world.port(failover="true"),))


def failover_pair_alone(world: World) -> Asked:
    asked = failover_pair(world)
    world.fleet.host("h1", pairs=True)
    return asked


def pairs_with_bridge(world: World, asked: Asked) -> None:
    world.fleet.host("h1", bridges={"physnet1": "br-ex"}, pairs=True)


def ports_apart(world: World) -> Asked:
    world.fleet.host("h1")
    network_id = world.fleet.network()
    first, second = (world.port(network_id, apart="uplinks") for _ in range(2))
    return Asked(flavor=world.flavor(), ports=(first, second))


def another_card(world: World, asked: Asked) -> None:
    more = pf_and_vfs("61", physical_network="physnet1")
    world.fleet.host("h1", [*lab_devices(), *more])


def port_in_use(world: World) -> Asked:
    world.fleet.host("h1")
    asked = Asked(flavor=world.flavor(), ports=(world.port(),))
    world.create(asked)
    return asked


def hint_without_filter(world: World) -> Asked:
    world.fleet.host("h1")
    other = world.create(Asked(flavor=world.flavor()))
    world.set(scheduler=Scheduler())
    return Asked(flavor=world.flavor(), hints={"same_host": other.id})


def hint_filter_on(world: World, asked: Asked) -> None:
    world.set(scheduler=Scheduler(enabled_filters=tuple(OF_NOVA)))


def unknown_zone(world: World) -> Asked:
    world.fleet.host("h1")
    return Asked(flavor=world.flavor(), zone="east")


def group(world: World, policy: GroupPolicy) -> str:
    return create_group(world.fleet.site, ADMIN, "g", policy, None).id


def anti_affinity(world: World) -> Asked:
    world.fleet.host("h1")
    hints = {"group": group(world, GroupPolicy.ANTI_AFFINITY)}
    asked = Asked(flavor=world.flavor(), hints=hints)
    world.create(asked)
    return asked


def affinity(world: World) -> Asked:
    world.fleet.host("h1", disk_gib=2)
    asked = Asked(flavor=world.flavor(), hints={"group": group(world, GroupPolicy.AFFINITY)})
    world.create(asked)
    world.others.append(world.create(Asked(flavor=world.flavor())).id)
    world.fleet.host("h2")
    return asked


def free_room(world: World, asked: Asked) -> None:
    world.delete(world.others.pop())


def different_host(world: World) -> Asked:
    world.fleet.host("h1")
    other = world.create(Asked(flavor=world.flavor()))
    return Asked(flavor=world.flavor(), hints={"different_host": other.id})


def same_host(world: World) -> Asked:
    world.fleet.host("h1", disk_gib=1)
    other = world.create(Asked(flavor=world.flavor()))
    world.fleet.host("h2")
    return Asked(flavor=world.flavor(), hints={"same_host": other.id})


def another_host(world: World, asked: Asked) -> None:
    world.fleet.host("h9")


def no_hint(world: World, asked: Asked) -> Asked:
    return instead(asked, hints={})


CAUSES = (
    Cause(
        id="alias-unknown",
        what="the flavor names an alias that is not configured",
        says="PCI alias gpu is not defined",
        helps="add it to [pci] alias",
        make=unknown_alias,
        mend=lambda world, asked: world.alias(name="gpu"),
    ),
    Cause(
        id="alias-of-others",
        what="the alias is for other projects",
        says="PCI alias a1 is not for project",
        helps="the operator adds the project to project_ids of the alias",
        make=others_alias,
        mend=lambda world, asked: world.alias(name="a1", project_ids=[OTHER_PROJECT, PROJECT]),
    ),
    Cause(
        id="quota",
        what="the project would have more than its quota of servers, a class or an alias",
        says="Quota exceeded for servers: requested 1, already used 1 of 1",
        helps="delete servers of the project, or have an admin raise the limit",
        make=over_quota,
        mend=raised_limit,
    ),
    Cause(
        id="addresses",
        what="the subnets of a network have no address left for the port that is made on it",
        says="no free address is left in the allocation pools of subnet",
        helps="delete ports, or give the subnet more allocation pools",
        make=no_address,
        mend=more_addresses,
    ),
    Cause(
        id="virtual-switch",
        what="a normal port, and no host has a virtual switch on its network",
        says="has no virtual switch on physnet1 for a normal port; it has some on: none",
        helps="name its bridge in [ovs] bridge_mappings of this host (physnet1:BRIDGE)",
        make=of_vnic_type(VnicType.NORMAL),
        mend=bridge_named,
    ),
    Cause(
        id="failover-old",
        what="a failover pair, and the hosts' agent, libvirt or QEMU is too old for one",
        says="cannot give a guest a failover pair: its agent, libvirt or QEMU is too old",
        helps="use libvirt 6.1 and QEMU 4.2 or newer on this host",
        make=failover_pair,
        mend=pairs_with_bridge,
    ),
    Cause(
        id="failover-no-bridge",
        what="a failover pair, and no host has a virtual switch on its network",
        says="has no virtual switch on physnet1 for the card that stands by for a VF",
        helps="name its bridge in [ovs] bridge_mappings of this host (physnet1:BRIDGE)",
        make=failover_pair_alone,
        mend=pairs_with_bridge,
    ),
    Cause(
        id="not-apart",
        what="two ports that are to be on different PFs, and one PF alone has VFs free",
        says="have to be of different cards (apart=uplinks), and 1 has such a device free",
        helps="list VFs of another PF on the ports' network",
        make=ports_apart,
        mend=another_card,
    ),
    Cause(
        id="vnic-type-uncarried",
        what="a port of a vnic type that no host can give to a guest",
        says="vnic type vdpa is not carried by any host",
        helps="the vnic types carried here: direct, direct-physical, macvtap, normal",
        make=of_vnic_type(VnicType.VDPA),
        mend=direct_port,
    ),
    Cause(
        id="port-in-use",
        what="another server has the port",
        says="is still in use",
        helps="use another port",
        make=port_in_use,
        mend=direct_port,
    ),
    Cause(
        id="hint-without-filter",
        what="a hint whose filter is not enabled",
        says="would not be honoured: SameHostFilter is not on",
        helps="add SameHostFilter to [filter_scheduler] enabled_filters",
        make=hint_without_filter,
        mend=hint_filter_on,
    ),
    Cause(
        id="zone-unknown",
        what="an availability zone that no aggregate names",
        says="The requested availability zone is not available",
        helps="there are: nova",
        make=unknown_zone,
        mend=lambda world, asked: instead(asked, zone="nova"),
    ),
    Cause(
        id="anti-affinity",
        what="each host has a server of the anti-affinity group",
        says="has 1 of server group g, which lets a host have 1",
        helps="add a host",
        make=anti_affinity,
        mend=another_host,
    ),
    Cause(
        id="affinity",
        what="the host of the affinity group is full",
        says="is not where server group g is: h1",
        helps="free room there",
        make=affinity,
        mend=free_room,
    ),
    Cause(
        id="different-host",
        what="each host has servers of the hint different_host",
        says="has servers of the hint different_host",
        helps="add a host",
        make=different_host,
        mend=another_host,
    ),
    Cause(
        id="same-host",
        what="the host of the hint same_host is full",
        says="has none of the servers of the hint same_host",
        helps="leave the hint out",
        make=same_host,
        mend=no_hint,
    ),
)
