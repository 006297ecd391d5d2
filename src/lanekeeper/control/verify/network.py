"""Ports against claims; VLAN ids, addresses and MACs given once."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from lanekeeper.control.verify.finding import BUG, Finding, key_of
from lanekeeper.domain.network.port import VifType
from lanekeeper.domain.network.promise import EGRESS, INGRESS
from lanekeeper.domain.network.segment import NetworkType
from lanekeeper.store.records import Records, Row

Key = TypeVar("Key", bound=tuple[Any, ...])


def ports_are_where_their_servers_are(records: Records) -> Iterator[Finding]:
    """A server's port is bound on the server's host: to the device that was claimed for it, or to a
    virtual switch, which claims none.
    """
    servers, hosts = records.by_id("server"), records.by_id("host")
    devices = records.by_id("device")
    claims = {row["request_id"]: row for row in records.claim}
    for port in records.port:
        server, claim = servers.get(port["device_id"]), claims.get(port["id"])
        if server is None:
            problem = (
                f"{claim['consumer_id']} claims a device for a port it has not" if claim else ""
            )
        elif port["id"] not in server["port_ids"]:
            problem = f"server {server['id']} holds it and does not list it"
        elif port["vif_type"] == VifType.OVS and claim is not None:
            problem = (
                f"it is on a virtual switch, and {claim['consumer_id']} claims a device for it"
            )
        elif port["vif_type"] != VifType.OVS and (
            claim is None or claim["consumer_id"] != server["id"]
        ):
            problem = f"server {server['id']} holds it and has no device for it"
        elif port["binding_host"] != hosts.get(server["host_id"], {}).get("name"):
            problem = f"it is bound on {port['binding_host'] or 'no host'}, its server is elsewhere"
        else:
            problem = _slot(port, devices.get(claim["device_id"])) if claim else ""
        if problem:
            yield _port(port["id"], problem)


def ports_hold_what_is_allocated(records: Records) -> Iterator[Finding]:
    """What is allocated of bandwidth is what the ports of its consumer hold of it."""
    carriers = {row["id"] for row in records.resource_provider if row["owner"] == "bandwidth"}
    held: Counter[tuple[str, str, str]] = Counter()
    for port in records.port:
        provider_id = port["bandwidth_provider_id"]
        if provider_id is not None:
            amounts = {EGRESS: port["egress_kbps"], INGRESS: port["ingress_kbps"]}
            held.update({(port["device_id"], provider_id, name): n for name, n in amounts.items()})
    told: Counter[tuple[str, str, str]] = Counter()
    for row in records.allocation:
        if row["provider_id"] in carriers:
            told[row["consumer_id"], row["provider_id"], row["resource_class"]] += row["used"]
    for key in sorted({*held, *told}):
        if held[key] != told[key]:
            yield Finding(
                invariant="port.bandwidth", table="allocation", row=key_of(*key),
                problem=f"{told[key]} are allocated, and its ports hold {held[key]}", remedy=BUG,
            )  # fmt: skip


def _slot(port: Row, device: Row | None) -> str:
    slot = port["binding_profile"].get("pci_slot")
    if device is None or slot == device["address"]:
        return ""
    return f"its profile names device {slot}, and {device['address']} is claimed for it"


def servers_have_their_ports(records: Records) -> Iterator[Finding]:
    """Every port that a placed server lists is there and held by that server."""
    ports = records.by_id("port")
    for server in records.server:
        if server["host_id"] is None:
            continue
        for port_id in server["port_ids"]:
            port = ports.get(port_id)
            if port is None or port["device_id"] != server["id"]:
                holder = f"held by {port['device_id'] or 'nobody'}" if port else "not there"
                yield _port(port_id, f"server {server['id']} lists it, and it is {holder}")


def bindings_are_of_one_place_each(records: Records) -> Iterator[Finding]:
    """A port is bound on a segment of its network, and may go to other hosts than its own."""
    ports, segments = records.by_id("port"), records.by_id("segment")
    places = [(port["id"], port["segment_id"]) for port in records.port]
    places += [(row["port_id"], row["segment_id"]) for row in records.port_binding]
    for port_id, segment_id in places:
        if segment_id is None or port_id not in ports:
            continue
        on = segments.get(segment_id, {}).get("network_id")
        if on != ports[port_id]["network_id"]:
            yield _port(port_id, f"it is bound on segment {segment_id}, which is not its network's")
    for row in records.port_binding:
        port = ports.get(row["port_id"])
        if port is not None and port["binding_host"] == row["host_name"]:
            yield _port(port["id"], f"it is on host {row['host_name']}, and may go there too")


def macs_are_given_once(records: Records) -> Iterator[Finding]:
    """No two ports of a network have one MAC."""
    seen = ((row["network_id"], row["mac_address"]) for row in records.port)
    for network_id, mac in _twice(seen):
        yield Finding(
            invariant="port.mac", table="port", row=key_of(network_id, mac),
            problem=f"MAC {mac} is given twice on network {network_id}", remedy=BUG,
        )  # fmt: skip


def addresses_are_given_once_and_fit(records: Records) -> Iterator[Finding]:
    """An address belongs to its subnet, to a port of the same network, and to nobody else."""
    subnets, ports = records.by_id("subnet"), records.by_id("port")
    for subnet_id, ip in _twice((row["subnet_id"], row["ip"]) for row in records.address):
        yield _address(subnet_id, ip, "it is given twice")
    for row in records.address:
        subnet, port = subnets.get(row["subnet_id"]), ports.get(row["port_id"])
        if subnet is None or port is None:
            problem = f"its {'port' if subnet else 'subnet'} is not there"
        elif ipaddress.ip_address(row["ip"]) not in ipaddress.ip_network(subnet["cidr"]):
            problem = f"it is not in {subnet['cidr']}"
        elif subnet["network_id"] != port["network_id"]:
            problem = f"port {port['id']} is on another network than the subnet"
        else:
            continue
        yield _address(row["subnet_id"], row["ip"], problem)


def vlans_are_given_once(records: Records) -> Iterator[Finding]:
    """A VLAN id, or the untagged wire, serves one network of a physical network."""
    networks = records.by_id("network")
    physical = [row for row in records.segment if row["physical_network"]]
    tagged = [row for row in physical if row["segmentation_id"] is not None]
    flat = [row for row in physical if row["network_type"] == NetworkType.FLAT]
    for name, vlan in _twice((row["physical_network"], row["segmentation_id"]) for row in tagged):
        yield _segment(key_of(name, vlan), f"VLAN {vlan} of {name} serves two networks")
    for (name,) in _twice((row["physical_network"],) for row in flat):
        yield _segment(name, f"{name} without a tag serves two networks")
    for row in records.segment:
        if row["network_id"] not in networks:
            yield _segment(row["id"], f"its network {row['network_id']} is not there")


def _twice(keys: Iterable[Key]) -> list[Key]:
    return [key for key, number in Counter(keys).items() if number > 1]


def _port(port_id: str, problem: str) -> Finding:
    return Finding(
        invariant="port.binding", table="port", row=port_id, problem=problem,
        remedy="delete the server that is named, then the port; else " + BUG,
    )  # fmt: skip


def _address(subnet_id: str, ip: str, problem: str) -> Finding:
    return Finding(
        invariant="address", table="address", row=key_of(subnet_id, ip), problem=problem,
        remedy="openstack port unset --fixed-ip on the port; else " + BUG,
    )  # fmt: skip


def _segment(row: str, problem: str) -> Finding:
    return Finding(invariant="segment.vlan", table="segment", row=row, problem=problem, remedy=BUG)
