"""Who has held a device, when, and how it was cleaned."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from lanekeeper.control.caller import Caller
from lanekeeper.control.host.device import check_host
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Invalid, NotFound
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.store.device.history import Actor, history_list
from lanekeeper.store.device.listing import DeviceFilter, device_rows

LONGEST = 1000


def actor_of(caller: Caller) -> Actor:
    """What a device's history says of *caller*."""
    return Actor(caller.user_id, caller.project_id, caller.request_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceEvent:
    """One thing that became of a device.

    Attributes:
        what: claimed, spent, released, cleaning asked for, cleaned, quarantined, reserved, retired
            or returned.
        host: its name; None of one that was removed.
        holder, holder_name: the server's id and name where it was claimed or released.
        by: ``user_id``, ``project_id`` and ``request_id`` of who asked for it, where somebody did.
        detail: of a cleaning its round, steps, seconds and, where it failed, the reason.
    """

    at: datetime
    what: str
    device_id: str
    host: str | None
    address: str
    holder: str | None = None
    holder_name: str | None = None
    project_id: str | None = None
    by: Mapping[str, str | None] | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


def device_history(
    site: Site, device: str, host_name: str | None = None, *, limit: int = LONGEST
) -> list[DeviceEvent]:
    """What became of a device by its id, or of all that were at a PCI address; the latest first.

    Raises:
        Invalid: *device* is neither an id nor an address, or *limit* is out of bounds.
        NotFound: no device has the id or is at the address, and none of which history is kept was;
            or there is no such host.
    """
    if not 1 <= limit <= LONGEST:
        raise Invalid(f"limit {limit} is not between 1 and {LONGEST}")
    device_id, address = _named(device)
    with site.database.read() as connection:
        rows = history_list(
            connection, device_id=device_id, address=address, host_name=host_name, limit=limit
        )
        if not rows:
            _check_known(connection, device_id, address, host_name)
    return [
        DeviceEvent(
            at=row["at"],
            what=row["what"],
            device_id=row["device_id"],
            host=row["host_name"],
            address=row["address"],
            holder=row["consumer_id"],
            holder_name=row["holder_name"],
            project_id=row["project_id"],
            by=row["detail"].get("by"),
            detail={key: value for key, value in row["detail"].items() if key != "by"},
        )
        for row in rows
    ]


def _check_known(
    connection: sa.Connection, device_id: str | None, address: str | None, host_name: str | None
) -> None:
    """Tell what has no history from what is not there. Raises NotFound."""
    if host_name is not None:
        check_host(connection, host_name)
    if device_rows(connection, DeviceFilter(id=device_id, address=address, host_name=host_name)):
        return
    if device_id is not None:
        raise NotFound(f"no device has the id {device_id}")
    where = f" of {host_name}" if host_name is not None else ""
    raise NotFound(
        f"no device{where} is at {address}, and none of which history is kept was",
        hint="lanekeeper device list shows the addresses",
    )


def _named(device: str) -> tuple[str | None, str | None]:
    try:
        return str(uuid.UUID(device)), None
    except ValueError:
        pass
    try:
        return None, str(PciAddress.parse(device))
    except Invalid as error:
        raise Invalid(
            f"{device[:80]!r} is neither the id of a device nor a PCI address",
            hint="lanekeeper device list shows both",
        ) from error
