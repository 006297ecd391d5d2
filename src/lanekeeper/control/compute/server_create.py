"""Creating servers: schedule, claim and bind before the answer; the database decides races."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

import sqlalchemy as sa

from lanekeeper.control.caller import Caller
from lanekeeper.control.compute.filter_choice import filters_now
from lanekeeper.control.compute.guest import images_of
from lanekeeper.control.compute.quota import check_quota, within_quota
from lanekeeper.control.compute.server import end_server, event_of, fault
from lanekeeper.control.compute.server_draft import draft_server, requests_of
from lanekeeper.control.compute.server_order import NewServer, Order, check_order
from lanekeeper.control.compute.server_port import (
    bind_port,
    check_promised,
    port_of,
    promised_amounts,
)
from lanekeeper.control.image.image import hold_images
from lanekeeper.control.metrics import CLAIMS, LOST_RACES, REFUSALS
from lanekeeper.control.network.quota import ports_within_quota
from lanekeeper.control.site import Site
from lanekeeper.crash import reached
from lanekeeper.domain.compute.event import ServerEvent
from lanekeeper.domain.compute.quota import asked_by
from lanekeeper.domain.compute.server import VmState
from lanekeeper.domain.errors import Conflict, Error, NoCapacity, OverQuota
from lanekeeper.domain.scheduling.filter import claimable
from lanekeeper.domain.scheduling.member_view import member_rejections
from lanekeeper.domain.scheduling.selection import (
    Choice,
    Rejection,
    Selection,
    explain_rejections,
    select_hosts,
)
from lanekeeper.domain.scheduling.server_filter import located
from lanekeeper.domain.topology.fit import Seat
from lanekeeper.store.compute.capacity import device_facts
from lanekeeper.store.compute.race import is_lost_race
from lanekeeper.store.compute.server import ServerRecord, event_insert, server_get, server_insert
from lanekeeper.store.compute.server_group import APART, server_group_hold, server_group_join
from lanekeeper.store.device.life import TAKEN, Pick, claim_insert
from lanekeeper.store.host.desired import UNUSABLE, desired_touch, host_lock, host_lock_usable
from lanekeeper.store.placement.allocation import FULL, amounts_take
from lanekeeper.store.placement.consumer import consumer_put
from lanekeeper.store.topology.claim import CELL_FULL, cells_claim

_RACES = frozenset({TAKEN, FULL, CELL_FULL, UNUSABLE, APART})
_TOLD = 100
"""Hosts up to which a server that found a place keeps, too, why it is on no other."""
_Attempt = tuple[str, int, tuple[str, ...], tuple[tuple[int, tuple[int, ...]], ...]]


def create_servers(site: Site, caller: Caller, asked: NewServer) -> list[ServerRecord]:
    """Create as many servers as are asked for; those that fit nowhere are in ERROR and say why.

    Raises:
        Invalid, Forbidden, Conflict, NotOffered: the request is wrong; see ``check_order``.
        OverQuota: the project may not have *min_count* more.
        NoCapacity: ``[lanekeeper] refuse_unschedulable`` is set and fewer than *min_count* fit.

    After an error none is left: those that a host was told of already get a tombstone.
    """
    with site.database.read() as connection:
        order = check_order(connection, site, caller, asked)
        least = asked_by(order.request, asked.min_count)
        check_quota(connection, site, order.project_id, least)
    reservation_id = f"r-{uuid.uuid4().hex[:8]}"
    made: list[ServerRecord] = []
    for index in range(asked.max_count):
        try:
            made.append(_create(site, caller, order, reservation_id, index))
        except Error as error:
            if isinstance(error, NoCapacity | OverQuota) and len(made) >= asked.min_count:
                break
            _take_back(site, caller, made)
            raise
    return made


def _create(
    site: Site, caller: Caller, order: Order, reservation_id: str, index: int
) -> ServerRecord:
    """Place one server, or make it an ERROR.

    A lost race means that somebody else has got further, so it is tried again for as long as
    anything looks free. An attempt that fails although nothing has changed since the last one
    like it shows rows that contradict each other: that host is left out then. Any other fault of
    the database is no race, and comes out.
    """
    draft = draft_server(site, caller, order, reservation_id, index)
    tried: set[_Attempt] = set()
    left_out: set[str] = set()
    while True:
        selection = _select(site, order, left_out)
        if not selection.choices:
            return _unplaced(site, caller, order, draft, selection)
        choice = selection.choices[0]
        attempt = _attempt_of(choice)
        if attempt in tried:
            left_out.add(choice.host.name)
            continue
        tried.add(attempt)
        placing = _Placing(
            site=site,
            order=order,
            caller=caller,
            draft=draft,
            choice=choice,
            rejections=selection.rejections,
            now=site.clock(),
        )
        try:
            reached("controller.claim.before")
            placed = site.database.write(partial(_take, placing=placing))
            reached("controller.claim.after")
        except Conflict as error:
            if error.code not in _RACES:
                raise
            LOST_RACES.inc()
        except sa.exc.IntegrityError as error:
            if not is_lost_race(error):
                raise
            LOST_RACES.inc()
        else:
            CLAIMS.inc()
            site.bells.ring(choice.host.id)
            return placed


def _select(site: Site, order: Order, left_out: Collection[str]) -> Selection:
    filters, fleet = filters_now(site), site.hosts()
    if left_out:
        filters = (claimable(left_out), *filters)
    return select_hosts(
        located(order.request, fleet),
        fleet,
        filters,
        multipliers=site.config.scheduler.multipliers,
        whole=len(fleet) <= _TOLD,
    )


def _attempt_of(choice: Choice) -> _Attempt:
    devices = tuple(sorted(given.device.id for given in choice.given))
    return choice.host.id, choice.host.generation, devices, tuple(map(_key, choice.seats))


def _key(seat: Seat) -> tuple[int, tuple[int, ...]]:
    return seat.host_cell, seat.cpus


@dataclass(frozen=True, slots=True, kw_only=True)
class _Placing:
    """One attempt to give a server its place."""

    site: Site
    order: Order
    caller: Caller
    draft: ServerRecord
    choice: Choice
    rejections: tuple[Rejection, ...]
    now: datetime


def _take(connection: sa.Connection, placing: _Placing) -> ServerRecord:
    """Take everything on the chosen host: amounts, cells, devices, ports, then the server's row.

    Raises:
        Conflict: somebody else was faster, the host was disabled or frozen since it was chosen, or
            the image was deleted; the transaction must be left.
        OverQuota: the project would have more than it may.
    """
    host_lock_usable(connection, placing.choice.host.id)
    project_id = placing.draft.project_id
    with (
        within_quota(connection, placing.site, project_id),
        ports_within_quota(connection, placing.site, project_id),
    ):
        return _take_all(connection, placing)


def _take_all(connection: sa.Connection, placing: _Placing) -> ServerRecord:
    draft, host, order = placing.draft, placing.choice.host, placing.order
    group = order.request.group
    if group is not None:
        server_group_hold(connection, group.id, host.id)
    hold_images(connection, images_of(draft))
    consumer_put(
        connection,
        draft.id,
        project_id=draft.project_id,
        user_id=draft.user_id,
        kind="INSTANCE",
        now=placing.now,
    )
    amounts_take(
        connection,
        draft.id,
        {(host.id, name): amount for name, amount in order.request.amounts.items()}
        | promised_amounts(order.request.needs, placing.choice.given),
    )
    cells_claim(connection, draft.id, host.id, placing.choice.seats)
    ports = [
        port_of(connection, nic, order.project_id, order.groups, placing.now) for nic in order.nics
    ]
    check_promised(connection, dict(zip([port.id for port in ports], order.nics, strict=True)))
    request_ids = {
        nic.need.id: port.id
        for nic, port in zip(order.nics, ports, strict=True)
        if nic.need is not None
    }
    device_by_request = _claim_devices(connection, placing, request_ids)
    for port in ports:
        bind_port(
            connection,
            port,
            device_by_request.get(port.id),
            host,
            server_id=draft.id,
            now=placing.now,
        )
    placed = replace(
        draft,
        host_id=host.id,
        host_name=host.name,
        availability_zone=host.zone,
        port_ids=tuple(port.id for port in ports),
        device_requests=requests_of(order, request_ids),
    )
    server_insert(connection, placed)
    if group is not None:
        server_group_join(connection, group.id, placed.id)
    event_insert(connection, _created(placing, placed))
    desired_touch(connection, host.id)
    reached("controller.claim.written")
    return placed


def _claim_devices(
    connection: sa.Connection, placing: _Placing, request_ids: Mapping[str, str]
) -> dict[str, Mapping[str, Any]]:
    """Claim the chosen devices; gives what is known of each, by the request that it serves.

    Args:
        connection: in the transaction that takes the place.
        placing: says which they are.
        request_ids: of a port's need, the port; other needs are their own requests.
    """
    aliases = {need.id: need.request.alias_name for need in placing.order.request.needs}
    picks = [
        Pick(
            given.device.id,
            request_ids.get(given.need_id, given.need_id),
            given.index,
            aliases.get(given.need_id),
        )
        for given in placing.choice.given
    ]
    claim_insert(connection, placing.draft.id, picks, placing.now)
    facts = device_facts(connection, [pick.device_id for pick in picks])
    return {pick.request_id: facts[pick.device_id] for pick in picks}


def _created(placing: _Placing, placed: ServerRecord) -> ServerEvent:
    detail = {
        "host": placing.choice.host.name,
        "devices": [given.device.address for given in placing.choice.given],
        "cells": [seat.host_cell for seat in placing.choice.seats],
        "rejections": plain(placing.rejections),
    }
    return event_of(placed, placing.caller, "create", placing.now, detail=detail)


def _unplaced(
    site: Site, caller: Caller, order: Order, draft: ServerRecord, selection: Selection
) -> ServerRecord:
    """Make the server an ERROR that says which constraint removed which hosts.

    Raises:
        NoCapacity: the operator wants that refused instead.
        OverQuota: such a server, too, is one, and the project may have no more.
    """
    for rejection in selection.rejections:
        REFUSALS.labels(rejection.verdict.code).inc(rejection.count)
    text = selection.explain()
    told = explain_rejections(member_rejections(selection.rejections))
    if site.config.lanekeeper.refuse_unschedulable:
        raise NoCapacity(text if caller.is_admin else told)
    now = site.clock()
    why = fault(text, now, told=told)
    failed = replace(draft, vm_state=VmState.ERROR, task_state=None, fault=why)
    event = event_of(
        failed, caller, "create", now, message=text,
        detail={"rejections": plain(selection.rejections)},
    )  # fmt: skip

    def work(connection: sa.Connection) -> ServerRecord:
        with within_quota(connection, site, failed.project_id):
            server_insert(connection, failed)
        if order.request.group is not None:
            server_group_join(connection, order.request.group.id, failed.id)
        event_insert(connection, event)
        return failed

    return site.database.write(work)


def _take_back(site: Site, caller: Caller, made: Sequence[ServerRecord]) -> None:
    """End servers that no client has heard of yet."""
    now = site.clock()
    hosts = sorted({record.host_id for record in made if record.host_id is not None})

    def work(connection: sa.Connection) -> None:
        for host_id in hosts:
            host_lock(connection, host_id)
        for record in made:
            # Read again: its host may have reported meanwhile, or an admin have ended it.
            present = server_get(connection, record.id, lock=True)
            if present is not None:
                end_server(connection, caller, present, now)

    site.database.write(work)
    for host_id in hosts:
        site.bells.ring(host_id)


def plain(rejections: Sequence[Rejection]) -> list[dict[str, Any]]:
    """Rejections as plain data, for the database and for clients."""
    return [
        {
            "hosts": list(rejection.hosts),
            "count": rejection.count,
            "filter": rejection.verdict.code,
            "reason": rejection.verdict.reason,
            "remedy": rejection.verdict.remedy,
            "facts": dict(rejection.verdict.facts),
        }
        for rejection in rejections
    ]
