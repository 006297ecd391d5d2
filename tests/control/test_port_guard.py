"""Guarded ports: what their hosts are told, and that every change of it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from control.test_normal_port import boot, normal, port_now
from fleet import ADMIN, MEMBER, Fleet, fleet, lab_devices
from lanekeeper.control.compute.flavor import create_flavor
from lanekeeper.control.host.desired import desired_of, desired_stamp
from lanekeeper.control.network.guard_watch import GuardWatch
from lanekeeper.control.network.port import create_ports, delete_port, update_port
from lanekeeper.control.network.port_rules import PortChange
from lanekeeper.control.network.security_group import create_rules, delete_rule
from lanekeeper.domain.compute.flavor import Flavor
from lanekeeper.domain.network.guard.guarded import Direction, Rule
from lanekeeper.domain.network.port import PortWanted
from lanekeeper.domain.network.security_group import RuleWanted, default_group_id
from lanekeeper.protocol import GuardWanted

pytestmark = pytest.mark.service


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[Fleet]:
    with fleet(database_url, tmp_path, hosts=0) as made:
        made.host("h2", lab_devices(), bridges={"physnet1": "br-ex"}, guards=True)
        made.seen()
        create_flavor(made.site, Flavor(id="m1", name="m1", vcpus=1, ram_mib=64, disk_gib=1))
        yield made


def guard(world: Fleet) -> GuardWanted:
    (server,) = desired_of(world.site, world.hosts["h2"]).servers
    (tap,) = server.taps
    assert tap.guard is not None
    return tap.guard


def members(world: Fleet) -> dict[str, list[str]]:
    return desired_of(world.site, world.hosts["h2"]).members


def stamp(world: Fleet) -> str:
    return desired_stamp(world.site, world.hosts["h2"])


def test_a_host_is_told_who_may_send_and_what_may_pass(world: Fleet) -> None:
    port = normal(world)
    boot(world, port)
    assert port_now(world, port).guarded_by == "flows"
    told = guard(world)
    assert told.sources == [(port.mac, port.fixed_ips[0].ip)]
    own = default_group_id(MEMBER.project_id or "")
    assert told.rules == [
        Rule(direction=Direction.EGRESS, version=4),
        Rule(direction=Direction.EGRESS, version=6),
        Rule(direction=Direction.INGRESS, version=4, group=own),
        Rule(direction=Direction.INGRESS, version=6, group=own),
    ]
    assert members(world) == {own: [port.fixed_ips[0].ip]}


def test_every_change_comes_to_hosts_and_nothing_else_does(world: Fleet) -> None:
    group_id = world.security_group("web")
    network_id = world.network()
    wanted = PortWanted(network_id=network_id, security_groups=(group_id,))
    (port,) = create_ports(world.site, MEMBER, [wanted])
    boot(world, port)
    watch = GuardWatch(world.site)
    watch.look()

    def is_told() -> bool:
        before = stamp(world)
        watch.look()
        return stamp(world) != before

    assert not is_told()
    asked = RuleWanted(
        security_group_id=group_id, direction="ingress", protocol="tcp", port_range_min=80,
        port_range_max=80, remote_group_id=group_id,
    )  # fmt: skip
    ((_, rule),) = create_rules(world.site, MEMBER, [asked])
    assert is_told()
    web = Rule(direction=Direction.INGRESS, protocol=6, first=80, last=80, group=group_id)
    assert web in guard(world).rules
    (member,) = create_ports(world.site, MEMBER, [wanted])  # nobody has it, and it is a member
    assert is_told()
    assert members(world) == {group_id: sorted(p.fixed_ips[0].ip for p in (port, member))}
    create_ports(world.site, MEMBER, [PortWanted(network_id=network_id)])
    assert not is_told()  # of another group
    pairs = [{"ip_address": "10.9.0.5/24", "mac_address": port.mac}]
    update_port(world.site, ADMIN, port.id, PortChange(values={"allowed_address_pairs": pairs}))
    assert is_told()
    assert (port.mac, "10.9.0.0/24") in guard(world).sources
    assert "10.9.0.0/24" in members(world)[group_id]
    delete_port(world.site, MEMBER, member.id)
    assert is_told()
    delete_rule(world.site, MEMBER, rule["id"])
    assert is_told()
    assert web not in guard(world).rules
    assert members(world) == {}


def test_without_port_security_nothing_guards_a_port(world: Fleet) -> None:
    wanted = PortWanted(network_id=world.network(), port_security_enabled=False)
    (port,) = create_ports(world.site, ADMIN, [wanted])
    boot(world, port)
    (server,) = desired_of(world.site, world.hosts["h2"]).servers
    assert server.taps[0].guard is None
    assert port_now(world, port).guarded_by == "nobody"
