"""Hosts: who they are, when their agent was last heard, what it said."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa

from lanekeeper.domain.errors import NotFound
from lanekeeper.store.tables import (
    allocation,
    device,
    enrolment,
    frozen_report,
    host,
    resource_provider,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRecord:
    """One row of hosts, without the long story that its agent tells.

    Attributes:
        frozen_after: the ``G.MARK`` for which the host is frozen; empty when it is not.
        credential_hash: empty when its credential was revoked.
        refused_at: when somebody last came in its name with a credential that is not its own.
    """

    id: str
    name: str
    credential_hash: str = field(repr=False)
    enabled: bool
    disabled_reason: str
    frozen_reason: str
    frozen_after: str
    generation: int
    mark: str
    obeyed: str
    facts_at: datetime | None
    seen_at: datetime | None
    refused_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class HostTold(HostRecord):
    """A host with what its agent tells.

    Attributes:
        facts: the agent's ``HostFacts`` as plain data, empty before any.
    """

    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostStanding:
    """Whether servers run on a host."""

    id: str
    name: str
    enabled: bool
    seen_at: datetime | None


_Row = TypeVar("_Row", HostRecord, HostTold, HostStanding)


def _rows(
    connection: sa.Connection, kind: type[_Row], *where: sa.ColumnElement[bool]
) -> list[_Row]:
    """Hosts by name; no column is read that *kind* has no place for."""
    columns = (host.c[one.name] for one in fields(kind))
    query = sa.select(*columns).where(*where).order_by(host.c.name)
    return [kind(**row) for row in connection.execute(query).mappings()]


def _row(
    connection: sa.Connection, kind: type[_Row], *where: sa.ColumnElement[bool]
) -> _Row | None:
    found = _rows(connection, kind, *where)
    return found[0] if found else None


def host_list(connection: sa.Connection) -> list[HostRecord]:
    """Every host, by name."""
    return _rows(connection, HostRecord)


def hosts_told(connection: sa.Connection) -> list[HostTold]:
    """Every host with what its agent tells, by name."""
    return _rows(connection, HostTold)


def host_standings(connection: sa.Connection) -> list[HostStanding]:
    """Every host, by name."""
    return _rows(connection, HostStanding)


def host_get(connection: sa.Connection, host_id: str) -> HostRecord:
    """One host.

    Raises:
        NotFound: no host has this id.
    """
    found = _row(connection, HostRecord, host.c.id == host_id)
    if found is None:
        raise NotFound(f"no host has the id {host_id}")
    return found


def host_by_name(connection: sa.Connection, name: str) -> HostRecord | None:
    return _row(connection, HostRecord, host.c.name == name)


def host_told(connection: sa.Connection, host_id: str) -> HostTold | None:
    return _row(connection, HostTold, host.c.id == host_id)


def host_told_by_name(connection: sa.Connection, name: str) -> HostTold | None:
    return _row(connection, HostTold, host.c.name == name)


def host_by_credential(
    connection: sa.Connection, credential_hash: str
) -> tuple[HostRecord, bool] | None:
    """The host whose agent carries this credential, and whether it is the next one, used first."""
    carries = sa.or_(
        host.c.credential_hash == credential_hash, host.c.next_credential_hash == credential_hash
    )
    found = _row(connection, HostRecord, carries)
    return None if found is None else (found, found.credential_hash != credential_hash)


def host_insert(
    connection: sa.Connection, host_id: str, name: str, credential_hash: str, now: datetime
) -> None:
    connection.execute(
        host.insert().values(
            id=host_id,
            name=name,
            credential_hash=credential_hash,
            created_at=now,
            seen_at=now,
            facts={},
        )
    )


def host_consumers(connection: sa.Connection, host_id: str) -> list[str]:
    """Ids of those who have allocated something of the host's providers, in order."""
    query = (
        sa.select(allocation.c.consumer_id)
        .join(resource_provider, resource_provider.c.id == allocation.c.provider_id)
        .where(resource_provider.c.root_id == host_id)
        .distinct()
        .order_by(allocation.c.consumer_id)
    )
    return list(connection.scalars(query))


def host_delete(connection: sa.Connection, host_id: str) -> None:
    """Delete a host with its providers, devices and marks; its servers must be gone."""
    # All at once: what hangs below something else goes in the same statement.
    connection.execute(resource_provider.delete().where(resource_provider.c.root_id == host_id))
    connection.execute(device.delete().where(device.c.host_id == host_id))
    connection.execute(host.delete().where(host.c.id == host_id))


def host_credential_set(connection: sa.Connection, host_id: str, credential_hash: str) -> None:
    """Make this the only credential; others are worth nothing from the commit on. Empty: none."""
    connection.execute(
        host.update()
        .where(host.c.id == host_id)
        .values(credential_hash=credential_hash, next_credential_hash="")
    )


def host_credential_next(connection: sa.Connection, host_id: str, credential_hash: str) -> None:
    """Let a second credential in; the first one is good until the second was used."""
    connection.execute(
        host.update().where(host.c.id == host_id).values(next_credential_hash=credential_hash)
    )


