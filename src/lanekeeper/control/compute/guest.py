"""What a server wants from its host, put together from its rows; the agent makes no choices."""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa

from lanekeeper.control.compute.server_port import is_given_up
from lanekeeper.control.compute.server_unit import shares
from lanekeeper.domain.compute.server import Wanted
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.image.record import ImageRecord
from lanekeeper.domain.network.card import VifModel, vif_model
from lanekeeper.domain.network.guard.of_port import rules_of, sources_of
from lanekeeper.domain.network.metadata import network_data
from lanekeeper.domain.network.port import PortRecord, VnicType
from lanekeeper.domain.network.security_group import SecurityGroupRecord
from lanekeeper.domain.network.subnet import SubnetRecord
from lanekeeper.domain.network.vf_wanted import flavor_rates, link_state, rates_settable, vf_rates
from lanekeeper.domain.topology.fit import Seat
from lanekeeper.domain.topology.guest import EmulatorPolicy
from lanekeeper.domain.topology.guest_spec import EMULATOR_SPEC
from lanekeeper.protocol import (
    LINK_STATES,
    CellWanted,
    DeviceWanted,
    GuardWanted,
    ImageWanted,
    NicWanted,
    ServerWanted,
    TapWanted,
)
from lanekeeper.store.compute.capacity import device_facts
from lanekeeper.store.compute.memo import memos_read
from lanekeeper.store.compute.server import ServerRecord
from lanekeeper.store.device.device import claims_of
from lanekeeper.store.image.image import image_get
from lanekeeper.store.network.port import ports_of_server
from lanekeeper.store.network.security_group import security_group_list
from lanekeeper.store.network.subnet import subnets_by_id
from lanekeeper.store.topology.cell import cells_told
from lanekeeper.store.topology.claim import seats_of

_COMMAND_LINE = "os_command_line"
"""The image property with the kernel's arguments, as Glance and Nova have it."""
_LATEST = "openstack/latest"


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestFacts:
    """Everything of one server that its host has to know.

    Attributes:
        claims: its devices with their columns and their PF's, by request.
        seats: what it holds of its host's NUMA cells.
        host_cells: its host's, by number, as its agent told them; empty where it holds none.
        ports: in the order of the guest's cards.
        images: those that still have a row, by id.
        groups: security groups of guarded ports, by id.
    """

    record: ServerRecord
    claims: Sequence[Mapping[str, Any]]
    seats: Sequence[Seat]
    host_cells: Mapping[int, Mapping[str, Any]]
    ports: Sequence[PortRecord]
    subnets: Mapping[str, SubnetRecord]
    images: Mapping[str, ImageRecord]
    groups: Mapping[str, SecurityGroupRecord]


def servers_wanted(
    connection: sa.Connection, records: Sequence[ServerRecord]
) -> list[ServerWanted]:
    """What servers want from their host now, and what we would have to know of each again."""
    memos = memos_read(connection, [record.id for record in records])
    return [
        msgspec.structs.replace(
            render(guest_facts(connection, record)),
            memo=msgspec.json.encode(memos[record.id]).decode(),
        )
        for record in records
    ]


def images_of(record: ServerRecord) -> tuple[str, ...]:
    """Ids of the images that the server's host may read: its disk, its kernel, its ramdisk."""
    named = (record.image_id, *(record.image_properties.get(part) for part in _PARTS))
    return tuple(image_id for image_id in named if image_id)


_PARTS = ("kernel_id", "ramdisk_id")


def guest_facts(connection: sa.Connection, record: ServerRecord) -> GuestFacts:
    claims = claims_of(connection, record.id)
    devices = device_facts(connection, [claim["id"] for claim in claims])
    ports = ports_of_server(connection, record.id)
    seats = seats_of(connection, [record.id]).get(record.id, ())
    images = (image_get(connection, image_id) for image_id in images_of(record))
    return GuestFacts(
        record=record,
        claims=[{**claim, **devices[claim["id"]]} for claim in claims],
        seats=seats,
        host_cells=cells_told(connection, record.host_id) if seats and record.host_id else {},
        ports=_in_order(record.port_ids, ports),
        subnets=subnets_by_id(connection, {ip.subnet_id for p in ports for ip in p.fixed_ips}),
        images={image.id: image for image in images if image is not None},
        groups=groups_of(connection, ports),
    )


