"""Servers that are there: who sees them, what is asked of them, what their hosts report."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa

from lanekeeper.control.caller import Caller
from lanekeeper.control.compute.server_port import set_port_states, settle_ports
from lanekeeper.control.compute.server_release import release_server
from lanekeeper.control.site import Site
from lanekeeper.domain.compute.event import ServerEvent
from lanekeeper.domain.compute.server import (
    Report,
    TaskState,
    VmState,
    Wanted,
    after_report,
    is_gone,
)
from lanekeeper.domain.errors import Conflict, NotFound
from lanekeeper.protocol import ServerState
from lanekeeper.store.compute.server import (
    ServerRecord,
    event_failed,
    event_insert,
    server_change,
    server_get,
    server_update,
)
from lanekeeper.store.host.desired import desired_touch, host_lock

T = TypeVar("T")

FAULT_CODE = 500
"""What a fault carries that is nobody's mistake in the request; as in Nova."""


HOST_FAILED = "The host of this server could not do what was asked of it; an operator sees why."
"""What members are told of a host's problem: its own words name devices and paths there."""


def fault(message: str, now: datetime, *, told: str = HOST_FAILED) -> dict[str, Any]:
    """What a server in ERROR shows of its reason: *message* to admins, *told* to members."""
    return {"code": FAULT_CODE, "message": message, "told": told, "created": now.isoformat()}


def server_seen(
    connection: sa.Connection, caller: Caller, server_id: str, *, lock: bool = False
) -> ServerRecord:
    """The server if this caller may see it; *lock* keeps its row until the transaction ends.

    Raises:
        NotFound: there is none, or it is another project's.
    """
    found = server_get(connection, server_id, lock=lock)
    if found is None or not caller.sees(found.project_id):
        raise NotFound(f"Instance {server_id[:80]} could not be found.")
    return found


def server_held(connection: sa.Connection, caller: Caller, server_id: str) -> ServerRecord:
    """The server, for a transaction that changes it: its host locked, so that no report meets it.

    Raises:
        NotFound: there is none, or it is another project's.
    """
    seen = server_seen(connection, caller, server_id)  # a server never moves
    if seen.host_id is not None:
        host_lock(connection, seen.host_id)
    return server_seen(connection, caller, server_id, lock=True)


def update_server(
    site: Site, caller: Caller, server_id: str, changes: Mapping[str, Any]
) -> ServerRecord:
    """Change what people call a server and note about it; *changes* are columns of its row.

    Raises:
        NotFound: there is none, or it is another project's.
        Conflict: it is locked.
    """
    now = site.clock()

    def work(connection: sa.Connection) -> ServerRecord:
        unlocked(server_held(connection, caller, server_id), caller)
        server_update(connection, server_id, **changes, updated_at=now)
        return server_seen(connection, caller, server_id)

    return site.database.write(work)


def change_metadata(
    site: Site, caller: Caller, server_id: str, change: Callable[[dict[str, str]], dict[str, str]]
) -> Mapping[str, str]:
    """Replace a server's metadata by what *change* makes of it, and return that.

    Raises:
        NotFound: there is no such server; also what *change* raises.
        Conflict: it is locked.
    """
    return _change(site, caller, server_id, "metadata", lambda old: change(dict(old)))


def change_tags(
    site: Site, caller: Caller, server_id: str, change: Callable[[list[str]], list[str]]
) -> Sequence[str]:
    """Replace a server's tags by what *change* makes of them, and return that.

    Raises:
        NotFound: there is no such server; also what *change* raises.
        Conflict: it is locked.
    """
    return _change(site, caller, server_id, "tags", lambda old: change(list(old)))


def _change(
    site: Site, caller: Caller, server_id: str, column: str, change: Callable[[Any], T]
) -> T:
    now = site.clock()

    def work(connection: sa.Connection) -> T:
        record = unlocked(server_held(connection, caller, server_id), caller)
        changed = change(getattr(record, column))
        server_update(connection, server_id, **{column: changed}, updated_at=now)
        return changed

    return site.database.write(work)


def delete_server(site: Site, caller: Caller, server_id: str) -> None:
    """Ask for a server's end: one without a host is gone at once, others once their host says so.

    Asked again, nothing happens.

    Raises:
        NotFound: there is none, or it is another project's.
        Conflict: it is locked.
    """
    now = site.clock()

    def work(connection: sa.Connection) -> str | None:
        record = unlocked(server_held(connection, caller, server_id), caller)
        return end_server(connection, caller, record, now)

    _ring(site, site.database.write(work))