def host_credential_promote(connection: sa.Connection, host_id: str, credential_hash: str) -> None:
    """Make the next credential the only one, if it still is the next."""
    connection.execute(
        host.update()
        .where(host.c.id == host_id, host.c.next_credential_hash == credential_hash)
        .values(credential_hash=credential_hash, next_credential_hash="")
    )


def host_facts_set(
    connection: sa.Connection, host_id: str, facts: Mapping[str, Any], now: datetime
) -> None:
    connection.execute(
        host.update().where(host.c.id == host_id).values(facts=facts, facts_at=now, seen_at=now)
    )


def host_frozen_set(connection: sa.Connection, host_id: str, reason: str, after: str = "") -> None:
    """Freeze a host with a reason and the ``G.MARK`` that nobody knows; empty ones thaw it.

    What it has told while it was frozen before is forgotten.
    """
    connection.execute(
        host.update().where(host.c.id == host_id).values(frozen_reason=reason, frozen_after=after)
    )
    connection.execute(frozen_report.delete().where(frozen_report.c.host_id == host_id))


def hosts_freeze(connection: sa.Connection, reason: str) -> int:
    """Freeze every host, whatever its agent has obeyed; returns how many there are."""
    connection.execute(frozen_report.delete())
    frozen = connection.execute(host.update().values(frozen_reason=reason, frozen_after=""))
    return int(frozen.rowcount)


def host_frozen_after(connection: sa.Connection, host_id: str, after: str) -> None:
    """Note which ``G.MARK`` the agent of a frozen host says it has got."""
    connection.execute(host.update().where(host.c.id == host_id).values(frozen_after=after))


def host_is_frozen(connection: sa.Connection, host_id: str) -> bool:
    reason = sa.select(host.c.frozen_reason).where(host.c.id == host_id)
    return bool(connection.scalar(reason))


def frozen_report_put(connection: sa.Connection, host_id: str, **told: Any) -> None:
    """Keep what a frozen host tells: ``facts_told``, ``state``; its row is locked already."""
    mine = frozen_report.c.host_id == host_id
    if connection.execute(frozen_report.update().where(mine).values(**told)).rowcount == 0:
        connection.execute(frozen_report.insert().values(host_id=host_id, **told))


def frozen_report_get(connection: sa.Connection, host_id: str) -> Any | None:
    """The last state that a frozen host told; None before it has told all there is to tell."""
    query = sa.select(frozen_report.c.state).where(
        frozen_report.c.host_id == host_id, frozen_report.c.facts_told
    )
    return connection.scalar(query)


def hosts_hold_idle(connection: sa.Connection, host_ids: Collection[str]) -> set[str]:
    """Hold those of *host_ids* that nobody else does, without waiting; returns the others.

    One that no host has is among neither. At most as many as ``batches`` puts together.
    """
    asked = sa.select(host.c.id).where(host.c.id.in_(host_ids))
    free = asked.order_by(host.c.id).with_for_update(key_share=True, skip_locked=True)
    return set(connection.scalars(asked)) - set(connection.scalars(free))


def hosts_seen(connection: sa.Connection, seen: Iterable[tuple[str, datetime]]) -> None:
    """Write a batch of heartbeats; one that is older than what is there changes nothing."""
    rows = [{"b_id": host_id, "b_at": at} for host_id, at in sorted(seen)]
    if rows:
        connection.execute(
            host.update()
            .where(
                host.c.id == sa.bindparam("b_id"),
                sa.or_(
                    host.c.seen_at.is_(None),
                    host.c.seen_at < sa.bindparam("b_at", type_=host.c.seen_at.type),
                ),
            )
            .values(seen_at=sa.bindparam("b_at", type_=host.c.seen_at.type)),
            rows,
        )


def hosts_refused(connection: sa.Connection, refused: Mapping[str, datetime]) -> None:
    """Write when hosts' agents were refused; ids that no host has are passed over."""
    rows = [{"b_id": host_id, "b_at": at} for host_id, at in sorted(refused.items())]
    if rows:
        connection.execute(
            host.update()
            .where(host.c.id == sa.bindparam("b_id"))
            .values(refused_at=sa.bindparam("b_at", type_=host.c.refused_at.type)),
            rows,
        )


def enrolments_insert(
    connection: sa.Connection, host_names: Mapping[str, str], expires_at: datetime
) -> None:
    """Note one-time tokens, by hash; a host name that is empty lets any host use its token."""
    rows = [
        {"token_hash": hash_, "host_name": name, "expires_at": expires_at}
        for hash_, name in host_names.items()
    ]
    connection.execute(enrolment.insert(), rows)


def enrolment_use(
    connection: sa.Connection, token_hash: str, host_id: str, host_name: str, now: datetime
) -> str | None:
    """Spend a token; the host name that it is bound to, empty for any, None if it is no good.

    The row that comes back decides between rivals.
    """
    bound_to: str | None = connection.scalar(
        enrolment.update()
        .where(
            enrolment.c.token_hash == token_hash,
            enrolment.c.used_by.is_(None),
            enrolment.c.expires_at > now,
            enrolment.c.host_name.in_(("", host_name)),
        )
        .values(used_by=host_id)
        .returning(enrolment.c.host_name)
    )
    return bound_to