def _in_order(port_ids: Sequence[str], ports: Collection[PortRecord]) -> list[PortRecord]:
    places = {port_id: place for place, port_id in enumerate(port_ids)}
    return sorted(ports, key=lambda port: (places.get(port.id, len(places)), port.id))


def render(facts: GuestFacts) -> ServerWanted:
    """Say it in the words of the agent protocol."""
    record, flavor = facts.record, facts.record.flavor
    given_up = [port.id for port in facts.ports if is_given_up(record, port)]
    held = shares(facts.claims, [port.id for port in facts.ports], given_up)
    kernel, ramdisk = (record.image_properties.get(part) for part in _PARTS)
    return ServerWanted(
        id=record.id,
        name=record.name,
        generation=record.generation,
        power="stopped" if record.wanted == Wanted.STOPPED else "running",
        vcpus=flavor["vcpus"],
        memory_mib=flavor["ram_mib"],
        disk_gib=flavor["disk_gib"],
        image=_image(facts, record.image_id),
        kernel=_image(facts, kernel),
        ramdisk=_image(facts, ramdisk),
        kernel_arguments=str(record.image_properties.get(_COMMAND_LINE, "")),
        nics=[
            _nic(port, held.cards[port.id], record) for port in facts.ports if port.id in held.cards
        ],
        taps=[
            _tap(port, facts)
            for port in facts.ports
            if port.is_switched and port.id not in given_up
        ],
        cards=[port.id for port in facts.ports if port.id not in given_up],
        leaving=[claim["address"] for claim in held.leaving],
        leaving_taps=[port.id for port in facts.ports if port.is_switched and port.id in given_up],
        devices=[_device(claim, _alias(record, claim["request_id"])) for claim in held.devices],
        config_drive=config_drive(facts) if record.config_drive else {},
        reboots=record.reboots,
        metadata={"project_id": record.project_id, "flavor": flavor["name"]},
        cells=[_cell(seat, facts.host_cells) for seat in facts.seats],
        emulator=_emulator(facts),
    )


def _emulator(facts: GuestFacts) -> list[int]:
    """CPUs for the hypervisor's own threads: reserved, or those that are shared on the host.

    Source: nova ``virt/libvirt/driver.py``, _get_emulatorpin_cpuset.
    """
    specs = facts.record.flavor.get("extra_specs", {})
    if facts.seats and specs.get(EMULATOR_SPEC) == EmulatorPolicy.SHARE:
        return sorted(cpu for cell in facts.host_cells.values() for cpu in cell.get("shared") or ())
    return sorted(cpu for seat in facts.seats for cpu in seat.reserved)


def _cell(seat: Seat, host_cells: Mapping[int, Mapping[str, Any]]) -> CellWanted:
    there = host_cells.get(seat.host_cell, {})
    shared = there.get("shared")
    return CellWanted(
        node=seat.host_cell,
        cpus=sorted((*seat.shared, *seat.pins)),
        memory_mib=seat.memory_mib,
        pins=sorted(seat.pins.items()),
        floating=list(there.get("cpus", ()) if shared is None else shared) if seat.shared else [],
        page_kib=seat.page_kib,
    )


def _image(facts: GuestFacts, image_id: str | None) -> ImageWanted | None:
    image = facts.images.get(image_id or "")
    if image is None:
        return None
    return ImageWanted(
        id=image.id,
        sha512=image.sha512 or "",
        size_bytes=image.size_bytes or 0,
        disk_format=image.disk_format or "raw",
    )


def _device(claim: Mapping[str, Any], alias: str = "") -> DeviceWanted:
    return DeviceWanted(
        device_id=claim["id"],
        address=claim["address"],
        vendor_id=claim["vendor_id"],
        product_id=claim["product_id"],
        managed=claim["tags"].get("managed", "true") == "true",
        alias=alias,
        card_serial=claim["card_serial"],
        unit=claim["unit"],
    )


