"""Users, their password hashes and their application credentials."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from lanekeeper.domain.identity.user import ApplicationCredential, User
from lanekeeper.store.tables import application_credential, user

_COLUMNS = (
    user.c.id,
    user.c.name,
    user.c.domain_id,
    user.c.description,
    user.c.email,
    user.c.enabled,
    user.c.default_project_id,
    user.c.password_changed_at,
)


def user_get(connection: sa.Connection, user_id: str) -> User | None:
    row = connection.execute(sa.select(*_COLUMNS).where(user.c.id == user_id)).first()
    return None if row is None else User(**row._mapping)


def user_named(connection: sa.Connection, name: str) -> User | None:
    row = connection.execute(sa.select(*_COLUMNS).where(user.c.name == name)).first()
    return None if row is None else User(**row._mapping)


def user_list(
    connection: sa.Connection,
    *,
    name: str | None = None,
    enabled: bool | None = None,
    after: str = "",
    limit: int,
) -> list[User]:
    """Users by id, those after *after*."""
    query = sa.select(*_COLUMNS).where(user.c.id > after).order_by(user.c.id).limit(limit)
    if name is not None:
        query = query.where(user.c.name == name)
    if enabled is not None:
        query = query.where(user.c.enabled.is_(enabled))
    return [User(**row._mapping) for row in connection.execute(query)]


def user_password_hash(connection: sa.Connection, user_id: str) -> str:
    """Empty for a user without a password, or no such user."""
    return connection.scalar(sa.select(user.c.password_hash).where(user.c.id == user_id)) or ""


def user_insert(connection: sa.Connection, new: User, password_hash: str) -> None:
    """Add a user.

    Raises:
        IntegrityError: the name is taken in the domain.
    """
    connection.execute(
        user.insert().values(
            id=new.id,
            name=new.name,
            domain_id=new.domain_id,
            description=new.description,
            email=new.email,
            enabled=new.enabled,
            default_project_id=new.default_project_id,
            password_changed_at=new.password_changed_at,
            password_hash=password_hash,
        )
    )


def user_update(connection: sa.Connection, user_id: str, values: dict[str, object]) -> None:
    if values:
        connection.execute(user.update().where(user.c.id == user_id).values(**values))


def user_password_replace(
    connection: sa.Connection, user_id: str, *, old_hash: str, new_hash: str, at: datetime
) -> bool:
    """Set a password whose predecessor was just checked; False when another change came first."""
    changed = connection.execute(
        user.update()
        .where(user.c.id == user_id, user.c.password_hash == old_hash)
        .values(password_hash=new_hash, password_changed_at=at)
    )
    return changed.rowcount == 1


def user_delete(connection: sa.Connection, user_id: str) -> bool:
    """Remove a user with roles and application credentials; whether it was there."""
    return connection.execute(user.delete().where(user.c.id == user_id)).rowcount == 1


# Application credentials --------------------------------------------------------------------------

_CREDENTIAL = (
    application_credential.c.id,
    application_credential.c.name,
    application_credential.c.user_id,
    application_credential.c.project_id,
    application_credential.c.description,
    application_credential.c.roles,
    application_credential.c.unrestricted,
    application_credential.c.expires_at,
)


def _credential(row: sa.RowMapping) -> ApplicationCredential:
    return ApplicationCredential(**{**row, "roles": tuple(row["roles"])})


def credential_get(connection: sa.Connection, credential_id: str) -> ApplicationCredential | None:
    query = sa.select(*_CREDENTIAL).where(application_credential.c.id == credential_id)
    row = connection.execute(query).mappings().first()
    return None if row is None else _credential(row)


def credential_list(
    connection: sa.Connection, user_id: str, name: str | None = None
) -> list[ApplicationCredential]:
    """A user's own, by name."""
    query = sa.select(*_CREDENTIAL).where(application_credential.c.user_id == user_id)
    if name is not None:
        query = query.where(application_credential.c.name == name)
    rows = connection.execute(query.order_by(application_credential.c.name))
    return [_credential(row) for row in rows.mappings()]


def credential_secret_hash(connection: sa.Connection, credential_id: str) -> str:
    query = sa.select(application_credential.c.secret_hash)
    return connection.scalar(query.where(application_credential.c.id == credential_id)) or ""


def credential_count(connection: sa.Connection, user_id: str) -> int:
    query = sa.select(sa.func.count()).where(application_credential.c.user_id == user_id)
    return connection.scalar(query) or 0


def credential_insert(
    connection: sa.Connection, new: ApplicationCredential, secret_hash: str
) -> None:
    """Add an application credential.

    Raises:
        IntegrityError: the user has one of that name.
    """
    connection.execute(
        application_credential.insert().values(
            id=new.id,
            name=new.name,
            user_id=new.user_id,
            project_id=new.project_id,
            description=new.description,
            roles=list(new.roles),
            unrestricted=new.unrestricted,
            expires_at=new.expires_at,
            secret_hash=secret_hash,
        )
    )


def credential_delete(connection: sa.Connection, user_id: str, credential_id: str) -> bool:
    gone = connection.execute(
        application_credential.delete().where(
            application_credential.c.id == credential_id,
            application_credential.c.user_id == user_id,
        )
    )
    return gone.rowcount == 1
