"""What a host should have: put together from the rows whenever its agent asks."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa

from lanekeeper.control.compute.guest import images_of, servers_wanted
from lanekeeper.control.network.dhcp import dhcp_wanted, give_address, unanswered
from lanekeeper.control.site import Site
from lanekeeper.domain.compute.server import Wanted
from lanekeeper.domain.errors import NotFound
from lanekeeper.domain.image.record import ImageRecord
from lanekeeper.protocol import CleaningWanted, Desired, DeviceWanted, TapWanted
from lanekeeper.store.compute.server import ServerRecord, servers_of_host
from lanekeeper.store.device.device import devices_to_clean
from lanekeeper.store.host.host import host_get
from lanekeeper.store.image.image import image_get
from lanekeeper.store.network.security_group import security_group_members


def desired_stamp(site: Site, host_id: str) -> str:
    """``G.MARK`` of what is wanted of the host now.

    Raises:
        NotFound: no such host.
    """
    with site.database.read() as connection:
        record = host_get(connection, host_id)
    return f"{record.generation}.{record.mark}"


def desired_of(site: Site, host_id: str) -> Desired:
    """The whole state that a host should be in, of one moment.

    A network that is to have DHCP there for the first time gets an address for that before.

    Raises:
        NotFound: no such host.
    """
    found = _desired_of(site, host_id)
    lacking = unanswered(found.dhcp or ())
    for network_id in lacking:
        give_address(site, network_id)
    return _desired_of(site, host_id) if lacking else found


def _desired_of(site: Site, host_id: str) -> Desired:
    now = site.clock()
    with site.database.read() as connection:
        record = host_get(connection, host_id)
        servers = servers_of_host(connection, host_id)
        wanted = [server for server in servers if server.wanted != Wanted.ABSENT]
        told = servers_wanted(connection, wanted)
        return Desired(
            generation=record.generation,
            mark=record.mark,
            servers=told,
            absent=[server.id for server in servers if server.wanted == Wanted.ABSENT],
            cleaning=[_cleaning(row) for row in devices_to_clean(connection, host_id)],
            consoles=[server.id for server in servers if _is_read(server, now)],
            members=members_of(connection, [tap for one in told for tap in one.taps]),
            dhcp=dhcp_wanted(connection, host_id, wanted),
        )


def members_of(connection: sa.Connection, taps: Iterable[TapWanted]) -> dict[str, list[str]]:
    """Prefixes of the members of each group that rules of *taps* name."""
    guards = (tap.guard for tap in taps if tap.guard is not None)
    named = {rule.group for guard in guards for rule in guard.rules if rule.group is not None}
    members = security_group_members(connection, named) if named else {}
    return {group: sorted(members.get(group, ())) for group in sorted(named)}


def _is_read(server: ServerRecord, now: datetime) -> bool:
    """Whether somebody has asked for the server's console not long ago."""
    return server.console_wanted_until is not None and server.console_wanted_until > now


def _cleaning(row: sa.RowMapping) -> CleaningWanted:
    return CleaningWanted(
        device=DeviceWanted(
            device_id=row["id"],
            address=row["address"],
            vendor_id=row["vendor_id"],
            product_id=row["product_id"],
            managed=row["tags"].get("managed", "true") == "true",
            card_serial=row["card_serial"],
            unit=row["unit"],
        ),
        round=row["cleaning_round"],
        pf_address=row["pf_address"],
        vf_index=row["vf_index"],
    )


def image_of(site: Site, host_id: str, image_id: str) -> ImageRecord:
    """The image whose bytes the host may read, as its desired state names it.

    Raises:
        NotFound: no server that this host should have needs it.
    """
    with site.database.read() as connection:
        servers = servers_of_host(connection, host_id)
        if not any(image_id in images_of(server) for server in servers):
            raise NotFound(f"no server of this host needs image {image_id[:64]!r}")
        record = image_get(connection, image_id)
    if record is None:
        raise NotFound(f"image {image_id} is deleted")
    return record
