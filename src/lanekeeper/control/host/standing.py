"""How hosts stand with their controller: heard or not, let in or refused, frozen, and why."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from lanekeeper.control.host.heartbeat import is_alive
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Conflict
from lanekeeper.store.host.host import HostRecord, hosts_told
from lanekeeper.store.placement.namesake import Apart, providers_apart


@dataclass(frozen=True, slots=True, kw_only=True)
class HostView:
    """A host as its operator sees it.

    Attributes:
        wanted, obeyed: ``G.MARK`` of the state ordered last, and of the one worked through last.
        problems: what its agent has set aside, and what of it has another name in Placement; one
            sentence each.
        revoked: its agent is let in no more.
        refused_at: when an agent that says to be this host's was refused, if none was heard since.
    """

    id: str
    name: str
    alive: bool
    enabled: bool
    frozen_reason: str
    seen_at: datetime | None
    agent_version: str
    problems: tuple[str, ...]
    wanted: str
    obeyed: str
    revoked: bool
    refused_at: datetime | None


def list_hosts(site: Site) -> list[HostView]:
    """Every host, by name."""
    now, down_after_s = site.clock(), site.config.lanekeeper.agent_down_s
    with site.database.read() as connection:
        records = hosts_told(connection)
        apart = defaultdict[str, list[str]](list)
        for one in providers_apart(connection):
            apart[one.host_id].append(_apart(one))
    return [
        HostView(
            id=record.id,
            name=record.name,
            alive=is_alive(record.seen_at, now, down_after_s),
            enabled=record.enabled,
            frozen_reason=record.frozen_reason,
            seen_at=record.seen_at,
            agent_version=record.facts.get("agent_version", ""),
            problems=(*record.facts.get("problems", ()), *apart[record.id]),
            wanted=f"{record.generation}.{record.mark}",
            obeyed=record.obeyed,
            revoked=not record.credential_hash,
            refused_at=refused_since(record),
        )
        for record in records
    ]


def _apart(one: Apart) -> str:
    return (
        f"in Placement it is called {one.name}, since provider {one.namesake_id}, which is not "
        "Lanekeeper's, has its name; if that stands for the same thing, the thing is given away "
        f"twice: openstack resource provider delete {one.namesake_id}"
    )


def refused_since(record: HostRecord) -> datetime | None:
    """When the host's agent was last refused; None when it was heard after that."""
    refused, seen = record.refused_at, record.seen_at
    return refused if refused and (seen is None or seen < refused) else None


def why_silent(record: HostRecord) -> Conflict:
    """Why a frozen host has not told what it has, as far as is known here."""
    enrol = f"lanekeeper agent token --host-name {record.name}, then lanekeeper agent enroll there"
    said = f"host {record.name} has not told what it has since it was frozen"
    if not record.credential_hash:
        return Conflict(f"{said}: its credential was revoked", hint=enrol)
    refused_at = refused_since(record)
    if refused_at is not None:
        return Conflict(
            f"{said}: its agent is refused (401, last at {refused_at.isoformat()}), since its "
            "credential is not the one that this database knows",
            hint=enrol,
        )
    heard = record.seen_at.isoformat() if record.seen_at else "never"
    return Conflict(
        f"{said}; its agent was last heard {heard}",
        hint="start its agent, wait until it has reported, and try again",
    )
