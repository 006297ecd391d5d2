"""Holding rows until the commit: in one order, by everybody, so that nobody waits in a circle.

The order of locks. A transaction passes over what it does not need, and never goes back up:

1. rows of **hosts**, by id (``store/host/desired.py``, ``host_lock``); below them what only who
   holds the host touches, in any order: its devices, cards and claims, its servers, and these as
   consumers. Heartbeats hold every host that is idle, and wait for none (``hosts_hold_idle``).
   Then its project's **quota** (``store/compute/quota.py``), the server's group and its images;
2. the **trees** (``trees_hold``): for who moves, renames or removes a provider, and for who makes
   one below another;
3. **resource classes**, all of them (``classes_hold``; ``classes_hold_alone`` for who renames or
   deletes one);
4. **consumers**, by id (the INSERT, or ``consumer_change``);
5. **providers**, by id (``providers_hold``, ``generations_bump``): all that the transaction needs,
   at once; what it makes itself needs no holding;
6. **inventories**, by provider and class, then **allocations**; traits and aggregates of providers
   that are held.

SQLite has one writer at a time, so nothing is held there.
"""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

from lanekeeper.store.batch import batches
from lanekeeper.store.tables import resource_class, resource_provider

# An arbitrary number that is Lanekeeper's, beside that of migrations.
_TREES = 0x4C4B_5343_4845_4D42

BUMP = (
    resource_provider.update()
    .where(resource_provider.c.id == sa.bindparam("provider"))
    .values(generation=resource_provider.c.generation + 1)
)


def trees_hold(connection: sa.Connection) -> None:
    """Keep the trees as they are for all others until the commit.

    Who reads a root, looks for children or for a loop, and then writes calls this first.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_TREES)))


def classes_hold(connection: sa.Connection) -> None:
    """Let nobody rename or delete a resource class until the commit; for who writes their names.

    Their rows alone would not do: a name that is not there yet has none to hold, and is there when
    it is looked for.
    """
    _table_lock(connection, "ROW SHARE")


def classes_hold_alone(connection: sa.Connection) -> None:
    """Wait for all who hold the classes, and have others wait; for who renames or deletes one."""
    _table_lock(connection, "EXCLUSIVE")


def _table_lock(connection: sa.Connection, mode: str) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text(f"LOCK TABLE {resource_class.name} IN {mode} MODE"))


def providers_hold(connection: sa.Connection, provider_ids: Collection[str]) -> None:
    """Have claims on these and changes of them wait until the commit.

    What is not there is left out. Children may still come and go: that is for ``trees_hold``.
    """
    if connection.dialect.name != "postgresql":
        return
    for batch in batches(provider_ids):
        held = sa.select(resource_provider.c.id).where(resource_provider.c.id.in_(batch))
        connection.execute(held.order_by(resource_provider.c.id).with_for_update(key_share=True))


def generations_bump(connection: sa.Connection, provider_ids: Collection[str]) -> None:
    """Move the generations of these on, and hold them; what is not there is left out."""
    if provider_ids:
        connection.execute(BUMP, [{"provider": id_} for id_ in sorted(provider_ids)])