def end_server(
    connection: sa.Connection, caller: Caller, record: ServerRecord, now: datetime
) -> str | None:
    """Begin a server's end, the only way there is; one whose end has begun is left to it.

    A host may have the guest already, so it gets a tombstone; what never had a host is gone at
    once. Returns the host whose bell is to be rung after the commit.
    """
    if record.wanted == Wanted.ABSENT:
        return None
    event_insert(connection, event_of(record, caller, "delete", now))
    if record.host_id is None:
        release_server(connection, record, now)
        return None
    want(connection, record, now, wanted=Wanted.ABSENT, task_state=TaskState.DELETING)
    return record.host_id


def start_server(site: Site, caller: Caller, server_id: str) -> None:
    """Start a stopped server.

    Raises:
        NotFound: there is none, or it is another project's.
        Conflict: it is not stopped, something is being done with it, or it is locked.
    """
    _act(site, caller, server_id, _START)


def stop_server(site: Site, caller: Caller, server_id: str) -> None:
    """Shut a server down.

    Raises:
        NotFound: there is none, or it is another project's.
        Conflict: it does not run, something is being done with it, or it is locked.
    """
    _act(site, caller, server_id, _STOP)


def pause_server(site: Site, caller: Caller, server_id: str) -> None:
    """Have a server's CPUs stand still; its memory and its devices stay with it.

    Raises:
        NotFound: there is none, or it is another project's.
        Conflict: it does not run, something is being done with it, or it is locked.
    """
    _act(site, caller, server_id, _PAUSE)


def unpause_server(site: Site, caller: Caller, server_id: str) -> None:
    """Have a paused server go on.

    Raises:
        NotFound: there is none, or it is another project's.
        Conflict: it is not paused, something is being done with it, or it is locked.
    """
    _act(site, caller, server_id, _UNPAUSE)


def reboot_server(site: Site, caller: Caller, server_id: str, *, hard: bool) -> None:
    """Reboot a server; a hard one also brings back a stopped or a broken one.

    Raises:
        NotFound: there is none, or it is another project's.
        Conflict: it is in no state for that, something is being done with it, or it is locked.
    """
    _act(site, caller, server_id, _HARD_REBOOT if hard else _SOFT_REBOOT)


def reset_state(site: Site, caller: Caller, server_id: str, *, active: bool) -> None:
    """Call a server active or an error, whatever it is; its host is told nothing.

    What is wanted of it stays: one that is being deleted will be gone all the same.

    Raises:
        NotFound: there is none.
    """
    now = site.clock()

    def work(connection: sa.Connection) -> None:
        record = server_held(connection, caller, server_id)
        state = VmState.ACTIVE if active else VmState.ERROR
        cleared = {"fault": None} if active else {}
        server_update(
            connection, server_id, vm_state=state, task_state=None, updated_at=now, **cleared
        )
        event_insert(connection, event_of(record, caller, "reset_state", now))

    site.database.write(work)


def lock_server(
    site: Site, caller: Caller, server_id: str, *, locked: bool, reason: str | None = None
) -> None:
    """Lock a server against changes by all but admins, or unlock it.

    Raises:
        NotFound: there is none, or it is another project's.
    """
    now = site.clock()

    def work(connection: sa.Connection) -> None:
        record = server_held(connection, caller, server_id)
        server_update(connection, server_id, locked=locked, locked_reason=reason, updated_at=now)
        action = "lock" if locked else "unlock"
        event_insert(connection, event_of(record, caller, action, now))

    site.database.write(work)


def guest_reported(
    connection: sa.Connection, host_id: str, guest: ServerState, now: datetime
) -> bool:
    """Take over what has become of one guest; whether other things are wanted of the host now.

    A guest that this host should not have, or that nobody knows, is left alone: absence is never
    an order, and neither is a guess.
    """
    record = server_get(connection, guest.id)
    if record is None or record.host_id != host_id:
        return False
    report = Report(
        power=guest.power,
        generation=guest.generation,
        problem=guest.problem,
        given_up=guest.given_up,
    )
    if is_gone(record.life, report):
        release_server(connection, record, now)
        return True
    has_let_go = settle_ports(connection, record, guest, now)
    life = after_report(record.life, report)
    if life == record.life:
        return has_let_go
    values: dict[str, Any] = {
        "vm_state": life.vm_state,
        "task_state": life.task_state,
        "power_state": life.power_state,
        "wanted": life.wanted,
        "generation": life.generation,
        "reboots": life.reboots,
        "fault": fault(life.problem, now) if life.problem else None,
        "updated_at": now,
    }
    if (
        life.vm_state in (VmState.ACTIVE, VmState.PAUSED, VmState.STOPPED)
        and record.launched_at is None
    ):
        values["launched_at"] = now
    if not server_change(connection, record.id, record.generation, **values):
        return has_let_go  # asked of otherwise meanwhile; the host reports again
    if life.problem and life.problem != record.life.problem:
        event_failed(connection, record.id, life.problem)
    if life.vm_state != VmState.BUILDING:
        running = life.vm_state in (VmState.ACTIVE, VmState.PAUSED)
        set_port_states(connection, record, guest, running=running, now=now)
    return has_let_go or (life.generation, life.reboots) != (record.generation, record.reboots)


