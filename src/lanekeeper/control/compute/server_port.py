"""A server's ports on its host: made, bound to their devices, followed as its guest has them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from lanekeeper.control.compute.server_nic import Nic, network_missing
from lanekeeper.control.compute.server_unit import requests_in_hand
from lanekeeper.domain.errors import Conflict
from lanekeeper.domain.network.bandwidth import allocation_of
from lanekeeper.domain.network.binding import HostNetwork, PortFacts, Refusal, bind
from lanekeeper.domain.network.port import PortRecord, PortStatus
from lanekeeper.domain.network.profile import profile_of
from lanekeeper.domain.network.promise import NOTHING, promise_of
from lanekeeper.domain.network.segment import segments_of_device
from lanekeeper.domain.scheduling.fit import Given
from lanekeeper.domain.scheduling.host import DeviceNeed, HostView
from lanekeeper.protocol import ServerState
from lanekeeper.store.compute.server import ServerRecord, event_failed
from lanekeeper.store.device.device import claims_of
from lanekeeper.store.device.life import claim_release
from lanekeeper.store.network.bandwidth import amounts_of, rules_hold
from lanekeeper.store.network.port import port_create_for_server, port_delete, ports_of_server
from lanekeeper.store.network.port_hold import port_attach, port_detach, port_status
from lanekeeper.store.network.port_vf import ports_held_down
from lanekeeper.store.network.rbac import rbac_hold
from lanekeeper.store.placement.allocation import amounts_change

_ALIVE = frozenset({"running", "paused"})
"""What the power of a guest is that has devices in hand."""


def port_of(
    connection: sa.Connection,
    nic: Nic,
    project_id: str,
    groups: tuple[str, ...] | None,
    now: datetime,
) -> PortRecord:
    """The port of a card; one is made where only a network was named.

    Raises:
        Invalid: its network is shared no more, as if it had not been when it was named.
    """
    if nic.port is not None:
        return nic.port
    assert nic.network is not None, "a card has a port or a network"
    if nic.network.project_id != project_id:  # a network that is shared stays so
        is_shared = rbac_hold(connection, nic.network.id, project_id)
        if nic.is_guest and not is_shared:
            raise network_missing(nic.network.id)
    return port_create_for_server(
        connection,
        nic.network.id,
        project_id,
        fixed_ip=nic.fixed_ip,
        vnic_type=nic.vnic_type,
        security_groups=groups,
        tags=(nic.tag,) if nic.tag else (),
        now=now,
    )


def promised_amounts(
    needs: Iterable[DeviceNeed], given: Iterable[Given]
) -> dict[tuple[str, str], int]:
    """What ports are promised, (provider id, class) to units: each of the card of its device."""
    promises = {need.id: need.promise for need in needs if need.promise}
    amounts = Counter[tuple[str, str]]()
    for one in given:
        if one.need_id in promises:
            assert one.device.bandwidth is not None, "the device was chosen for its bandwidth"
            amounts.update(amounts_of(one.device.bandwidth.provider_id, promises[one.need_id]))
    return dict(amounts)


def check_promised(connection: sa.Connection, nics: Mapping[str, Nic]) -> None:
    """Make sure that ports, by id, are promised now what was looked for, and stay so until the
    commit.

    Raises:
        Conflict: a rule, or what policy counts, was changed meanwhile.
    """
    for port_id, rules in rules_hold(connection, nics.keys()).items():
        need = nics[port_id].need
        if need is not None and promise_of(rules) != need.promise:
            raise Conflict(
                f"Port {port_id}: what its QoS policy promises was changed meanwhile",
                hint="try again",
            )


def bind_port(
    connection: sa.Connection,
    port: PortRecord,
    device: Mapping[str, Any] | None,
    host: HostView,
    *,
    server_id: str,
    now: datetime,
) -> None:
    """Give a port to a server, bound to its device, or the virtual switch, of the chosen host.

    Raises:
        Conflict: it cannot be bound there any more, or somebody else has it.
    """
    network = HostNetwork(
        name=host.name,
        alive=host.alive,
        mappings=dict.fromkeys(host.physical_networks, ()),
        bridges=host.bridges,
        guards=host.guards,
        pairs=host.pairs,
    )
    facts = PortFacts(vnic_type=port.vnic_type, profile=port.profile, fixed_ips=port.fixed_ips)
    segments = (
        segments_of_device(port.segments, device["physical_network"]) if device else port.segments
    )
    bound = bind(facts, segments, network)
    if isinstance(bound, Refusal):
        raise Conflict(  # without the reasons, which name the host
            f"Port {port.id} cannot be bound any more where its server was to go", hint="try again"
        )
    port_attach(
        connection,
        port.id,
        server_id=server_id,
        host_name=host.name,
        availability_zone=host.zone,
        profile=(profile_of(device, allocation_of(port, device["carrier_id"])) if device else {}),
        bandwidth_provider_id=device["carrier_id"] if device else None,
        held=promise_of(port.qos_rules) if device else NOTHING,
        vif_type=bound.vif_type,
        vif_details=bound.vif_details,
        segment_id=bound.segment.id,
        now=now,
    )


def is_given_up(record: ServerRecord, port: PortRecord) -> bool:
    """Whether a port that a server holds is to leave it: it is none of its cards any more."""
    return port.id not in record.port_ids


def settle_ports(
    connection: sa.Connection, record: ServerRecord, guest: ServerState, now: datetime
) -> bool:
    """Have a server's ports follow what its guest was given and has let go of, while it runs.

    One that is given up goes once the guest has let go of its device and of all that is given away
    with it, and no moment sooner: the device is the guest's until then. Returns whether the host
    has something to clean now.
    """
    ports = ports_of_server(connection, record.id)
    leaving = [port for port in ports if is_given_up(record, port)]
    coming = [port for port in ports if port.status == PortStatus.BUILD and port not in leaving]
    if not leaving and not coming:
        return False
    plugged = ports_plugged(connection, record, guest)
    if leaving and guest.problem:
        event_failed(connection, record.id, guest.problem)
    if guest.generation < record.generation:
        return False
    if guest.power == "running":
        arrived = [port.id for port in coming if port.id in plugged]
        port_status(connection, arrived, PortStatus.ACTIVE, now)
    in_hand = _tied_to_guest(connection, record, guest) if leaving else frozenset()
    gone = [port for port in leaving if port.id not in in_hand]
    for port in gone:
        _let_go(connection, record, port, now)
    return bool(gone)


def set_port_states(
    connection: sa.Connection,
    record: ServerRecord,
    guest: ServerState,
    *,
    running: bool,
    now: datetime,
) -> None:
    """Have all of a server's ports say whether their guest is there and has them."""
    plugged = ports_plugged(connection, record, guest) if running else frozenset()
    plugged -= ports_held_down(connection, record.host_id, plugged)
    there = [port_id for port_id in record.port_ids if port_id in plugged]
    away = [port_id for port_id in record.port_ids if port_id not in plugged]
    port_status(connection, there, PortStatus.ACTIVE, now)
    port_status(connection, away, PortStatus.DOWN, now)


