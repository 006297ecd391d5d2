"""A port from its device to its guest: what holds it, where, and what its VF is to be set to."""

from __future__ import annotations

from dataclasses import dataclass

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
from lanekeeper.domain.network.port_reason import Holder, why
from lanekeeper.protocol import NicWanted
from lanekeeper.store.compute.server import ServerRecord, server_get
from lanekeeper.store.device.device import claims_of
from lanekeeper.store.host.host import host_told_by_name
from lanekeeper.store.network.port_binding import binding_list


@dataclass(frozen=True, slots=True, kw_only=True)
class PortChain:
    """One port and all that it hangs on.

    Attributes:
        bindings: where it may go.
        wanted: what its host is told of it; None while no host is told of it.
        why: what its status comes from.
    """

    port: PortRecord
    bindings: tuple[PortBinding, ...]
    server: ServerRecord | None
    holder: Holder | None
    device: Device | None
    wanted: NicWanted | None
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
    return PortChain(
        port=port,
        bindings=bindings,
        server=server,
        holder=holder,
        device=show_device(site, held) if held is not None else None,
        wanted=wanted,
        why=why(port, holder),
    )


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
