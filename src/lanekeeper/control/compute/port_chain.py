"""A port from its device to its guest: what holds it, where, and what its VF is to be set to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import sqlalchemy as sa

from lanekeeper.control.caller import Caller
from lanekeeper.control.compute.guest import guest_facts, render
from lanekeeper.control.host.device import Device, show_device
from lanekeeper.control.host.heartbeat import is_alive
from lanekeeper.control.network.port import visible_port
from lanekeeper.control.site import Site
from lanekeeper.domain.compute.server import PowerState
from lanekeeper.domain.network.port import PortRecord
from lanekeeper.domain.network.port_binding import PortBinding
from lanekeeper.domain.network.port_reason import Holder, why, why_unread
from lanekeeper.domain.network.port_vf import PortVf
from lanekeeper.domain.pci.vf_change import losses
from lanekeeper.domain.pci.vf_settings import VfSettings
from lanekeeper.protocol import NicWanted
from lanekeeper.store.compute.server import ServerRecord, server_get
from lanekeeper.store.device.device import claims_of
from lanekeeper.store.host.host import host_told_by_name
from lanekeeper.store.network.port_binding import binding_list
from lanekeeper.store.network.port_vf import vf_get

HeldBy = Literal["vf", "pf", "switch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PortChain:
    """One port and all that it hangs on.

    Attributes:
        bindings: where it may go.
        held_by: what holds its settings: its VF, its virtual switch, or nobody where its guest has
            a whole PF; None while no host is told of it.
        wanted: what its host is told of a port with a device; None while no host is told of it.
        vf: what its host last told of its VF; None before it did.
        differences: settings of the VF that are not as wanted, as of ``VfChange``.
        unread: why it is not known what the VF is set to; empty where it is, and without a VF.
        why: what its status comes from.
    """

    port: PortRecord
    bindings: tuple[PortBinding, ...]
    server: ServerRecord | None
    holder: Holder | None
    device: Device | None
    held_by: HeldBy | None
    wanted: NicWanted | None
    vf: PortVf | None
    differences: tuple[str, ...]
    unread: str
    why: str


def port_chain(site: Site, caller: Caller, port_id: str) -> PortChain:
    """Follow a port.

    Raises:
        NotFound: code PortNotFound.
    """
    with site.database.read() as connection:
        port = visible_port(connection, caller, port_id)
        bindings = binding_list(connection, port_id)
        server = server_get(connection, port.device_id)
        held = _device_id(connection, port, server)
        holder = _holder(connection, site, server)
        wanted = None
        if server is not None and server.host_id is not None:
            nics = render(guest_facts(connection, server)).nics
            wanted = next((nic for nic in nics if nic.port_id == port_id), None)
        vf = vf_get(connection, port_id)
    held_by = _held_by(port, wanted)
    found = _found(vf, server, wanted)
    return PortChain(
        port=port,
        bindings=bindings,
        server=server,
        holder=holder,
        device=show_device(site, held) if held is not None else None,
        held_by=held_by,
        wanted=wanted,
        vf=vf if vf is None or found is vf.found else replace(vf, found=None),
        differences=losses(wanted.settings(), found, _untold(vf))
        if vf is not None and wanted is not None and found is not None
        else (),
        unread=why_unread(holder, is_pair=port.is_pair)
        if held_by == "vf" and holder and found is None
        else "",
        why=why(
            port,
            holder,
            vf.held_down if vf is not None and found is not None else "",
            is_read=found is not None,
        ),
    )


def _untold(vf: PortVf) -> frozenset[str]:
    """Settings whose difference says nothing: the driver knows none, or the uplink has its way."""
    return frozenset((*vf.unknown, *(("link_state",) if vf.held_down else ())))


def _held_by(port: PortRecord, wanted: NicWanted | None) -> HeldBy | None:
    if wanted is not None:
        return "pf" if wanted.vf_index is None else "vf"
    return "switch" if port.is_switched else None


def _found(
    vf: PortVf | None, server: ServerRecord | None, wanted: NicWanted | None
) -> VfSettings | None:
    """What the VF is set to that the port has now; what was told of another one is none of it."""
    if vf is None or server is None or wanted is None or vf.host_id != server.host_id:
        return None
    return vf.found if vf.address == wanted.device.address else None


def _device_id(
    connection: sa.Connection, port: PortRecord, server: ServerRecord | None
) -> str | None:
    claims = claims_of(connection, server.id) if server is not None else ()
    return next((claim["id"] for claim in claims if claim["request_id"] == port.id), None)


def _holder(connection: sa.Connection, site: Site, server: ServerRecord | None) -> Holder | None:
    if server is None:
        return None
    host = host_told_by_name(connection, server.host_name) if server.host_name else None
    return Holder(
        name=server.name,
        host_name=server.host_name or "",
        power=PowerState(server.power_state).name.lower(),
        problem=server.life.problem,
        host_alive=host is not None
        and is_alive(host.seen_at, site.clock(), site.config.lanekeeper.agent_down_s),
    )
