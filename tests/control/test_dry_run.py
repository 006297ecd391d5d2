"""A dry run says yes exactly where the creation succeeds when nothing changes in between."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from control.test_numa import CELLS
from fleet import ADMIN, MEMBER, PROJECT, Fleet, config, fleet, pf_and_vfs
from lanekeeper.control.compute.aggregate import add_host, create_aggregate
from lanekeeper.control.compute.explain import Answer, explain
from lanekeeper.control.compute.flavor import create_flavor
from lanekeeper.control.compute.hypervisor import set_enabled
from lanekeeper.control.compute.question import Question
from lanekeeper.control.compute.server import delete_server
from lanekeeper.control.compute.server_create import create_servers
from lanekeeper.control.compute.server_group import create_group
from lanekeeper.control.compute.server_nic import NicAsked
from lanekeeper.control.compute.server_order import NewServer
from lanekeeper.control.identity.limit import NewLimit, create_registered_limits
from lanekeeper.domain.compute.flavor import Flavor
from lanekeeper.domain.compute.server_group import GroupPolicy
from lanekeeper.domain.errors import Error
from lanekeeper.domain.network.port import PortWanted, VnicType
from lanekeeper.protocol import DeviceFact
from lanekeeper.store.network.port import port_create

pytestmark = pytest.mark.service

_REQUESTS = 20


def devices_of(draw: random.Random) -> list[DeviceFact]:
    """Up to three cards; one of them may be listed whole, or have trusted VFs."""
    devices: list[DeviceFact] = []
    for bus in draw.sample(("21", "41", "61"), draw.randint(0, 3)):
        network = draw.choice(("", "physnet1", "physnet2"))
        card = pf_and_vfs(
            bus, draw.randint(1, 3), physical_network=network, numa_node=draw.choice((None, 0, 1))
        )
        if network and draw.random() < 0.3:
            card = [replace(one, tags={**one.tags, "trusted": "true"}) for one in card]
        tags = {"physical_network": network} if network else {}
        card[0] = replace(card[0], listed=draw.random() < 0.4, tags=tags)
        devices += card
    return devices


def populate(world: Fleet, draw: random.Random, hosts: int = 0) -> None:
    """Make *hosts* or more of them, each as it comes."""
    for number in range(draw.randint(hosts, hosts + 4)):
        name = f"h{number}"
        world.host(
            name,
            devices_of(draw),
            vcpus=draw.choice((1, 2, 8)),
            memory_mib=draw.choice((1024, 4096)),
            mappings=draw.sample(("physnet1", "physnet2"), draw.randint(0, 2)),
            cells=draw.choice(((), CELLS)),
        )
        if draw.random() < 0.2:
            set_enabled(world.site, world.hosts[name], enabled=False, reason="dust")
        if draw.random() < 0.3:
            zone = create_aggregate(world.site, f"z-{name}", "west")
            add_host(world.site, str(zone.id), name)


def flavors(world: Fleet) -> list[str]:
    specs: list[dict[str, str]] = [
        {},
        {"pci_passthrough:alias": "a1:1"},
        {"pci_passthrough:alias": "a1:2"},
        {"pci_passthrough:alias": "whole:1,a1:1"},
        {"hw:cpu_policy": "dedicated"},
        {"hw:numa_nodes": "2", "pci_passthrough:alias": "a1:1"},
        {
            "hw:cpu_policy": "dedicated",
            "pci_passthrough:alias": "a1:1",
            "hw:pci_numa_affinity_policy": "required",
        },
        {"pci_passthrough:alias": "nobody:1"},
    ]
    return [
        create_flavor(
            world.site,
            Flavor(
                id=f"f{index}", name=f"f{index}", vcpus=2, ram_mib=512, disk_gib=1, extra_specs=one
            ),
        ).id
        for index, one in enumerate(specs)
    ]


def port(world: Fleet, draw: random.Random, network_id: str) -> str:
    wanted = PortWanted(
        network_id=network_id,
        vnic_type=draw.choice((VnicType.DIRECT, VnicType.DIRECT, VnicType.DIRECT_PHYSICAL)),
        profile=draw.choice(({}, {}, {"trusted": "true"})),
    )
    now = world.hands()
    return world.site.database.write(
        lambda connection: port_create(connection, wanted, project_id=PROJECT, now=now)
    ).id


def limits(world: Fleet, draw: random.Random) -> None:
    """Some quotas, which some of the creations will exceed."""
    names = (
        "servers",
        "class:VCPU",
        "alias:a1",
        "class:SRIOV_NET_VF",
        "class:CUSTOM_PCI_8086_10CA",
    )
    wanted = [
        NewLimit(resource_name=name, amount=draw.randint(1, 12))
        for name in names
        if draw.random() < 0.5
    ]
    create_registered_limits(world.site, wanted)


def attempt(work: Callable[[], Any]) -> Any:
    """What comes of it, or the refusal as text."""
    try:
        return work()
    except Error as error:
        return f"{type(error).__name__}: {error}"


@pytest.mark.parametrize("seed", range(3))
def test_a_dry_run_agrees_with_the_creation(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    with fleet(f"sqlite:///{tmp_path}/x.db", tmp_path, config(), hosts=0) as world:
        populate(world, draw)
        networks = [
            world.network("one", vlan=15),
            world.network("two", vlan=16, physical_network="physnet2"),
        ]
        named, image = flavors(world), world.image()
        groups = [
            create_group(world.site, MEMBER, policy, policy, None).id
            for policy in (GroupPolicy.ANTI_AFFINITY, GroupPolicy.AFFINITY)
        ]
        there: list[str] = []
        seen: set[bool] = set()
        for number in range(_REQUESTS):
            if number == _REQUESTS // 2:
                limits(world, draw)
            network = draw.choice(networks)
            ports = [port(world, draw, network)] if draw.random() < 0.4 else []
            asked: dict[str, Any] = {
                "image_id": image,
                "zone": draw.choice((None, None, "nova", "west")),
                "hints": draw.choice(({}, {}, *({"group": one} for one in groups))),
            }
            flavor = draw.choice(named)
            made_on = [network] if draw.random() < 0.3 else []
            question = Question(flavor=flavor, ports=tuple(ports), networks=tuple(made_on), **asked)
            order = NewServer(
                name="s",
                flavor_id=flavor,
                networks=[
                    *(NicAsked(port_id=one) for one in ports),
                    *(NicAsked(network_id=one) for one in made_on),
                ],
                **asked,
            )
            caller = draw.choice((ADMIN, MEMBER))
            said = attempt(lambda: explain(world.site, caller, question))  # noqa: B023
            made = attempt(lambda: create_servers(world.site, caller, order))  # noqa: B023
            if isinstance(said, Answer):
                assert sum(one.count for one in said.hosts) == len(world.hosts)
                (record,) = made
                assert said.fits == (record.host_id is not None), (question, said.summary)
                if not said.fits:
                    told = record.fault["message" if caller is ADMIN else "told"]
                    assert said.summary == told
                elif caller is ADMIN:
                    assert said.hosts[0].hosts == (record.host_name,)
                seen.add(said.fits)
                there += [record.id]
            else:
                assert made == said
            if there and draw.random() < 0.2:
                gone = there.pop(draw.randrange(len(there)))
                delete_server(world.site, MEMBER, gone)
                world.obey()
        assert seen == {True, False} or not world.hosts


@pytest.mark.parametrize("on_port", [False, True])
@pytest.mark.parametrize("group", ["web", "default", "nobody's"])
@pytest.mark.parametrize("said", ["refuse", "warn", "ignore"])
def test_a_dry_run_judges_security_groups_as_the_creation_does(
    tmp_path: Path, said: str, group: str, on_port: bool
) -> None:
    own = replace(config().lanekeeper, vf_security_groups=said)
    rules = replace(config(), lanekeeper=own)
    with fleet(f"sqlite:///{tmp_path}/x.db", tmp_path, rules) as world:
        network, image, flavor = world.network(), world.image(), flavors(world)[0]
        world.security_group("web")
        port = world.port(network).id if on_port else None
        question = Question(
            flavor=flavor,
            image_id=image,
            ports=(port,) if port else (),
            networks=() if port else (network,),
            security_groups=(group,),
        )
        order = NewServer(
            name="s",
            flavor_id=flavor,
            image_id=image,
            networks=[NicAsked(port_id=port, network_id=None if port else network)],
            security_groups=(group,),
        )
        asked = attempt(lambda: explain(world.site, MEMBER, question))
        made = attempt(lambda: create_servers(world.site, MEMBER, order))
        refused = group == "nobody's" or (group == "web" and said == "refuse" and not on_port)
        assert isinstance(asked, str) == refused
        if refused:
            assert made == asked
        else:
            assert (asked.fits, made[0].host_id is not None) == (True, True)
