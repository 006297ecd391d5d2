"""Which state of a host was ordered last: a generation that grows and a random mark for each."""

from __future__ import annotations

import secrets

import sqlalchemy as sa

from lanekeeper.domain.errors import Conflict
from lanekeeper.store.tables import desired_mark, host

UNUSABLE = "lanekeeper.host.unusable"


def host_lock(connection: sa.Connection, host_id: str) -> None:
    """Have this transaction be the only one on *host_id* until it ends.

    It is the first statement of every transaction that changes something of a host: its devices,
    cards, inventories, servers or what is wanted of it. So two of them wait for each other in one
    place and cannot deadlock. An id that no host has locks nothing.
    """
    # SQLite has one writer anyway and its dialect leaves FOR UPDATE out. NO KEY, so that rows
    # which only refer to the host can still be written.
    mine = sa.select(host.c.id).where(host.c.id == host_id)
    connection.execute(mine.with_for_update(key_share=True))


def host_lock_usable(connection: sa.Connection, host_id: str) -> None:
    """``host_lock`` for who gives the host something new: it is enabled, and stays so.

    Raises:
        Conflict: it is disabled, frozen or removed, with code UNUSABLE.
    """
    mine = sa.select(host.c.enabled, host.c.frozen_reason).where(host.c.id == host_id)
    row = connection.execute(mine.with_for_update(key_share=True)).one_or_none()
    if row is None or not row.enabled or row.frozen_reason:
        raise Conflict(f"host {host_id} takes nothing new any more", code=UNUSABLE)


def desired_touch(connection: sa.Connection, host_id: str) -> None:
    """Say that what is wanted of *host_id* has changed, in the transaction that changes it.

    Whoever calls this rings the host's bell after the commit (``control/site.py``), so that a
    parked poll answers at once.
    """
    mark = secrets.token_hex(8)
    generation = connection.scalar(
        host.update()
        .where(host.c.id == host_id)
        .values(generation=host.c.generation + 1, mark=mark)
        .returning(host.c.generation)
    )
    if generation is not None:
        connection.execute(
            desired_mark.insert().values(host_id=host_id, generation=generation, mark=mark)
        )


def desired_obeyed(connection: sa.Connection, host_id: str, generation: int, mark: str) -> None:
    """Note how far the agent has come; older marks are of no use any more."""
    connection.execute(
        host.update().where(host.c.id == host_id).values(obeyed=f"{generation}.{mark}")
    )
    connection.execute(
        desired_mark.delete().where(
            desired_mark.c.host_id == host_id, desired_mark.c.generation < generation
        )
    )


def desired_knows(connection: sa.Connection, host_id: str, generation: int, mark: str) -> bool:
    """Whether this database once ordered that state; if not, it has lost history."""
    return (
        connection.scalar(
            sa.select(desired_mark.c.generation).where(
                desired_mark.c.host_id == host_id,
                desired_mark.c.generation == generation,
                desired_mark.c.mark == mark,
            )
        )
        is not None
    )


def desired_adopt(connection: sa.Connection, host_id: str, generation: int, mark: str) -> None:
    """Count a state that this database never ordered as ordered, so that newer ones follow it.

    It may have ordered that generation itself, with another mark: the agent's is the one that
    counts then. It is what the agent has obeyed, so what it asked before that is late, and no more.
    ``desired_touch`` follows, which orders a newer one.
    """
    connection.execute(
        host.update()
        .where(host.c.id == host_id, host.c.generation < generation)
        .values(generation=generation)
    )
    connection.execute(
        desired_mark.delete().where(
            desired_mark.c.host_id == host_id, desired_mark.c.generation == generation
        )
    )
    connection.execute(
        desired_mark.insert().values(host_id=host_id, generation=generation, mark=mark)
    )
    desired_obeyed(connection, host_id, generation, mark)
