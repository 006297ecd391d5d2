"""What agents report, and what follows from it: devices, inventories, guests, cleaning."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import msgspec
import sqlalchemy as sa
import structlog

from lanekeeper.control.compute.server import guest_reported
from lanekeeper.control.host.device_provider import provide
from lanekeeper.control.host.health import review_host
from lanekeeper.control.host.partition import check_partition, listed_entries
from lanekeeper.control.host.stock import cell_stocks, host_stocks
from lanekeeper.control.metrics import CLEANING
from lanekeeper.control.site import Site
from lanekeeper.crash import reached
from lanekeeper.domain.errors import Conflict, Invalid, clause
from lanekeeper.domain.pci.device import DeviceType
from lanekeeper.domain.pci.resource_class import resource_class_of
from lanekeeper.protocol import CleaningState, DeviceFact, HostFacts, HostState
from lanekeeper.store.device.card import cards_tell
from lanekeeper.store.device.device import (
    devices_in_orders,
    devices_known,
    devices_still_there,
)
from lanekeeper.store.device.life import cleaning_began, device_cleaned
from lanekeeper.store.device.report import DeviceRow, Merged, devices_merge
from lanekeeper.store.device.reserve import device_kept_back
from lanekeeper.store.host.desired import (
    desired_knows,
    desired_obeyed,
    desired_touch,
    host_lock,
)
from lanekeeper.store.host.host import (
    HostRecord,
    frozen_report_put,
    host_facts_set,
    host_frozen_after,
    host_frozen_set,
    host_get,
    host_is_frozen,
)
from lanekeeper.store.network.port_hold import ports_follow
from lanekeeper.store.placement.host_provider import (
    inventory_ensure,
)
from lanekeeper.store.topology.cell import cell_stocks_ensure

log = structlog.get_logger("lanekeeper.host")

LOST_HISTORY = "lanekeeper.host.frozen"
_DIGITS = 18
"""More would not fit a database's 64 bits."""


def report_facts(site: Site, host_id: str, facts: HostFacts) -> None:
    """Take over what a host says of itself: size, devices, mappings.

    What it held that has moved is held on at its new address; what is new at a known address is
    set aside (``store.device.report``); both are said in the log.

    Raises:
        Invalid: two devices at one address, or a VF whose PF is not told.
        Conflict: it lists the other side of a card that a guest holds (``check_partition``).
    """
    _check_devices(facts.devices)
    now = site.clock()
    rows = [_device_row(fact) for fact in facts.devices]
    plain = msgspec.to_builtins(facts)
    config, rules = site.config.compute, site.config.health.rules()

    def work(connection: sa.Connection) -> tuple[HostRecord, Merged, bool]:
        host_lock(connection, host_id)
        record = host_get(connection, host_id)
        if record.frozen_reason:
            frozen_report_put(connection, host_id, facts_told=True)
        still = devices_still_there(connection, host_id, facts.unlisted)
        host_facts_set(connection, host_id, plain | {"unlisted": still}, now)
        is_new = not devices_known(connection, host_id)  # then nothing can be contradicted
        before = [] if is_new else devices_in_orders(connection, host_id)
        listed = {} if is_new else listed_entries(connection, host_id)
        merged = devices_merge(
            connection,
            host_id,
            rows,
            now,
            accept_exchanged=site.config.lanekeeper.accept_exchanged_devices,
        )
        vfs = {pf.address: pf.vfs for pf in facts.pfs if pf.vfs is not None}
        cards_tell(connection, {merged.ids[at]: n for at, n in vfs.items() if at in merged.ids})
        if not is_new:
            check_partition(connection, host_id, listed)
        if merged.moved:
            ports_follow(connection, [one.id for one in merged.moved], now)
        provide(connection, record, facts, merged.ids, now)
        if not record.frozen_reason:
            review_host(connection, host_id, {}, rules, now)
        inventory_ensure(connection, host_id, host_stocks(config, facts), now)
        cell_stocks_ensure(connection, host_id, cell_stocks(config, facts))
        changed = not is_new and devices_in_orders(connection, host_id) != before
        if changed:
            desired_touch(connection, host_id)
        return record, merged, changed

    record, merged, changed = site.database.write(work)
    _tell(record.name, merged)
    if changed:
        site.bells.ring(host_id)


def _tell(host_name: str, merged: Merged) -> None:
    for one in merged.moved:
        log.info(
            "device moved", host=host_name, device=one.id, before=one.before, address=one.address
        )
    for new in merged.aside:
        log.warning(
            "device set aside",
            host=host_name,
            device=new.id,
            address=new.address,
            reason=new.reason,
            before=new.before,
            holder=new.holder,
        )


def _check_devices(devices: list[DeviceFact]) -> None:
    addresses = {fact.address for fact in devices}
    if len(addresses) != len(devices):
        raise Invalid("devices: two functions are told at one address")
    for fact in devices:
        if (DeviceType(fact.dev_type) is DeviceType.VF) != (fact.parent is not None):
            raise Invalid(f"devices: {fact.address} is {fact.dev_type}, parent {fact.parent}")
        if fact.parent is not None and fact.parent not in addresses:
            raise Invalid(f"devices: {fact.address} names PF {fact.parent}, which is not told")


def _device_row(fact: DeviceFact) -> DeviceRow:
    values = {name: getattr(fact, name) for name in DeviceFact.__struct_fields__}
    listed_class = (
        resource_class_of(
            int(fact.vendor_id, 16), int(fact.product_id, 16), DeviceType(fact.dev_type), fact.tags
        )
        if fact.listed
        else None
    )
    return DeviceRow(
        **values,
        physical_network=fact.tags.get("physical_network") or None,
        resource_class=listed_class,
    )


