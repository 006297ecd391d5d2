"""Keys that seal tokens, and tokens revoked one by one."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from lanekeeper.store.tables import revocation, token_key


def token_key_list(connection: sa.Connection) -> list[tuple[int, str, datetime]]:
    """Id, key and moment of making; newest first."""
    query = sa.select(token_key.c.id, token_key.c.key, token_key.c.created_at)
    rows = connection.execute(query.order_by(token_key.c.id.desc()))
    return [(row.id, row.key, row.created_at) for row in rows]


def token_key_add(connection: sa.Connection, key_id: int, key: str, at: datetime) -> None:
    """Add a key.

    Raises:
        IntegrityError: another controller added one under this id.
    """
    connection.execute(token_key.insert().values(id=key_id, key=key, created_at=at))


def token_key_delete(connection: sa.Connection, key_ids: list[int]) -> None:
    connection.execute(token_key.delete().where(token_key.c.id.in_(key_ids)))


def revocation_add(connection: sa.Connection, audit_id: str, expires_at: datetime) -> None:
    """Revoke a token; a second time changes nothing.

    Raises:
        IntegrityError: another transaction did so at this moment.
    """
    if not revocation_has(connection, audit_id):
        connection.execute(revocation.insert().values(audit_id=audit_id, expires_at=expires_at))


def revocation_has(connection: sa.Connection, audit_id: str) -> bool:
    query = sa.select(revocation.c.audit_id).where(revocation.c.audit_id == audit_id)
    return connection.scalar(query) is not None


def revocation_forget(connection: sa.Connection, now: datetime) -> None:
    """Drop those whose tokens have expired by themselves."""
    connection.execute(revocation.delete().where(revocation.c.expires_at <= now))
