"""Devices from the operator's side: where each is, who holds it, and cleaning one again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches

import sqlalchemy as sa

from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Conflict, Invalid, NotFound, clause, some
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import DeviceState, Reserve
from lanekeeper.domain.pci.health import Action, Course, Signal
from lanekeeper.store.device.card import DIRTY
from lanekeeper.store.device.device import device_host
from lanekeeper.store.device.health import health_raised
from lanekeeper.store.device.history import Actor
from lanekeeper.store.device.life import device_clean_again
from lanekeeper.store.device.listing import DeviceFilter, device_rows
from lanekeeper.store.device.presence import MISSING, UNLISTED
from lanekeeper.store.host.desired import desired_touch, host_lock
from lanekeeper.store.host.host import host_list

_AWAY = (UNLISTED, MISSING)
_RESERVED = {
    str(one): tuple(each for each in Reserve if one in each.split(", "))
    for one in (Reserve.SPENT, Reserve.ASIDE, Reserve.RETIRED)
}
"""What a list calls a device that is kept back, and all the ways in which it can be so."""
STATES = (*DeviceState, *_AWAY, *_RESERVED)
_HOSTS_NAMED = 10
_WORDS = {
    (Action.WARN, True): "a warning",
    (Action.WARN, False): "a warning, well again since",
    (Action.EXCLUDE, True): "kept back",
    (Action.EXCLUDE, False): "kept back until it has been well for long enough",
}
PAGE = 1000
"""Devices in one list at the most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One function of a host, and the server that holds it.

    Attributes:
        state: available, held, cleaning, quarantined; ``missing`` when its host shows it no more,
            ``unlisted`` when it is there and no entry of device_spec lists it any more.
        state_reason: why it is quarantined.
        slot: the physical slot of its card, as the chassis numbers them.
        moved_from: its address before it was told at this one, since *moved_at*.
        unit: the first address of those that are only given away together; None for what is alone.
        reserved: ``spent``, ``reserved`` or ``retired`` while it is kept from new guests.
        health: what is wrong with it or its PF, one line each; *unfit* is for what it is kept back.
        holder, holder_name: the server's, or None.
    """

    id: str
    host: str
    address: str
    vendor_id: str
    product_id: str
    dev_type: str
    listed: bool
    state: str
    state_reason: str
    state_at: datetime
    pf_address: str | None
    numa_node: int | None
    serial: str | None
    slot: str | None
    moved_from: str | None
    moved_at: datetime | None
    driver: str | None
    netdev: str | None
    physical_network: str | None
    resource_class: str | None
    unit: str | None = None
    reserved: str = ""
    unfit: str = ""
    health: Sequence[str] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    holder: str | None = None
    holder_name: str | None = None


def list_devices(
    site: Site,
    host_name: str | None = None,
    state: str | None = None,
    *,
    address: str | None = None,
    waiting: bool = False,
    after: str | None = None,
    limit: int = PAGE,
) -> list[Device]:
    """Functions that hosts tell of, or one host tells of, by host and address; or at one *address*.

    With *waiting* only those for which somebody has to do something: quarantined, spent and clean
    again, not well, or away with a guest. At most *limit* of them, beginning after the one whose id
    is *after*.

    Raises:
        Invalid: *address* is none, there is no such state (the message has those that there are),
            no such device as *after*, or *limit* is out of bounds.
        NotFound: there is no such host; the hint has some that there are.
    """
    if state is not None and state not in STATES:
        raise Invalid(f"state {state[:40]!r} is none of {', '.join(STATES)}")
    if not 1 <= limit <= PAGE:
        raise Invalid(f"limit {limit} is not between 1 and {PAGE}")
    wanted = DeviceFilter(
        host_name=host_name,
        address=None if address is None else str(PciAddress.parse(address)),
        state=state if state in tuple(DeviceState) else None,
        away=None if state is None or state in _RESERVED else state if state in _AWAY else "",
        reserved=_RESERVED.get(state or ""),
        waiting=waiting,
        after=after,
        limit=limit,
    )
    with site.database.read() as connection:
        if host_name is not None:
            check_host(connection, host_name)
        if after is not None and device_host(connection, after) is None:
            raise Invalid(f"marker: no device has the id {after[:80]}")
        rows, raised = device_rows(connection, wanted), health_raised(connection)
    return [_device(row, _health(site, row, raised)) for row in rows]


def check_host(connection: sa.Connection, name: str) -> None:
    """Raises NotFound: no host is called so; the hint has some that there are."""
    known = [record.name for record in host_list(connection)]
    if name in known:
        return
    named = some(known, _HOSTS_NAMED)
    there_are = f"there are {named}" if known else "no host has been enrolled yet"
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}? {there_are}" if near else there_are
    raise NotFound(f"no host is called {name[:80]!r}", hint=hint)


def show_device(site: Site, device_id: str) -> Device:
    """One function.

    Raises:
        NotFound: no device has this id.
    """
    with site.database.read() as connection:
        rows = device_rows(connection, DeviceFilter(id=device_id))
        raised = health_raised(connection)
    for row in rows:
        return _device(row, _health(site, row, raised))
    raise NotFound(f"no device has the id {device_id[:80]}")


def clean_device(site: Site, device_id: str, by: Actor | None = None) -> Device:
    """Have a quarantined device cleaned once more, as somebody asks.

    Raises:
        NotFound: no device has this id.
        Conflict: it is not quarantined, or it is away, so that nothing can be done with it.
    """
    now = site.clock()

    def work(connection: sa.Connection) -> str | None:
        home = device_host(connection, device_id)
        if home is not None:
            host_lock(connection, home)
        for row in device_rows(connection, DeviceFilter(id=device_id)):
            if why := left_dirty(row):
                says, remedy = why
                raise Conflict(
                    f"device {row['address']} on {row['host_name']} cannot be cleaned: {says}",
                    hint=remedy,
                )
            if row["away"]:
                return None
        host_id = device_clean_again(connection, device_id, now, by)
        if host_id is not None:
            desired_touch(connection, host_id)
        return host_id

    host_id = site.database.write(work)
    found = show_device(site, device_id)
    if host_id is None:
        raise Conflict(
            f"device {found.address} on {found.host} is {found.state}, not quarantined",
            hint="only a quarantined device is cleaned on demand",
        )
    site.bells.ring(host_id)
    return found


def left_dirty(row: sa.RowMapping) -> tuple[str, str] | None:
    """Why a device that left before it was clean is not cleaned, and what would have it cleaned.

    A PF that is told for its VFs alone has left, too: an agent touches nothing that is not listed.
    None for what is listed, and for what was clean, or is held, when it left.
    """
    if (row["listed"] and not row["away"]) or row["state"] not in DIRTY:
        return None
    host = row["host_name"]
    then = "it is cleaned then"
    before = "it left before it was clean"
    if row["state"] == DeviceState.QUARANTINED:
        then = f"then have it cleaned (lanekeeper device clean {row['id']})"
        before = f"it was quarantined before ({clause(row['state_reason'])})"
    if row["away"] == MISSING:
        return f"{host} does not tell of it now, and {before}", f"have it back on {host}; {then}"
    instead = "" if row["away"] else " in the place of its VFs"
    return (
        f"no entry of [pci] device_spec of {host} lists it, and {before}",
        f"have an entry list it again{instead}, and the agent read it "
        f"(systemctl reload lanekeeper-agent); {then}",
    )


def _health(
    site: Site, row: sa.RowMapping, raised: Mapping[str, Mapping[Signal, Course]]
) -> tuple[str, ...]:
    rules = site.config.health.rules()
    ills = {"": raised.get(row["id"], {}), "of its PF: ": raised.get(row["pf_id"], {})}
    return tuple(
        f"{whose}{course.detail} (since {course.since:%Y-%m-%d %H:%M:%S} UTC; {wording})"
        for whose, courses in ills.items()
        for signal, course in sorted(courses.items())
        if (wording := _WORDS.get((rules[signal].action, course.wrong)))
    )


def _device(row: sa.RowMapping, health: Sequence[str]) -> Device:
    return Device(
        id=row["id"],
        host=row["host_name"],
        address=row["address"],
        vendor_id=row["vendor_id"],
        product_id=row["product_id"],
        dev_type=row["dev_type"],
        listed=row["listed"] and row["away"] != UNLISTED,
        state=row["away"] or row["state"],
        state_reason=row["state_reason"],
        state_at=row["state_at"],
        pf_address=row["pf_address"],
        numa_node=row["numa_node"],
        serial=row["serial"],
        slot=row["slot"],
        moved_from=row["moved_from"],
        moved_at=row["moved_at"],
        driver=row["driver"],
        netdev=row["netdev"],
        physical_network=row["physical_network"],
        resource_class=row["resource_class"],
        unit=row["unit"],
        reserved=row["reserved"],
        unfit=row["unfit"],
        health=health,
        tags=row["tags"],
        holder=row["consumer_id"],
        holder_name=row["holder_name"],
    )
