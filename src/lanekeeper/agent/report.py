"""What the agent says of its host's guests. Pure.

A server is ``failed`` once the agent has given its order up: then ``generation`` is that of the
order. While it still tries, the guest is told as it is, with the problem of the last attempt and
the generation that was obeyed before, 0 for none. A guest that could not be stopped or rebooted
runs on, and is told so: then ``given_up`` is the generation of the order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from lanekeeper.agent.attempts import Attempt
from lanekeeper.agent.plan import Observed
from lanekeeper.hypervisor.driver import Guest
from lanekeeper.protocol import CleaningState, Desired, HostState, ServerState, ServerWanted


def report(
    desired: Desired | None,
    observed: Observed,
    *,
    attempts: Mapping[str, Attempt],
    cleaned: Mapping[str, CleaningState],
    busy: frozenset[str],
    before: HostState,
    memos: Mapping[str, str] | None = None,
) -> HostState:
    """Tell of every guest, of every tombstone that is done, and of the cleaning that is asked for.

    *attempts* are those at what is wanted now. Servers that are being worked on (*busy*) are told
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
            _server(guest, wanted.get(guest.id), attempts.get(guest.id))
            for guest in guests.values()
            if guest.id not in busy
        ),
        *_missing(wanted, guests, attempts, busy | absent),
        *_gone(absent, observed, busy, attempts),
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


def _server(guest: Guest, wanted: ServerWanted | None, attempt: Attempt | None) -> ServerState:
    given_up = wanted.generation if wanted and attempt and attempt.given_up else 0
    has_failed = given_up > 0 and not guest.is_active
    return ServerState(
        id=guest.id,
        power="failed" if has_failed else guest.power,
        generation=given_up if has_failed else guest.generation,
        problem=attempt.problem if attempt else "",
        given_up=given_up,
        devices=[str(held.address) for held in guest.devices] if guest.is_active else [],
    )


def _missing(
    wanted: Mapping[str, ServerWanted],
    guests: Mapping[str, Guest],
    attempts: Mapping[str, Attempt],
    others: frozenset[str],
) -> Iterator[ServerState]:
    """Tell of servers that never came to be a guest, once something is known of why."""
    for server_id, server in wanted.items():
        attempt = attempts.get(server_id)
        if server_id in guests or server_id in others or attempt is None:
            continue
        yield ServerState(
            id=server_id,
            power="failed" if attempt.given_up else "stopped",
            generation=server.generation if attempt.given_up else 0,
            problem=attempt.problem,
            given_up=server.generation if attempt.given_up else 0,
        )


def _gone(
    absent: frozenset[str],
    observed: Observed,
    busy: frozenset[str],
    attempts: Mapping[str, Attempt],
) -> Iterator[ServerState]:
    here = observed.files | {guest.id for guest in observed.inventory.guests}
    for server_id in absent - busy:
        if server_id not in here:
            yield ServerState(id=server_id, power="absent")
        elif observed.inventory.guest(server_id) is None and server_id in attempts:
            problem = attempts[server_id].problem
            yield ServerState(id=server_id, power="stopped", problem=problem)