def event_of(
    record: ServerRecord, caller: Caller, action: str, now: datetime, **more: Any
) -> ServerEvent:
    """The note that *caller* asked for *action*."""
    return ServerEvent(
        server_id=record.id,
        action=action,
        at=now,
        request_id=caller.request_id,
        project_id=record.project_id,
        user_id=caller.user_id,
        **more,
    )


@dataclass(frozen=True, slots=True)
class _Action:
    """Something that can be asked of a server: in which states, and what is wanted then."""

    name: str
    allowed: tuple[VmState, ...]
    wanted: Wanted
    task_state: TaskState

    @property
    def reboots(self) -> int:
        return int(self.name == "reboot")


_START = _Action("start", (VmState.STOPPED,), Wanted.RUNNING, TaskState.POWERING_ON)
_STOP = _Action("stop", (VmState.ACTIVE, VmState.ERROR), Wanted.STOPPED, TaskState.POWERING_OFF)
_PAUSE = _Action("pause", (VmState.ACTIVE,), Wanted.PAUSED, TaskState.PAUSING)
_UNPAUSE = _Action("unpause", (VmState.PAUSED,), Wanted.RUNNING, TaskState.UNPAUSING)
_SOFT_REBOOT = _Action("reboot", (VmState.ACTIVE,), Wanted.RUNNING, TaskState.REBOOTING)
_HARD_REBOOT = _Action(
    "reboot",
    (VmState.ACTIVE, VmState.PAUSED, VmState.STOPPED, VmState.ERROR),
    Wanted.RUNNING,
    TaskState.REBOOTING_HARD,
)


def _act(site: Site, caller: Caller, server_id: str, action: _Action) -> None:
    now = site.clock()

    def work(connection: sa.Connection) -> str:
        record = unlocked(server_held(connection, caller, server_id), caller)
        ready(record, action.name, action.allowed)
        event_insert(connection, event_of(record, caller, action.name, now))
        want(
            connection,
            record,
            now,
            wanted=action.wanted,
            task_state=action.task_state,
            reboots=record.reboots + action.reboots,
        )
        assert record.host_id is not None, "what can be acted on has a host"
        return record.host_id

    _ring(site, site.database.write(work))


def ready(record: ServerRecord, action: str, allowed: Collection[VmState]) -> None:
    """Pass a server of which *action* can be asked now.

    Raises:
        Conflict: it is in no state for that, or something is being done with it.
    """
    if record.wanted == Wanted.ABSENT:
        raise Conflict(f"Cannot '{action}' instance {record.id}: it is being deleted")
    if record.task_state is not None:
        raise Conflict(
            f"Cannot '{action}' instance {record.id} while it is in task_state {record.task_state}"
        )
    if record.vm_state not in allowed or record.host_id is None:
        where = f"vm_state {record.vm_state}" if record.host_id else "no place: it has no host"
        raise Conflict(f"Cannot '{action}' instance {record.id} while it is in {where}")


def unlocked(record: ServerRecord, caller: Caller) -> ServerRecord:
    """Pass a server that *caller* may change. Raises Conflict: it is locked."""
    if record.locked and not caller.is_admin:
        raise Conflict(f"Instance {record.id} is locked")
    return record


def want(connection: sa.Connection, record: ServerRecord, now: datetime, **values: Any) -> None:
    """Change what the host is to make of the server, if nobody else did meanwhile."""
    changed = server_change(
        connection,
        record.id,
        record.generation,
        generation=record.generation + 1,
        updated_at=now,
        **values,
    )
    if not changed:
        raise Conflict(f"Instance {record.id} has changed meanwhile; look again")
    assert record.host_id is not None, "only a host can be told something"
    desired_touch(connection, record.host_id)


def _ring(site: Site, host_id: str | None) -> None:
    if host_id is not None:
        site.bells.ring(host_id)
