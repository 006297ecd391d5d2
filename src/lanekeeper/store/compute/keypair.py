"""Public keys that guests trust, each its user's own."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from lanekeeper.domain.compute.keypair import KeyPair
from lanekeeper.store.tables import keypair


def _record(row: sa.RowMapping) -> KeyPair:
    return KeyPair(**{name: row[name] for name in KeyPair.__slots__})


def keypair_list(connection: sa.Connection, user_id: str) -> list[KeyPair]:
    """A user's keys, by name."""
    rows = connection.execute(
        sa.select(keypair).where(keypair.c.user_id == user_id).order_by(keypair.c.name)
    )
    return [_record(row) for row in rows.mappings()]


def keypair_get(connection: sa.Connection, user_id: str, name: str) -> KeyPair | None:
    row = connection.execute(
        sa.select(keypair).where(keypair.c.user_id == user_id, keypair.c.name == name)
    )
    found = row.mappings().one_or_none()
    return None if found is None else _record(found)


def keypair_insert(
    connection: sa.Connection,
    *,
    user_id: str,
    name: str,
    kind: str,
    public_key: str,
    fingerprint: str,
    now: datetime,
) -> KeyPair:
    highest = connection.scalar(sa.select(sa.func.coalesce(sa.func.max(keypair.c.number), 0)))
    made = KeyPair(
        user_id=user_id,
        name=name,
        number=(highest or 0) + 1,
        type=kind,
        public_key=public_key,
        fingerprint=fingerprint,
        created_at=now,
    )
    connection.execute(
        keypair.insert().values(**{key: getattr(made, key) for key in KeyPair.__slots__})
    )
    return made


def keypair_delete(connection: sa.Connection, user_id: str, name: str) -> bool:
    """Forget a key; whether it was there."""
    gone = connection.execute(
        keypair.delete().where(keypair.c.user_id == user_id, keypair.c.name == name)
    )
    return gone.rowcount == 1