def _alias(record: ServerRecord, request_id: str) -> str:
    names = {request["id"]: request.get("alias") or "" for request in record.device_requests}
    return names.get(request_id, "")


def _nic(port: PortRecord, claim: Mapping[str, Any], record: ServerRecord) -> NicWanted:
    specs = record.flavor["extra_specs"]
    rates = vf_rates(port.qos_rules) if port.qos_rules else flavor_rates(specs)
    rates = rates_settable(rates, claim["pf_driver"])
    link = link_state(
        admin_state_up=port.admin_state_up, propagate_uplink_status=port.propagate_uplink_status
    )
    return NicWanted(
        port_id=port.id,
        mac=port.mac,
        device=_device(claim),
        pf_netdev=claim["pf_netdev"],
        vf_index=claim["vf_index"],
        vlan=port.vlan,
        spoof_check=port.port_security_enabled,
        trusted=port.is_trusted,
        link_state=LINK_STATES[link],
        min_tx_mbps=rates.min_tx,
        max_tx_mbps=rates.max_tx,
        mtu=port.mtu,
        macvtap=_model(record) if port.vnic_type is VnicType.MACVTAP else None,
        failover=port.is_pair,
    )


def groups_of(
    connection: sa.Connection, ports: Collection[PortRecord]
) -> Mapping[str, SecurityGroupRecord]:
    """Security groups of those of *ports* that are guarded, by id."""
    ids = {group for port in ports if port.is_guarded for group in port.security_groups}
    return {one.id: one for one in security_group_list(connection, {"id": ids})} if ids else {}


def guard_wanted(port: PortRecord, groups: Mapping[str, SecurityGroupRecord]) -> GuardWanted | None:
    """What guards a port; None for one that anything may pass."""
    if not port.is_guarded:
        return None
    mine = [groups[group] for group in port.security_groups if group in groups]
    return GuardWanted(sources=list(sources_of(port)), rules=list(rules_of(mine)))


def _tap(port: PortRecord, facts: GuestFacts) -> TapWanted:
    return TapWanted(
        port_id=port.id,
        mac=port.mac,
        bridge=port.bridge,
        physical_network=port.physical_network or "",
        vlan=port.vlan,
        link=port.admin_state_up,
        mtu=port.mtu,
        model=VifModel.VIRTIO if port.is_pair else _model(facts.record),
        failover=port.is_pair,
        guard=guard_wanted(port, facts.groups),
    )


def _model(record: ServerRecord) -> VifModel:
    """What its image wants; a server from before that was checked keeps the card it has."""
    try:
        return vif_model(record.image_properties)
    except Invalid:
        return VifModel.VIRTIO


def config_drive(facts: GuestFacts) -> dict[str, str]:
    """Path on the drive to content.

    Source: OpenStack's metadata formats, as nova ``api/metadata/base.py`` writes them. There is no
    ``random_seed``: it would change at every rendering, and the guest's own hardware has better.
    """
    files = {
        f"{_LATEST}/meta_data.json": _json(_meta_data(facts)),
        f"{_LATEST}/network_data.json": _json(network_data(facts.ports, facts.subnets)),
        f"{_LATEST}/vendor_data.json": _json({}),
    }
    if facts.record.user_data:
        files[f"{_LATEST}/user_data"] = base64.b64decode(facts.record.user_data).decode()
    return files


def _meta_data(facts: GuestFacts) -> dict[str, Any]:
    record = facts.record
    data: dict[str, Any] = {
        "uuid": record.id,
        "name": record.name,
        "hostname": record.hostname,
        "meta": dict(record.metadata),
        "project_id": record.project_id,
        "launch_index": record.launch_index,
        "availability_zone": record.availability_zone,
        "devices": [_tagged(port) for port in facts.ports if port.tags],
    }
    if record.key_name and record.public_key:
        data["public_keys"] = {record.key_name: record.public_key}
        data["keys"] = [{"name": record.key_name, "type": "ssh", "data": record.public_key}]
    return data


def _tagged(port: PortRecord) -> dict[str, Any]:
    return {"type": "nic", "mac": port.mac, "tags": list(port.tags)}


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True)
