"""The certificate authority's one row."""

from __future__ import annotations

import sqlalchemy as sa

from lanekeeper.store.tables import authority

_ONLY_ID = 1


def authority_get(connection: sa.Connection) -> tuple[str, str] | None:
    """Certificate and key as PEM, or None before the first start."""
    query = sa.select(authority.c.certificate_pem, authority.c.key_pem)
    row = connection.execute(query.where(authority.c.id == _ONLY_ID)).first()
    return None if row is None else (row.certificate_pem, row.key_pem)


def authority_insert(connection: sa.Connection, certificate_pem: str, key_pem: str) -> None:
    """Keep the authority; there is one.

    Raises:
        IntegrityError: another controller made it first.
    """
    connection.execute(
        authority.insert().values(id=_ONLY_ID, certificate_pem=certificate_pem, key_pem=key_pem)
    )