def report_state(site: Site, host_id: str, state: HostState) -> None:
    """Take over what has become of guests and of cleaning; what was reported before is no news.

    What a frozen host tells changes nothing: it is kept until the host is adopted.
    """
    now = site.clock()
    obeyed = parse_stamp(state.obeyed) if state.obeyed else None

    def work(connection: sa.Connection) -> tuple[bool, list[_Cleaned]]:
        host_lock(connection, host_id)
        changed = False
        if host_is_frozen(connection, host_id):
            frozen_report_put(connection, host_id, state=msgspec.to_builtins(state))
            return changed, []
        for guest in state.servers:
            changed |= guest_reported(connection, host_id, guest, now)
        told = (_cleaned(connection, host_id, cleaned, now) for cleaned in state.cleaned)
        closed = [one for one in told if one is not None]
        if obeyed is not None and desired_knows(connection, host_id, *obeyed):
            desired_obeyed(connection, host_id, *obeyed)
        changed |= bool(closed)
        if changed:
            desired_touch(connection, host_id)
        return changed, closed

    reached("controller.report.before")
    changed, closed = site.database.write(work)
    reached("controller.report.after")
    for one in closed:
        CLEANING.labels(one.outcome).observe(one.seconds)
        if one.waits:
            log.warning(
                "device.needs_attention", device=one.device_id, reason=one.waits, host=host_id
            )
    if changed:
        reached("controller.report.changed")
        site.bells.ring(host_id)


@dataclass(frozen=True, slots=True)
class _Cleaned:
    """A cleaning round that has ended.

    Attributes:
        outcome: ``clean`` or ``quarantined``.
        seconds: how long it was open.
        waits: why somebody has to do something before it serves again; empty when nobody has.
    """

    device_id: str
    outcome: str
    seconds: float
    waits: str


def _cleaned(
    connection: sa.Connection, host_id: str, cleaned: CleaningState, now: datetime
) -> _Cleaned | None:
    """Close a cleaning round; None when there was nothing to close."""
    reached("controller.clean")
    began = cleaning_began(connection, cleaned.device_id)
    problem = "" if cleaned.clean else cleaned.problem or "cleaning failed without a reason"
    closed = device_cleaned(
        connection,
        host_id,
        cleaned.device_id,
        cleaned.round,
        now,
        problem=problem,
        steps=cleaned.steps,
        seconds=cleaned.seconds,
    )
    if not closed or began is None:
        return None
    waits = (
        f"quarantined: {problem}" if problem else device_kept_back(connection, cleaned.device_id)
    )
    return _Cleaned(
        cleaned.device_id,
        "quarantined" if problem else "clean",
        (now - began).total_seconds(),
        waits,
    )


def check_history(site: Site, host_id: str, after: str) -> HostRecord:
    """Make sure that this database once ordered what the agent says it has got.

    A question may come late or twice, after the agent has obeyed something newer. It is older than
    what this database saw obeyed, so it cannot show that the database lacks anything.

    Raises:
        Conflict: it did not (a restored backup, an empty database), or the host is frozen already.
            The host is frozen: it reports, and touches nothing.
        Invalid: *after* is not ``G.MARK``.
    """
    stamp = parse_stamp(after) if after else None
    with site.database.read() as connection:
        record = host_get(connection, host_id)
        known = (
            stamp is None
            or stamp[0] == 0
            or stamp[0] < _generation(record.obeyed)
            or desired_knows(connection, host_id, *stamp)
        )
    if not known and not record.frozen_reason:
        reason = (
            f"the agent has obeyed state {after}, which this database never ordered: it has lost "
            "history (a restored backup, an empty database, or a host that was removed)"
        )
        _freeze(site, host_id, reason, after)
        raise Conflict(_frozen(reason), code=LOST_HISTORY)
    if record.frozen_reason:
        if stamp is not None and stamp[0] > _generation(record.frozen_after):
            _note_frozen_after(site, host_id, after)
        raise Conflict(_frozen(record.frozen_reason), code=LOST_HISTORY)
    return record


def _freeze(site: Site, host_id: str, reason: str, after: str) -> None:
    def work(connection: sa.Connection) -> None:
        host_lock(connection, host_id)
        host_frozen_set(connection, host_id, reason, after)

    site.database.write(work)


def _note_frozen_after(site: Site, host_id: str, after: str) -> None:
    """Keep the newest state that a frozen host says it has got; one that comes late is not."""

    def work(connection: sa.Connection) -> None:
        host_lock(connection, host_id)
        record = host_get(connection, host_id)
        if record.frozen_reason and _generation(after) > _generation(record.frozen_after):
            host_frozen_after(connection, host_id, after)

    site.database.write(work)


def _generation(stamp: str) -> int:
    """The generation of ``G.MARK``; 0 of the empty text."""
    return parse_stamp(stamp)[0] if stamp else 0


def _frozen(reason: str) -> str:
    return (
        f"this host is frozen: {clause(reason)}. Its guests run on and nothing is touched until it "
        "has been read back into the database: lanekeeper db adopt"
    )


def parse_stamp(text: str) -> tuple[int, str]:
    """Read ``G.MARK``.

    Raises:
        Invalid: anything else.
    """
    generation, dot, mark = text.partition(".")
    if not (dot and generation.isascii() and generation.isdigit() and len(generation) <= _DIGITS):
        raise Invalid(f"{text[:60]!r} is not GENERATION.MARK")
    return int(generation), mark