def ports_plugged(
    connection: sa.Connection, record: ServerRecord, guest: ServerState
) -> frozenset[str]:
    """Ids of the ports whose devices, or cards of a virtual switch, the guest has in hand.

    A failover pair is there with its card of the switch: its VF comes and goes.
    """
    if guest.power not in _ALIVE:
        return frozenset()
    in_hand = set(guest.devices)
    claims = claims_of(connection, record.id)
    given = (claim["request_id"] for claim in claims if claim["address"] in in_hand)
    return frozenset((*given, *guest.taps))


def _tied_to_guest(
    connection: sa.Connection, record: ServerRecord, guest: ServerState
) -> frozenset[str]:
    """Ids of the ports of whose devices' units the guest has anything in hand."""
    if guest.power not in _ALIVE:
        return frozenset()
    claims = [dict(one) for one in claims_of(connection, record.id)]
    return requests_in_hand(claims, guest.devices) | frozenset(guest.taps)


def _let_go(
    connection: sa.Connection, record: ServerRecord, port: PortRecord, now: datetime
) -> None:
    if port.bandwidth_provider_id is not None:
        back = amounts_of(port.bandwidth_provider_id, port.held, -1)
        amounts_change(connection, record.id, back)
    claim_release(connection, record.id, now, request_id=port.id)
    if port.created_by_server:
        port_delete(connection, port.id, held_by=record.id)
    else:
        port_detach(connection, port.id, now, server_id=record.id)
