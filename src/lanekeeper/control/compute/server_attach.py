"""Cards given to servers that are there, and taken from them; their guests may run meanwhile."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from lanekeeper.control.caller import Caller
from lanekeeper.control.compute.quota import within_quota
from lanekeeper.control.compute.server import event_of, ready, server_held, unlocked, want
from lanekeeper.control.compute.server_nic import (
    CARDS_MAX,
    Nic,
    NicAsked,
    check_nics,
    check_pairs,
    check_switched,
    default_vnic_type,
    need_filter,
)
from lanekeeper.control.compute.server_port import (
    bind_port,
    check_promised,
    port_of,
    promised_amounts,
)
from lanekeeper.control.metrics import CLAIMS
from lanekeeper.control.network.port_rules import unfiltered_switch
from lanekeeper.control.network.quota import ports_within_quota
from lanekeeper.control.site import Site
from lanekeeper.domain.compute.extra_spec import numa_policy
from lanekeeper.domain.compute.server import VmState
from lanekeeper.domain.errors import Conflict, Invalid, NotFound
from lanekeeper.domain.network.apart import word_of
from lanekeeper.domain.network.card import (
    EMULATED,
    MODEL_PROPERTY,
    is_hot_pluggable,
    made_vnic_type,
    vif_model,
)
from lanekeeper.domain.network.port import PortRecord
from lanekeeper.domain.scheduling.apart import apart_from, too_close_to_kin
from lanekeeper.domain.scheduling.fit import Given, fit_devices, without_promises, would_do
from lanekeeper.domain.scheduling.freed import even_if_free
from lanekeeper.domain.scheduling.host import DeviceNeed, HostDevice, HostView, ServerRequest
from lanekeeper.domain.scheduling.member_view import member_verdict
from lanekeeper.domain.scheduling.place import locality
from lanekeeper.domain.scheduling.shortfall import Shortfall
from lanekeeper.domain.scheduling.switch_filter import failover_pair, virtual_switch
from lanekeeper.domain.scheduling.verdict import Verdict
from lanekeeper.store.compute.aggregate import aggregate_list
from lanekeeper.store.compute.capacity import device_facts, host_views
from lanekeeper.store.compute.server import ServerRecord, event_insert
from lanekeeper.store.device.device import claims_of
from lanekeeper.store.device.life import Pick, claim_insert
from lanekeeper.store.network.port import port_show, ports_of_server
from lanekeeper.store.placement.allocation import amounts_change
from lanekeeper.store.topology.claim import seats_of

_STATES = (VmState.ACTIVE, VmState.STOPPED)


def attach_card(site: Site, caller: Caller, server_id: str, asked: NicAsked) -> PortRecord:
    """Give a server one more card, and tell its host; a guest that runs gets it at once.

    The device is looked for on the server's own host, as near to the guest as its NUMA policy
    says; the host is locked, so nobody else takes it meanwhile. What is only given away together
    with others comes to a server that is stopped.

    Raises:
        NotFound: no such server.
        Invalid: the port or network is not there or cannot be carried; the host has no device for
            it, and why.
        Conflict: the server is in no state for that, or the port is in use; it runs, and the host
            has only devices that are given away together, or its image wants a card of a model
            that cannot be plugged in.
        OverQuota: the project may have no more of such devices.
    """
    now = site.clock()

    def work(connection: sa.Connection) -> tuple[PortRecord, str]:
        record = unlocked(server_held(connection, caller, server_id), caller)
        ready(record, "attach_interface", _STATES)
        if len(record.port_ids) >= CARDS_MAX:
            raise Invalid(f"server {record.id} has {CARDS_MAX} cards already, which is the most")
        policy = numa_policy(record.flavor["extra_specs"], record.image_properties)
        kind = made_vnic_type(
            record.flavor["extra_specs"], record.image_properties, default_vnic_type(site)
        )
        (nic,) = check_nics(connection, caller, [asked], policy, kind)
        check_switched([nic])
        check_pairs([nic], record.image_properties)
        if nic.vnic_type in EMULATED:
            _check_model(record)
        host = _host(connection, site, record, now)
        _check_switch(caller, nic, host)
        if not host.guards and need_filter(site, [nic]):
            raise unfiltered_switch("Failed to attach interface")
        given = None
        if nic.need is not None:
            given = _device(connection, caller, record, nic.need, host)
        with (
            within_quota(connection, site, record.project_id),
            ports_within_quota(connection, site, record.project_id),
        ):
            port = _take(connection, record, nic, given=given, host=host, now=now)
        event_insert(connection, event_of(record, caller, "attach_interface", now))
        return port, host.id

    port, host_id = site.database.write(work)
    CLAIMS.inc()
    site.bells.ring(host_id)
    return port


def detach_card(site: Site, caller: Caller, server_id: str, port_id: str) -> None:
    """Ask for a card back: it is the server's until its guest has let go of the device.

    Asked again, the host is told again.

    Raises:
        NotFound: no such server, or it has no such port.
        Conflict: the server is in no state for that, or it runs and has the device together with
            others.
    """
    now = site.clock()

    def work(connection: sa.Connection) -> str:
        record = unlocked(server_held(connection, caller, server_id), caller)
        ready(record, "detach_interface", _STATES)
        if port_id not in {port.id for port in ports_of_server(connection, record.id)}:
            raise NotFound(f"Port {port_id[:80]} is not attached to server {record.id}")
        _goes_alone(connection, record, port_id)
        event_insert(connection, event_of(record, caller, "detach_interface", now))
        left = [one for one in record.port_ids if one != port_id]
        requests = [one for one in record.device_requests if one["id"] != port_id]
        want(connection, record, now, port_ids=left, device_requests=requests)
        assert record.host_id is not None, "what can be acted on has a host"
        return record.host_id

    site.bells.ring(site.database.write(work))


def _host(connection: sa.Connection, site: Site, record: ServerRecord, now: datetime) -> HostView:
    oldest = now - timedelta(seconds=site.config.lanekeeper.agent_down_s)
    assert record.host_id is not None, "what can be acted on has a host"
    (view,) = host_views(connection, oldest, aggregate_list(connection), [record.host_id])
    return view


def _device(
    connection: sa.Connection,
    caller: Caller,
    record: ServerRecord,
    need: DeviceNeed,
    host: HostView,
) -> Given:
    seats = seats_of(connection, [record.id]).get(record.id, ())
    near = locality(seats, host)
    kin = _held_by_kin(connection, record, need, host)
    devices = apart_from(host.devices, kin)
    if not _is_off(record):
        alone = [one for one in devices if one.unit is None]
        found = fit_devices([need], alone, near)
        if not isinstance(found, Shortfall):
            return found[0]
    found = fit_devices([need], devices, near)
    if isinstance(found, Shortfall):
        found = even_if_free(found, [need], devices, near)
        anywhere = fit_devices([need], host.devices, near)
        if not isinstance(anywhere, Shortfall):
            found = too_close_to_kin(need, would_do([need], host.devices, near), kin)
        bare = fit_devices(without_promises([need]), devices, near)
        code = "devices" if isinstance(bare, Shortfall) else "bandwidth"
        facts = {"past_help": True} if found.is_past_help else {}
        verdict = Verdict(code=code, reason=found.reason, remedy=found.remedy, facts=facts)
        where = f"host {host.name}, where the server is" if caller.is_admin else "the server's host"
        told = verdict if caller.is_admin else member_verdict(verdict)
        raise Invalid(
            f"Failed to claim PCI device for attaching interface on {where}: {told.reason}",
            hint=told.remedy,
        )
    if not _is_off(record):
        raise Conflict(
            f"Cannot 'attach_interface' instance {record.id} while it runs: what its host has left "
            "for that is only given away together with other devices, which are not plugged into a "
            "guest that runs",
            hint="stop the server first, or name the port when a server is created",
        )
    return found[0]


def _held_by_kin(
    connection: sa.Connection, record: ServerRecord, need: DeviceNeed, host: HostView
) -> tuple[HostDevice, ...]:
    """The devices of those ports of a server that the one of *need* has to be apart from."""
    if not need.apart:
        return ()
    kin = {
        port.id
        for port in ports_of_server(connection, record.id)
        if word_of(port.profile) == need.apart
    }
    held = {one["id"] for one in claims_of(connection, record.id) if one["request_id"] in kin}
    return tuple(one for one in host.devices if one.id in held)


def _check_model(record: ServerRecord) -> None:
    """Pass a server whose guest can be given an emulated card as it is now.

    Raises:
        Invalid: its machine has no card of the model that its image wants.
        Conflict: it runs, and the model is no PCIe card, as its spare slots need.
    """
    model = vif_model(record.image_properties)
    if not is_hot_pluggable(model) and not _is_off(record):
        raise Conflict(
            f"Cannot 'attach_interface' instance {record.id} while it runs: its image has "
            f"{MODEL_PROPERTY}={model}, a card of conventional PCI, and its spare slots are PCIe's",
            hint="stop the server first, or use a port of type direct",
        )


def _check_switch(caller: Caller, nic: Nic, host: HostView) -> None:
    """Pass a card whose virtual switch, if it needs one, the server's host has.

    Raises:
        Invalid: the host has none there, or cannot pair it with a VF.
    """
    on = frozenset({nic.physical_networks})
    nowhere = frozenset[tuple[str, ...]]()
    request = ServerRequest(
        vcpus=0,
        ram_mib=0,
        disk_gib=0,
        switched=on if nic.need is None else nowhere,
        paired=on if nic.is_pair else nowhere,
    )
    verdict = virtual_switch(request, host) or failover_pair(request, host)
    if verdict is None:
        return
    where = f"host {host.name}, where the server is," if caller.is_admin else "the server's host"
    told = verdict if caller.is_admin else member_verdict(verdict)
    raise Invalid(f"Failed to attach interface: {where} {told.reason}", hint=told.remedy)


def _goes_alone(connection: sa.Connection, record: ServerRecord, port_id: str) -> None:
    """Pass a port whose device may be taken from the guest as it is now.

    Raises:
        Conflict: the guest runs, and has other devices that are only given away with this one.
    """
    claims = claims_of(connection, record.id)
    is_tied = any(one["request_id"] == port_id and one["unit"] is not None for one in claims)
    if is_tied and not _is_off(record):
        raise Conflict(
            f"Cannot 'detach_interface' instance {record.id} while it runs: the device of port "
            f"{port_id} is only given away together with others that the server has",
            hint="stop the server first; what is given away together goes together then",
        )


def _is_off(record: ServerRecord) -> bool:
    """Whether it has no guest that runs: whoever starts one by hand has it stopped again."""
    return record.vm_state == VmState.STOPPED


def _take(
    connection: sa.Connection,
    record: ServerRecord,
    nic: Nic,
    *,
    given: Given | None,
    host: HostView,
    now: datetime,
) -> PortRecord:
    """Take the device, if it is one, give the port to the server, and say so to its host."""
    if given is not None and nic.need is not None:
        amounts_change(connection, record.id, promised_amounts([nic.need], [given]))
    port = port_of(connection, nic, record.project_id, None, now)
    check_promised(connection, {port.id: nic})
    device, requests = None, list(record.device_requests)
    if given is not None and nic.need is not None:
        claim_insert(connection, record.id, [Pick(given.device.id, port.id)], now)
        device = device_facts(connection, [given.device.id])[given.device.id]
        requests.append({"id": port.id, "name": nic.need.name, "alias": None, "count": 1})
    bind_port(connection, port, device, host, server_id=record.id, now=now)
    want(
        connection,
        record,
        now,
        port_ids=[*record.port_ids, port.id],
        device_requests=requests,
    )
    attached = port_show(connection, port.id)
    assert attached is not None, "a port just bound is there"
    return attached
