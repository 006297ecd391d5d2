"""Reading a frozen host back into a database that is older than the host.

A host is frozen when its agent has obeyed what this database never ordered: a backup was restored.
While it is frozen the host is the truth of what runs there, and the rows give way to it:

* a guest that both know stays, in the power and with the devices that it has;
* a guest that only the host knows is made a server again, from the memo that the agent keeps with
  each order; where that is not enough it is listed, its devices are set aside, and the host takes
  no new servers until somebody enables it, since nothing counts what such a guest takes of it;
* a server that only the rows know has lost its guest: it becomes an ERROR, its devices are cleaned.

Then the host's next order gets a generation above any that it has seen, and the host obeys again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from lanekeeper.control.caller import Caller
from lanekeeper.control.compute.server import event_of, fault
from lanekeeper.control.compute.server_release import release_server
from lanekeeper.control.host.heartbeat import is_alive
from lanekeeper.control.host.host import parse_stamp
from lanekeeper.control.host.standing import why_silent
from lanekeeper.control.network.port_bandwidth import settle_bandwidth
from lanekeeper.control.site import Site
from lanekeeper.domain import typed
from lanekeeper.domain.compute.server import PowerState, VmState, Wanted
from lanekeeper.domain.errors import Conflict
from lanekeeper.domain.network.port import VifType
from lanekeeper.domain.network.profile import profile_of
from lanekeeper.domain.topology.fit import Seat
from lanekeeper.protocol import HostState, ServerState
from lanekeeper.store.compute.capacity import device_facts, host_enabled_set
from lanekeeper.store.compute.memo import memo_port_put, memo_server_insert
from lanekeeper.store.compute.server import (
    ServerRecord,
    event_insert,
    server_get,
    server_insert,
    server_update,
    servers_of_host,
)
from lanekeeper.store.device.device import claims_of
from lanekeeper.store.device.life import Pick, claim_adopt, device_set_aside
from lanekeeper.store.device.listing import DeviceFilter, device_rows
from lanekeeper.store.host.desired import desired_adopt, desired_touch, host_lock
from lanekeeper.store.host.host import HostRecord, frozen_report_get, host_frozen_set, host_get
from lanekeeper.store.network.port import ports_of_server
from lanekeeper.store.placement.allocation import allocation_take
from lanekeeper.store.placement.consumer import consumer_put
from lanekeeper.store.topology.claim import cells_claim


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """A guest that could not be made a server again; *devices* are set aside with it."""

    id: str
    reason: str
    devices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """What became of one host's servers, by id.

    Attributes:
        kept: known to both, as the host has them.
        made: made servers again from what their host kept of them.
        lost: without a guest, in ERROR now; or gone, where their end had been ordered.
        unknown: what an operator has to look at.
    """

    host_name: str
    kept: tuple[str, ...] = ()
    made: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    unknown: tuple[Unknown, ...] = field(default=())


class _Rehearsed(Exception):
    """Carries the result out of a transaction that is to leave nothing behind."""

    def __init__(self, adoption: Adoption) -> None:
        super().__init__()
        self.adoption = adoption


def adopt_host(site: Site, caller: Caller, host_id: str, *, dry_run: bool = False) -> Adoption:
    """Read a frozen host back into the database, all of it or nothing, and let it obey again.

    *dry_run* says what would be done and does nothing.

    Raises:
        NotFound: no such host.
        Conflict: it is not frozen, or has not told what it has since it was.
    """

    def work(connection: sa.Connection) -> Adoption:
        host_lock(connection, host_id)
        record = host_get(connection, host_id)
        told = _told(site, connection, record)
        adoption = _Reading(connection, record, caller, site.clock()).read_back(told)
        if dry_run:
            raise _Rehearsed(adoption)
        lost = record.frozen_after
        host_frozen_set(connection, host_id, "")
        if lost:
            desired_adopt(connection, host_id, *parse_stamp(lost))
        if adoption.unknown:
            host_enabled_set(connection, host_id, enabled=False, reason=_uncounted(adoption))
        desired_touch(connection, host_id)
        return adoption

    try:
        adoption = site.database.write(work)
    except _Rehearsed as rehearsed:
        return rehearsed.adoption
    site.bells.ring(host_id)
    return adoption


def _uncounted(adoption: Adoption) -> str:
    guests = ", ".join(one.id for one in adoption.unknown)
    return (
        "guests that could not be read back run here, and nothing counts their CPUs and memory: "
        f"{guests}; look at them, then enable the host"
    )


def _told(site: Site, connection: sa.Connection, record: HostRecord) -> HostState:
    if not record.frozen_reason:
        raise Conflict(f"host {record.name} is not frozen")
    plain = frozen_report_get(connection, record.id)
    if plain is None or not is_alive(
        record.seen_at, site.clock(), site.config.lanekeeper.agent_down_s
    ):
        raise why_silent(record)
    return typed.convert(plain, HostState)


@dataclass(slots=True)
class _Reading:
    """One host being read back, in one transaction that has its lock."""

    connection: sa.Connection
    host: HostRecord
    caller: Caller
    now: datetime
    devices: dict[str, str] = field(default_factory=dict)

    def read_back(self, told: HostState) -> Adoption:
        self.devices = {
            row["address"]: row["id"]
            for row in device_rows(self.connection, DeviceFilter(host_id=self.host.id))
            if row["present"]
        }
        guests = {guest.id: guest for guest in told.servers}
        known = {row.id: row for row in servers_of_host(self.connection, self.host.id)}
        # What is given back comes first: a guest that is made a server may hold it.
        lost = [key for key in known if self._is_gone(guests.get(key))]
        for key in lost:
            self._lose(known[key])
        kept, made, unknown = [], [], []
        for key, guest in sorted(guests.items()):
            if self._is_gone(guest):
                continue
            if key in known and self._agrees(known[key], guest):
                self._keep(known[key], guest)
                kept.append(key)
                continue
            problem = self._make(guest, known.get(key))
            if problem:
                unknown.append(self._set_aside(guest, problem))
            else:
                made.append(key)
        return Adoption(
            host_name=self.host.name,
            kept=tuple(kept),
            made=tuple(made),
            lost=tuple(sorted(lost)),
            unknown=tuple(unknown),
        )

    @staticmethod
    def _is_gone(guest: ServerState | None) -> bool:
        """A server that never came to be a guest is told, too: it failed, or it is absent."""
        return guest is None or guest.power in ("absent", "failed")

    def _agrees(self, record: ServerRecord, guest: ServerState) -> bool:
        """Whether rows and host name the same devices; a guest that is off names none."""
        rows = {row["address"] for row in claims_of(self.connection, record.id)}
        return guest.power in ("stopped", "crashed") or set(guest.devices) == rows

    def _lose(self, record: ServerRecord) -> None:
        """Take all from a server whose guest is not there; it stays as an ERROR that says so."""
        release_server(self.connection, record, self.now)
        if record.wanted == Wanted.ABSENT:
            return  # that was ordered
        message = (
            f"The database was set back to an older state, and host {self.host.name} does not have "
            "this server's guest: it was deleted or lost meanwhile"
        )
        left = replace(
            record,
            host_id=None,
            host_name=None,
            port_ids=(),
            vm_state=VmState.ERROR,
            task_state=None,
            power_state=PowerState.NOSTATE,
            fault=fault(message, self.now),
            launched_at=None,
            updated_at=self.now,
        )
        server_insert(self.connection, left)
        event_insert(
            self.connection, event_of(left, self.caller, "adopt", self.now, message=message)
        )

    def _keep(self, record: ServerRecord, guest: ServerState) -> None:
        """Call a server what its guest is; one whose end was ordered will still end."""
        server_update(
            self.connection,
            record.id,
            **({} if record.wanted == Wanted.ABSENT else _as_it_is(guest)),
            generation=max(record.generation, guest.generation),
            updated_at=self.now,
        )

    def _make(self, guest: ServerState, before: ServerRecord | None) -> str:
        """Make a guest a server again from its memo; why it cannot be, or nothing."""
        try:
            with self.connection.begin_nested():
                if before is not None:  # known with other devices: the host is right
                    release_server(self.connection, before, self.now, is_end=False)
                self._insert(guest, _memo_of(guest))
        except (Conflict, IntegrityError) as error:
            return str(error.orig if isinstance(error, IntegrityError) else error)
        except (KeyError, TypeError, ValueError) as error:
            return f"what its host keeps of it cannot be read: {error!r}"
        return ""

    def _insert(self, guest: ServerState, memo: Mapping[str, Any]) -> None:
        told, here = memo["server"], self.host
        if server_get(self.connection, guest.id) is not None:
            raise Conflict(f"server {guest.id} is another host's by the rows")
        aliases = {one["id"]: one.get("alias") for one in told.get("device_requests", ())}
        picks = [
            Pick(
                self._device(one["address"]),
                one["request_id"],
                one["index"],
                aliases.get(one["request_id"]),
            )
            for one in memo["claims"]
        ]
        addresses = {one["address"] for one in memo["claims"]}
        if guest.devices and set(guest.devices) != addresses:
            raise Conflict(
                f"it holds {', '.join(sorted(guest.devices))}, and was given "
                f"{', '.join(sorted(addresses)) or 'nothing'}"
            )
        consumer_put(
            self.connection,
            guest.id,
            project_id=told["project_id"],
            user_id=told["user_id"],
            kind="INSTANCE",
            now=self.now,
        )
        allocation_take(self.connection, guest.id, here.id, memo["amounts"])
        # A memo from before there were cells tells of none.
        seats = typed.convert(memo.get("seats", []), tuple[Seat, ...], str_keys=True)
        cells_claim(self.connection, guest.id, here.id, seats)
        claim_adopt(self.connection, guest.id, picks, self.now)
        facts = device_facts(self.connection, [pick.device_id for pick in picks])
        by_request = {pick.request_id: facts[pick.device_id] for pick in picks}
        for port in memo["ports"]:
            mine = [one for one in memo["addresses"] if one["port_id"] == port["id"]]
            profile = port["binding_profile"]
            if port["vif_type"] != VifType.OVS:
                profile = {**profile, **profile_of(by_request[port["id"]])}
            port_told = {**port, "binding_profile": profile, "device_id": guest.id}
            memo_port_put(self.connection, port_told, mine, self.now)
        settle_bandwidth(
            self.connection,
            ports_of_server(self.connection, guest.id),
            self.now,
            even_if_full=True,
        )
        memo_server_insert(
            self.connection,
            told,
            id=guest.id,
            host_id=here.id,
            generation=max(told["generation"], guest.generation),
            updated_at=self.now,
            **_as_it_is(guest),
        )
        record = server_get(self.connection, guest.id)
        assert record is not None, "it was just put back"
        event_insert(self.connection, event_of(record, self.caller, "adopt", self.now))

    def _device(self, address: str) -> str:
        if address not in self.devices:
            raise Conflict(f"its host does not tell of device {address}")
        return self.devices[address]

    def _set_aside(self, guest: ServerState, problem: str) -> Unknown:
        reason = f"guest {guest.id} has it, which this database does not know"
        aside = [
            address
            for address in guest.devices
            if address in self.devices
            and device_set_aside(self.connection, self.devices[address], reason, self.now)
        ]
        return Unknown(id=guest.id, reason=problem, devices=tuple(aside))


def _memo_of(guest: ServerState) -> dict[str, Any]:
    if not guest.memo:
        raise Conflict("its host keeps nothing of it but the guest itself")
    memo: dict[str, Any] = typed.decode(guest.memo.encode(), dict[str, Any])
    if memo["server"]["id"] != guest.id:
        raise Conflict(f"what its host keeps of it is of server {memo['server']['id']}")
    return memo


def _as_it_is(guest: ServerState) -> dict[str, Any]:
    """Columns of a server that is wanted as its guest is."""
    if guest.power == "running":
        power = PowerState.RUNNING
        state: tuple[VmState, Wanted] = (VmState.ACTIVE, Wanted.RUNNING)
    elif guest.power == "paused":
        power = PowerState.PAUSED
        state = (VmState.PAUSED, Wanted.PAUSED)
    else:
        power = PowerState.SHUTDOWN if guest.power == "stopped" else PowerState.CRASHED
        state = (VmState.STOPPED, Wanted.STOPPED)
    return {
        "vm_state": state[0],
        "wanted": state[1],
        "power_state": power,
        "task_state": None,
        "fault": None,
    }
