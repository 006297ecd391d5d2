"""What agents tell of their hosts: devices, sizes, mappings; and the inventories that follow."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import msgspec
import sqlalchemy as sa
import structlog

from lanekeeper.control.host.device_provider import provide
from lanekeeper.control.host.health import review_host
from lanekeeper.control.host.partition import check_partition, listing_of
from lanekeeper.control.host.stock import cell_stocks, host_stocks
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.pci.device import DeviceType
from lanekeeper.domain.pci.resource_class import resource_class_of
from lanekeeper.protocol import DeviceFact, HostFacts
from lanekeeper.store.device.card import cards_tell
from lanekeeper.store.device.device import (
    devices_in_orders,
    devices_known,
    devices_still_there,
)
from lanekeeper.store.device.report import DeviceRow, Merged, devices_merge
from lanekeeper.store.host.desired import desired_touch, host_lock
from lanekeeper.store.host.host import frozen_report_put, host_facts_set, host_get
from lanekeeper.store.network.port_hold import ports_follow
from lanekeeper.store.placement.host_provider import inventory_ensure
from lanekeeper.store.topology.cell import cell_stocks_ensure

log = structlog.get_logger("lanekeeper.host")


def report_facts(site: Site, host_id: str, facts: HostFacts) -> None:
    """Take over what a host says of itself: size, devices, mappings.

    What it held that has moved is held on at its new address; what is new at a known address is
    set aside (``store.device.report``); both are said in the log.

    Raises:
        Invalid: two devices at one address, or a VF whose PF is not told.
        Conflict: its configuration gives away the other side of a card that a guest holds
            (``check_partition``).
    """
    _check_devices(facts.devices)
    taken = site.database.write(partial(_take, site=site, host_id=host_id, facts=facts))
    _tell(taken.host_name, taken.merged)
    if taken.changed:
        site.bells.ring(host_id)


def try_facts(site: Site, host_id: str, facts: HostFacts) -> None:
    """Find out whether *facts* would be taken over, and take nothing over.

    Raises:
        Invalid, Conflict: as ``report_facts``.
    """
    _check_devices(facts.devices)

    def work(connection: sa.Connection) -> None:
        if devices_known(connection, host_id):  # otherwise there is nothing to contradict
            _take(connection, site=site, host_id=host_id, facts=facts)
            raise _Undone

    with suppress(_Undone):
        site.database.write(work)


class _Undone(Exception):
    """Undoes the transaction of a trial."""


@dataclass(frozen=True, slots=True)
class _Taken:
    """What has come of facts; *changed*: something that the host's orders name."""

    host_name: str
    merged: Merged
    changed: bool


def _take(connection: sa.Connection, *, site: Site, host_id: str, facts: HostFacts) -> _Taken:
    now = site.clock()
    host_lock(connection, host_id)
    record = host_get(connection, host_id)
    if record.frozen_reason:
        frozen_report_put(connection, host_id, facts_told=True)
    is_new = not devices_known(connection, host_id)  # then nothing can be contradicted
    before = [] if is_new else devices_in_orders(connection, host_id)
    stood = None if is_new else listing_of(connection, record)
    still = devices_still_there(connection, host_id, facts.unlisted)
    plain = msgspec.to_builtins(facts) | {"unlisted": still}
    host_facts_set(connection, host_id, plain, now)
    merged = devices_merge(
        connection,
        host_id,
        [_device_row(fact) for fact in facts.devices],
        now,
        accept_exchanged=site.config.lanekeeper.accept_exchanged_devices,
    )
    vfs = {pf.address: pf.vfs for pf in facts.pfs if pf.vfs is not None}
    cards_tell(connection, {merged.ids[at]: n for at, n in vfs.items() if at in merged.ids})
    if stood is not None:
        check_partition(connection, record, stood, facts.device_spec)
    if merged.moved:
        ports_follow(connection, [one.id for one in merged.moved], now)
    provide(connection, record, facts, merged.ids, now)
    if not record.frozen_reason:
        review_host(connection, host_id, {}, site.config.health.rules(), now)
    inventory_ensure(connection, host_id, host_stocks(site.config.compute, facts), now)
    cell_stocks_ensure(connection, host_id, cell_stocks(site.config.compute, facts))
    changed = not is_new and devices_in_orders(connection, host_id) != before
    if changed:
        desired_touch(connection, host_id)
    return _Taken(record.name, merged, changed)


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
