"""What the agent says of its host's guests. Pure.

A server is ``failed`` once the agent has given its order up: then ``generation`` is that of the
order. While it still tries, the guest is told as it is, with the problem of the last attempt and
the generation that was obeyed before, 0 for none. A guest that could not be stopped or rebooted
runs on, and is told so: then ``given_up`` is the generation of the order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import msgspec

from lanekeeper.agent.ledger import Record
from lanekeeper.agent.plan import Observed
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.hypervisor.driver import Guest
from lanekeeper.protocol import (
    CleaningState,
    Desired,
    HostState,
    HostVfs,
    ServerState,
    ServerWanted,
    VfFact,
    VfMend,
    VfReading,
)


@dataclass(frozen=True, slots=True)
class Trouble:
    """What went wrong of what is wanted of one server or device now."""

    problem: str
    given_up: bool


def troubles_of(records: Iterable[Record]) -> dict[str, Trouble]:
    """Gather what failed of the tasks that are to be done, by the id of whom they concern."""
    found: dict[str, Trouble] = {}
    for record in records:
        if record.failures:
            subject, so_far = record.task.subject, found.get(record.task.subject)
            problem = f"{so_far.problem}; {record.problem}" if so_far else record.problem
            found[subject] = Trouble(problem, record.given_up or bool(so_far and so_far.given_up))
    return found


def report(
    desired: Desired | None,
    observed: Observed,
    *,
    troubles: Mapping[str, Trouble],
    cleaned: Mapping[str, CleaningState],
    busy: frozenset[str],
    before: HostState,
    memos: Mapping[str, str] | None = None,
) -> HostState:
    """Tell of every guest, of every tombstone that is done, and of the cleaning that is asked for.

    *troubles* are those with what is wanted now. Servers that are being worked on (*busy*) are told
    as they were *before*: what they go through meanwhile is nobody's business. *memos*, by server,
    are given back by a frozen host. ``obeyed`` is the caller's to fill in.
    """
    wanted = {server.id: server for server in desired.servers} if desired else {}
    absent = frozenset(desired.absent) if desired else frozenset()
    guests = {guest.id: guest for guest in observed.inventory.guests}
    asked = {one.device.device_id: one.round for one in desired.cleaning} if desired else {}
    last = {state.id: state for state in before.servers}
    servers = [
        *(last[server_id] for server_id in busy if server_id in last),
        *(
            _server(guest, wanted.get(guest.id), troubles.get(guest.id))
            for guest in guests.values()
            if guest.id not in busy
        ),
        *_missing(wanted, guests, troubles, busy | absent),
        *_gone(absent, observed, busy, troubles),
    ]
    return HostState(
        servers=[
            msgspec.structs.replace(state, memo=(memos or {}).get(state.id, ""))
            for state in sorted(servers, key=lambda state: state.id)
        ],
        cleaned=[
            state
            for device_id, state in sorted(cleaned.items())
            if asked.get(device_id) == state.round
        ],
        strangers=sorted(stranger.name for stranger in observed.inventory.strangers),
    )


def vfs_told(
    desired: Desired,
    observed: Observed,
    mends: Mapping[str, VfMend],
    held: Mapping[str, str],
) -> HostVfs:
    """Tell what the VFs of running guests were found set to; of what cannot be read, nothing.

    *mends* are the last ones, and *held* why links are held down, by port.
    """
    running = {guest.id for guest in observed.inventory.guests if guest.power == "running"}
    return HostVfs(
        vfs=[
            VfFact(
                port_id=nic.port_id,
                address=nic.device.address,
                found=VfReading.of(found),
                unknown=sorted(observed.unsupported.get(address, ())),
                mended=mends.get(nic.port_id),
                held_down=held.get(nic.port_id, ""),
            )
            for server in sorted(desired.servers, key=lambda server: server.id)
            for nic in server.nics
            if server.id in running
            and (found := observed.vf_settings.get(address := PciAddress.parse(nic.device.address)))
        ]
    )


def _server(guest: Guest, wanted: ServerWanted | None, trouble: Trouble | None) -> ServerState:
    given_up = wanted.generation if wanted and trouble and trouble.given_up else 0
    has_failed = given_up > 0 and not guest.is_active
    return ServerState(
        id=guest.id,
        power="failed" if has_failed else guest.power,
        generation=given_up if has_failed else guest.generation,
        problem=trouble.problem if trouble else "",
        given_up=given_up,
        devices=[str(held.address) for held in guest.devices] if guest.is_active else [],
        taps=list(guest.taps) if guest.is_active else [],
    )


def _missing(
    wanted: Mapping[str, ServerWanted],
    guests: Mapping[str, Guest],
    troubles: Mapping[str, Trouble],
    others: frozenset[str],
) -> Iterator[ServerState]:
    """Tell of servers that never came to be a guest, once something is known of why."""
    for server_id, server in wanted.items():
        trouble = troubles.get(server_id)
        if server_id in guests or server_id in others or trouble is None:
            continue
        yield ServerState(
            id=server_id,
            power="failed" if trouble.given_up else "stopped",
            generation=server.generation if trouble.given_up else 0,
            problem=trouble.problem,
            given_up=server.generation if trouble.given_up else 0,
        )


def _gone(
    absent: frozenset[str],
    observed: Observed,
    busy: frozenset[str],
    troubles: Mapping[str, Trouble],
) -> Iterator[ServerState]:
    here = observed.files | {guest.id for guest in observed.inventory.guests}
    for server_id in absent - busy:
        if server_id not in here:
            yield ServerState(id=server_id, power="absent")
        elif observed.inventory.guest(server_id) is None and server_id in troubles:
            problem = troubles[server_id].problem
            yield ServerState(id=server_id, power="stopped", problem=problem)
