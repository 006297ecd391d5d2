"""Causes that lie in the devices: whether they are there, listed, free, and where they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from causes.case import Asked, Cause, Make, Mend, World, instead
from causes.hosts import cells, of_flavor
from fleet import pf_and_vfs
from lanekeeper.config.health import Health
from lanekeeper.control.host.device import clean_device, list_devices
from lanekeeper.control.host.device_reserve import release_device, retire_device
from lanekeeper.control.host.health import Reviews, report_health
from lanekeeper.control.host.host import report_state
from lanekeeper.domain.network.port import VnicType
from lanekeeper.protocol import CleaningState, DeviceFact, DeviceHealth, HostHealth, HostState
from lanekeeper.store.device.device import devices_to_clean

A1 = {"pci_passthrough__alias": "a1:1"}
WHOLE = {"pci_passthrough__alias": "whole:1"}


def card(vfs: int = 1, *, whole: bool = False, **tags: str) -> list[DeviceFact]:
    """A card; *whole* lists its PF, too; *tags* are of what is listed."""
    pf, *some = pf_and_vfs("41", vfs)
    pf = replace(pf, listed=whole, tags=tags if whole else {})
    return [pf, *(replace(one, tags=tags) for one in some)]


def with_devices(devices: Sequence[DeviceFact], **specs: str) -> Make:
    def make(world: World) -> Asked:
        world.fleet.host("h1", devices)
        return Asked(flavor=world.flavor_of(specs or A1))

    return make


def tell(devices: Sequence[DeviceFact], **more: Any) -> Mend:
    def mend(world: World, asked: Asked) -> None:
        world.fleet.host("h1", devices, **more)

    return mend


def for_port(
    devices: Sequence[DeviceFact],
    vnic_type: VnicType = VnicType.DIRECT,
    mappings: Sequence[str] = ("physnet1",),
    **profile: str,
) -> Make:
    def make(world: World) -> Asked:
        world.fleet.host("h1", devices, mappings=mappings)
        port = world.port(vnic_type=vnic_type, **profile)
        return Asked(flavor=world.flavor(), ports=(port,))

    return make


def other_network(world: World, asked: Asked) -> Asked:
    return instead(asked, ports=(world.port(world.fleet.network("two", vlan=99)),))


def unknown_network(world: World) -> Asked:
    world.fleet.host("h1")
    network = world.fleet.network("far", vlan=7, physical_network="physnet9")
    return Asked(flavor=world.flavor(), ports=(world.port(network),))


# Their life ---------------------------------------------------------------------------------------


def taken(devices: Sequence[DeviceFact], holder: dict[str, str], wanted: dict[str, str]) -> Make:
    def make(world: World) -> Asked:
        world.fleet.host("h1", devices)
        world.others.append(world.create(Asked(flavor=world.flavor_of(holder))).id)
        return Asked(flavor=world.flavor_of(wanted))

    return make


def free_it(world: World, asked: Asked) -> None:
    world.delete(world.others.pop())
    world.clean()


def given_back(devices: Sequence[DeviceFact], *, fails: bool = False, clean: bool = False) -> Make:
    """A device that a server had, in cleaning; or its cleaning has failed, or succeeded."""

    def make(world: World) -> Asked:
        asked = taken(devices, A1, A1)(world)
        world.fleet.obey()
        world.delete(world.others.pop())
        if fails:
            fail_cleaning(world)
        if clean:
            world.clean()
        return asked

    return make


def fail_cleaning(world: World) -> None:
    host_id = world.fleet.hosts["h1"]
    with world.fleet.site.database.read() as connection:
        rows = devices_to_clean(connection, host_id)
    failed = [
        CleaningState(
            device_id=row["id"], round=row["cleaning_round"], clean=False, problem="no reset"
        )
        for row in rows
    ]
    report_state(world.fleet.site, host_id, HostState(cleaned=failed))


def only_device(world: World) -> str:
    (found,) = [one for one in list_devices(world.fleet.site) if one.listed]
    return found.id


def clean_again(world: World, asked: Asked) -> None:
    clean_device(world.fleet.site, only_device(world))
    world.clean()


def release(world: World, asked: Asked) -> None:
    release_device(world.fleet.site, only_device(world))


def retired(world: World) -> Asked:
    asked = with_devices(card())(world)
    retire_device(world.fleet.site, only_device(world))
    return asked


def gone(world: World) -> Asked:
    asked = with_devices(card())(world)
    world.fleet.host("h1", ())
    return asked


def unlisted(world: World) -> Asked:
    asked = with_devices(card())(world)
    still = {"0000:41:00.0": "8086:10c9", "0000:41:10.0": "8086:10ca", "0000:00:00.0": "8086:1234"}
    world.fleet.host("h1", (), unlisted=still)
    return asked


def exchanged(world: World) -> Asked:
    asked = with_devices(card())(world)
    world.fleet.host("h1", (), unlisted={"0000:41:10.0": "8086:1572"})
    return asked


def link(world: World, *, up: bool) -> None:
    told = HostHealth(devices=[DeviceHealth(address="0000:41:00.0", carrier=up)])
    report_health(world.fleet.site, world.fleet.hosts["h1"], told)


def unwell(world: World) -> Asked:
    asked = with_devices(card())(world)
    world.set(health=Health(raise_after_s=0, clear_after_s=0))
    link(world, up=False)
    return asked


def mend_link(world: World, asked: Asked) -> None:
    link(world, up=True)
    Reviews(world.fleet.site).review()


# What they are and where --------------------------------------------------------------------------


def alias(devices: Sequence[DeviceFact], **entry: Any) -> Make:
    def make(world: World) -> Asked:
        world.alias(name="a1", **entry)
        return with_devices(devices)(world)

    return make


def far_away(policy: str, *, node: int | None) -> Make:
    """Only node 0 has CPUs for pinning; the device is elsewhere."""

    def make(world: World) -> Asked:
        near, far = cells()
        told = [near, replace(far, dedicated=[])]
        pf, vf = card()
        world.fleet.host("h1", [pf, replace(vf, numa_node=node)], cells=told)
        return Asked(flavor=world.flavor_of(pinned(policy)))

    return make


def pinned(policy: str) -> dict[str, str]:
    return {
        "hw__cpu_policy": "dedicated",
        "hw__pci_numa_affinity_policy": policy,
        "pci_passthrough__alias": "a1:1",
    }


def full_node(world: World) -> Asked:
    """Another guest has all CPUs for pinning of the node that the devices are on."""
    pf, *vfs = card(2)
    world.fleet.host("h1", [pf, *(replace(vf, numa_node=0) for vf in vfs)], cells=cells())
    taker = Asked(flavor=world.flavor_of(pinned("required"), vcpus=2))
    world.others.append(world.create(taker).id)
    return Asked(flavor=world.flavor_of(pinned("required")))


def delete_taker(world: World, asked: Asked) -> None:
    world.delete(world.others.pop())


def two_roots() -> list[DeviceFact]:
    cards = [*pf_and_vfs("41", 1), *pf_and_vfs("42", 1)]
    return [replace(one, pcie_root=f"0000:00:{one.address[6]}.0") for one in cards]


TWO = {"pci_passthrough__alias": "a1:2"}
ROOT = "lanekeeper__pcie_root"

CAUSES = (
    Cause(
        id="none-listed",
        what="no device_spec entry covers any device",
        says="no device listed here fits; none is listed at all",
        helps="list such devices in [pci] device_spec of this host",
        make=with_devices(()),
        mend=tell(card()),
    ),
    Cause(
        id="others-listed",
        what="the listed devices are other ones",
        says="of the nearest 1 each says: product_id is 1572, not 10ca",
        helps="list such devices in [pci] device_spec of this host",
        make=with_devices([replace(one, product_id="1572") for one in card()]),
        mend=tell([*card(), *pf_and_vfs("42", 1)]),
    ),
    Cause(
        id="resource-class",
        what="the devices are counted under another resource class than the alias names",
        says="it is counted as CUSTOM_PCI_8086_10CA, not CUSTOM_FAST",
        helps='put "resource_class": "CUSTOM_FAST" into its device_spec entry',
        make=alias(card(), resource_class="fast"),
        mend=tell(card(resource_class="CUSTOM_FAST")),
    ),
    Cause(
        id="traits",
        what="the devices lack a trait that the alias names",
        says="it lacks the trait CUSTOM_BLUE",
        helps='put CUSTOM_BLUE into the "traits" of its device_spec entry',
        make=alias(card(), traits="blue"),
        mend=tell(card(traits="CUSTOM_BLUE")),
    ),
    Cause(
        id="live-migratable",
        what="the alias is for live-migratable devices and none is marked so",
        says="it is not marked live_migratable true",
        helps='put "live_migratable": "true" into its device_spec entry',
        make=alias(card(), live_migratable="yes"),
        mend=tell(card(live_migratable="true")),
    ),
    Cause(
        id="serves-ports",
        what="the devices are on a physical network, so they are kept for ports",
        says="it serves ports on physnet1",
        helps='put "resource_class": "CUSTOM_PCI_8086_10CA" into its device_spec entry',
        make=with_devices(card(physical_network="physnet1")),
        mend=tell(card(physical_network="physnet1", resource_class="CUSTOM_PCI_8086_10CA")),
    ),
    Cause(
        id="no-physical-network",
        what="the devices' entries name no physical network, so they are not for ports",
        says="its device_spec entry names no physical_network, so it serves no ports",
        helps='put "physical_network": "physnet1" into its device_spec entry',
        make=for_port(card()),
        mend=tell(card(physical_network="physnet1")),
    ),
    Cause(
        id="not-trusted",
        what="the port's profile wants a trusted VF and none is",
        says="it is not marked trusted true",
        helps='put "trusted": "true" into its device_spec entry',
        make=for_port(card(physical_network="physnet1"), trusted="true"),
        mend=tell(card(physical_network="physnet1", trusted="true")),
    ),
    Cause(
        id="no-pf-for-port",
        what="a direct-physical port, and only VFs are listed",
        says="it is type-VF, not type-PF",
        helps="list a whole PF in [pci] device_spec of this host in the place of its VFs",
        make=for_port(card(physical_network="physnet1"), VnicType.DIRECT_PHYSICAL),
        mend=tell(card(whole=True, physical_network="physnet1")),
    ),
    Cause(
        id="network-unmapped",
        what="the port's physical network is mapped on no host",
        says="does not reach physnet1; it reaches: none",
        helps="map a PF to it in [sriov_nic] physical_device_mappings of this host",
        make=for_port(card(physical_network="physnet1"), mappings=()),
        mend=tell(card(physical_network="physnet1"), mappings=("physnet1",)),
    ),
    Cause(
        id="network-unknown",
        what="nobody knows the port's physical network, by that name",
        says="does not reach physnet9; it reaches: physnet1",
        helps="or use a network on one that it reaches",
        make=unknown_network,
        mend=other_network,
    ),
    Cause(
        id="held",
        what="other servers hold the devices",
        says="of 1 that fit 0 are free, 1 are held",
        helps="delete a server that holds such a device",
        make=taken(card(), A1, A1),
        mend=free_it,
    ),
    Cause(
        id="pf-of-used-vf",
        what="a whole PF is wanted and one of its VFs is held",
        says="0 are free, 1 are blocked by its card's other side",
        helps="delete the servers that hold the card's other side",
        make=taken(card(2, whole=True), A1, WHOLE),
        mend=free_it,
    ),
    Cause(
        id="vf-of-used-pf",
        what="a VF is wanted and its PF is held as a whole",
        says="0 are free, 2 are blocked by its card's other side",
        helps="delete the servers that hold the card's other side",
        make=taken(card(2, whole=True), WHOLE, A1),
        mend=free_it,
    ),
    Cause(
        id="too-many",
        what="more devices are wanted than a host has",
        says="alias a1 needs 2; of 1 that fit 1 are free",
        helps="ask for fewer, or add devices",
        make=with_devices(card(), **TWO),
        mend=of_flavor(**A1),
    ),
    Cause(
        id="cleaning",
        what="the devices are being cleaned",
        says="0 are free, 1 are being cleaned",
        helps="wait until the cleaning is done",
        make=given_back(card()),
        mend=lambda world, asked: world.clean(),
    ),
    Cause(
        id="quarantined",
        what="the devices' cleaning failed",
        says="0 are free, 1 are quarantined",
        helps="have them cleaned (lanekeeper device clean ID)",
        make=given_back(card(), fails=True),
        mend=clean_again,
    ),
    Cause(
        id="unlisted",
        what="the host's device_spec lists the devices no more",
        says="0 are free, 1 are not listed any more",
        helps="have an entry of [pci] device_spec of this host list them again",
        make=unlisted,
        mend=tell(card()),
    ),
    Cause(
        id="missing",
        what="the host does not tell of the devices any more",
        says="0 are free, 1 are missing",
        helps="see on the host why devices are gone",
        make=gone,
        mend=tell(card()),
    ),
    Cause(
        id="missing-other",
        what="another device is at the address of one that is away",
        says="0 are free, 1 are missing",
        helps="see on the host why devices are gone",
        make=exchanged,
        mend=tell(card()),
    ),
    Cause(
        id="spent",
        what="the devices are for one use and have had it",
        says="0 are free, 1 are spent (one-time-use)",
        helps="lanekeeper device release ID",
        make=given_back(card(one_time_use="true"), clean=True),
        mend=release,
    ),
    Cause(
        id="retired",
        what="the devices were retired",
        says="0 are free, 1 are retired",
        helps="lanekeeper device release ID",
        make=retired,
        mend=release,
    ),
    Cause(
        id="unwell",
        what="the devices are kept back by their health",
        says="0 are free, 1 are not well",
        helps="mend 0000:41:00.0: its link is down",
        make=unwell,
        mend=mend_link,
    ),
    Cause(
        id="numa-required",
        what="NUMA policy required, and the devices are on another node than the guest",
        says="by NUMA policy required; of 1 that fit and are free 0 are near enough",
        helps="use the policy preferred",
        make=far_away("required", node=1),
        mend=of_flavor(**pinned("preferred")),
    ),
    Cause(
        id="numa-socket",
        what="NUMA policy socket, and the devices are on another socket than the guest",
        says="by NUMA policy socket; of 1 that fit and are free 0 are near enough",
        helps="use the policy preferred",
        make=far_away("socket", node=1),
        mend=of_flavor(**pinned("preferred")),
    ),
    Cause(
        id="numa-legacy",
        what="NUMA policy legacy, and the devices are on another node than the guest",
        says="by NUMA policy legacy; of 1 that fit and are free 0 are near enough",
        helps="use the policy preferred",
        make=far_away("legacy", node=1),
        mend=of_flavor(**pinned("preferred")),
    ),
    Cause(
        id="numa-node-full",
        what="a near device is asked for, and other guests have the CPUs or memory of its node",
        says="has no room for the guest near free devices for alias a1: cell 0 has 0 of 2 CPUs",
        helps="delete servers on cell 0 of this host, or use the policy preferred",
        make=full_node,
        mend=delete_taker,
    ),
    Cause(
        id="pcie-root",
        what="devices that have to share a PCIe root port are on several",
        says="none of its 2 PCIe root ports has all of alias a1",
        helps="use lanekeeper:pcie_root=preferred",
        make=with_devices(two_roots(), **TWO, **{ROOT: "required"}),
        mend=of_flavor(**TWO, **{ROOT: "preferred"}),
    ),
)
