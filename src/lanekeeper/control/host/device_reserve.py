"""Keeping devices back and having them return: by a device's id, or as Placement's reserved.

What is spent (a one-time-use device that a guest has had), set aside or retired is offered to
nobody. It returns when that is asked for, and never before its cleaning is done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import sqlalchemy as sa
import structlog

from lanekeeper.control.host.device import Device, left_dirty, show_device
from lanekeeper.control.placement.resource_provider import bump, existing
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Conflict, Invalid, NotFound, clause, some
from lanekeeper.domain.pci.device import DeviceState, Reserve
from lanekeeper.domain.placement.inventory import Inventory
from lanekeeper.store.device.device import device_host
from lanekeeper.store.device.history import Actor, What
from lanekeeper.store.device.listing import DeviceFilter, device_rows, vfs_given
from lanekeeper.store.device.presence import MISSING, UNLISTED
from lanekeeper.store.device.reserve import reserve_set
from lanekeeper.store.device.unit import unit_mates
from lanekeeper.store.host.desired import host_lock
from lanekeeper.store.placement.inventory import inventories_of

log = structlog.get_logger("lanekeeper.device")

NOT_BACK = "lanekeeper.device.not_back"
_NAMED = 3


def release_device(site: Site, device_id: str, by: Actor | None = None) -> Device:
    """Have a device that is spent, set aside or retired serve again, and what belongs with it.

    One that is retired is so no more, whatever its state; if it was spent or set aside before, it
    is again, and returns when that is asked for, too.

    Raises:
        NotFound: no device has this id.
        Conflict: nothing keeps it back, or the cleaning of one that is not retired is not done.
    """

    def check(rows: Sequence[sa.RowMapping]) -> None:
        first, *_ = rows
        if all(row["reserved"] == Reserve.NOT for row in rows):
            if why := left_dirty(first):
                raise Conflict(
                    f"device {first['address']} on {first['host_name']} cannot be released: "
                    f"{why[0]}",
                    hint=why[1],
                )
            raise Conflict(
                f"device {first['address']} on {first['host_name']} is neither spent, reserved nor "
                f"retired: it is {first['state']}",
                hint="only what is kept back is released",
            )
        if any(Reserve(row["reserved"]).is_retired for row in rows):
            return
        if problems := [problem for row in rows if (problem := _not_back(row))]:
            remedies = [why[1] for row in rows if (why := left_dirty(row))]
            raise _refusal(problems, "; ".join(dict.fromkeys(remedies)))

    def released(rows: Sequence[sa.RowMapping]) -> Mapping[str, Reserve]:
        before = {row["id"]: Reserve(row["reserved"]) for row in rows}
        retired = {id_: one for id_, one in before.items() if one.is_retired}
        return {id_: one.released for id_, one in (retired or before).items()}

    return _change(site, device_id, released, What.RETURNED, check, by=by)


def retire_device(site: Site, device_id: str, by: Actor | None = None) -> Device:
    """Take a device out, and what belongs with it, until it is released. A holder keeps it so long.

    Raises:
        NotFound: no device has this id.
    """

    def retired(rows: Sequence[sa.RowMapping]) -> Mapping[str, Reserve]:
        return {row["id"]: Reserve(row["reserved"]).retired for row in rows}

    return _change(site, device_id, retired, What.RETIRED, lambda _: None, by=by)


def retired_note(site: Site, one: Device) -> str:
    """What retiring *one* does not do: nothing is kept back that is nobody's to have; empty else.

    The VFs of a PF are devices of their own.
    """
    if one.listed and one.state not in (UNLISTED, MISSING):
        return ""
    if one.state == MISSING:
        return (
            f"{one.host} does not tell of {one.address} now, so no guest can be given it; it is "
            "retired when it is back"
        )
    nobodys = (
        f"no entry of [pci] device_spec of {one.host} lists {one.address}, so no guest can be "
        "given it; it is retired when one lists it again"
    )
    with site.database.read() as connection:
        vfs = vfs_given(connection, one.id)
    if not vfs:
        return nobodys
    return (
        f"{nobodys}. Of its VFs {len(vfs)} are listed and given to guests as before "
        f"({', '.join(vfs[:_NAMED])}{', ...' if len(vfs) > _NAMED else ''}): retire each that you "
        "mean"
    )


def _change(
    site: Site,
    device_id: str,
    decide: Callable[[Sequence[sa.RowMapping]], Mapping[str, Reserve]],
    what: What,
    check: Callable[[Sequence[sa.RowMapping]], None],
    *,
    by: Actor | None,
) -> Device:
    """Keep a device back, or no more, with all that belongs together with it, it first.

    *decide* says what becomes of each, by its id; of what it leaves out, nothing.
    """

    def work(connection: sa.Connection) -> list[tuple[sa.RowMapping, Reserve]]:
        home = device_host(connection, device_id)
        if home is None:
            raise NotFound(f"no device has the id {device_id[:80]}")
        host_lock(connection, home)
        rows = [
            row
            for one in (device_id, *unit_mates(connection, [device_id]))
            for row in device_rows(connection, DeviceFilter(id=one))
        ]
        check(rows)
        wanted = decide(rows)
        changed = [
            (row, after)
            for row in rows
            if (after := wanted.get(row["id"])) not in (None, row["reserved"])
        ]
        for row, after in changed:
            reserve_set(connection, row["id"], after, site.clock(), what=what, by=by)
        return changed

    for row, after in site.database.write(work):
        log.info(
            "device.reserved",
            host=row["host_name"],
            address=row["address"],
            before=row["reserved"],
            after=after.value,
        )
    return show_device(site, device_id)


def reserve_inventories(
    connection: sa.Connection,
    provider_id: str,
    generation: int,
    wanted: Mapping[str, Inventory],
    now: datetime,
    *,
    whole: bool = False,
    by: Actor | None = None,
) -> int:
    """Have as many devices of a provider kept back as *wanted* says; returns its new generation.

    Nothing else of such an inventory is anybody's to change. Fewer reserved asks for the return of
    what is spent or was set aside; more sets free ones aside, then held ones for afterwards.
    *whole* wants every class that is there to be named.

    Raises:
        Conflict: stale generation; anything but *reserved* differs; or what would have to return
            cannot, and why.
        Invalid: the provider has none of a class.
    """
    provider = existing(connection, provider_id)
    host_lock(connection, provider.root_id)  # devices hang on their host
    provider = existing(connection, provider_id)
    moved = bump(connection, provider, generation)
    have = {name: one.record for name, one in inventories_of(connection, provider_id).items()}
    if whole and (left_out := sorted(have.keys() - wanted.keys())):
        raise _counted(provider.name, f"{', '.join(left_out)} cannot go")
    for name, record in sorted(wanted.items()):
        if name not in have:
            raise Invalid(
                "No inventory record with resource class for resource provider "
                f"{provider_id}: No inventory of class {name} found."
            )
        stock = have[name]
        if replace(record, reserved=stock.reserved, used=stock.used) != stock:
            raise _counted(provider.name, f"of {name} only reserved may be set")
        _reserve(connection, provider_id, name, (stock.reserved, record.reserved), now, by=by)
    return moved


def _counted(provider_name: str, what: str) -> Conflict:
    return Conflict(
        f"the inventory of {provider_name} is counted from its devices: {what}",
        hint="device_spec decides which devices are listed",
    )


def _reserve(
    connection: sa.Connection,
    provider_id: str,
    name: str,
    change: tuple[int, int],
    now: datetime,
    *,
    by: Actor | None,
) -> None:
    """Set devices of one class aside until so many are reserved, or have some return.

    *change* is how many are and how many are to be.
    """
    reserved, wanted = change
    wanted_rows = DeviceFilter(provider_id=provider_id, resource_class=name)
    rows = [row for row in device_rows(connection, wanted_rows) if _counts(row)]
    fewer = wanted < reserved
    for row in _returning(rows) if fewer else _idle(rows):
        if reserved == wanted:
            return
        reserve_set(connection, row["id"], Reserve.NOT if fewer else Reserve.ASIDE, now, by=by)
        reserved = inventories_of(connection, provider_id)[name].record.reserved
        if fewer == (reserved <= wanted):
            return
    if reserved > wanted:
        raise _refusal([why for row in rows if (why := _not_back(row) or _not_free(row))])


def _counts(row: sa.RowMapping) -> bool:
    return bool(row["listed"] and (row["present"] or row["state"] == DeviceState.HELD))


def _returning(rows: Sequence[sa.RowMapping]) -> list[sa.RowMapping]:
    able = (Reserve.SPENT, Reserve.ASIDE)
    return [row for row in rows if row["reserved"] in able and not _not_back(row)]


def _idle(rows: Sequence[sa.RowMapping]) -> list[sa.RowMapping]:
    """What nothing keeps back, the free before the held, by address."""
    order = (DeviceState.AVAILABLE, DeviceState.HELD)
    return sorted(
        (row for row in rows if row["reserved"] == Reserve.NOT and row["state"] in order),
        key=lambda row: order.index(row["state"]),
    )


def _not_back(row: sa.RowMapping) -> str:
    """Why a device cannot be given to anybody now; empty when it can."""
    address = row["address"]
    if row["state"] == DeviceState.HELD:
        return f"{address} is held by {row['holder_name'] or row['consumer_id']}"
    if why := left_dirty(row):
        return f"{address}: {why[0]}"
    if row["state"] == DeviceState.CLEANING:
        since = f"{row['state_at']:%Y-%m-%d %H:%M:%S} UTC"
        return f"{address} is being cleaned, round {row['cleaning_round']} since {since}"
    if row["state"] == DeviceState.QUARANTINED:
        return f"{address} is quarantined: {clause(row['state_reason'])}"
    return ""


def _not_free(row: sa.RowMapping) -> str:
    if Reserve(row["reserved"]).is_retired:
        return f"{row['address']} is retired (lanekeeper device release {row['id']})"
    return f"{row['address']}: {row['unfit']}" if row["unfit"] else ""


def _refusal(problems: Sequence[str], remedy: str = "") -> Conflict:
    named = some(problems, _NAMED, "; ") or "the other side of its card is in use or spent"
    return Conflict(
        f"the device cannot return yet: {named}",
        hint=remedy
        or "a device returns when its guest is gone and its cleaning is done; one that is "
        "quarantined is cleaned once more by lanekeeper device clean ID",
        code=NOT_BACK,
    )
