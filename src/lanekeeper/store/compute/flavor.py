"""Rows of flavors and of who may see the private ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from lanekeeper.domain.compute.flavor import Flavor
from lanekeeper.store.tables import flavor, flavor_access


def _record(row: sa.RowMapping) -> Flavor:
    return Flavor(**{name: row[name] for name in Flavor.__slots__})


def flavor_insert(connection: sa.Connection, new: Flavor) -> None:
    connection.execute(
        flavor.insert().values(
            **{name: getattr(new, name) for name in Flavor.__slots__}
            | {"extra_specs": dict(new.extra_specs)}
        )
    )


def flavor_get(connection: sa.Connection, flavor_id: str) -> Flavor | None:
    row = connection.execute(sa.select(flavor).where(flavor.c.id == flavor_id))
    found = row.mappings().one_or_none()
    return None if found is None else _record(found)


def flavor_list(
    connection: sa.Connection, *, is_public: bool | None = None, project_id: str | None = None
) -> list[Flavor]:
    """Flavors by memory, as Nova sorts them.

    Args:
        connection: the database.
        is_public: None for both kinds.
        project_id: private ones only where this project has access; None for all.
    """
    query = sa.select(flavor).order_by(flavor.c.ram_mib, flavor.c.name, flavor.c.id)
    if is_public is not None:
        query = query.where(flavor.c.is_public == is_public)
    if project_id is not None:
        mine = sa.select(flavor_access.c.flavor_id).where(flavor_access.c.project_id == project_id)
        query = query.where(sa.or_(flavor.c.is_public, flavor.c.id.in_(mine)))
    return [_record(row) for row in connection.execute(query).mappings()]


def flavor_named(connection: sa.Connection, name: str) -> Flavor | None:
    row = connection.execute(sa.select(flavor).where(flavor.c.name == name)).mappings()
    found = row.one_or_none()
    return None if found is None else _record(found)


def flavor_describe(connection: sa.Connection, flavor_id: str, description: str | None) -> None:
    connection.execute(
        flavor.update().where(flavor.c.id == flavor_id).values(description=description)
    )


def flavor_specs_set(connection: sa.Connection, flavor_id: str, specs: Mapping[str, str]) -> None:
    """Replace all extra specs."""
    connection.execute(
        flavor.update().where(flavor.c.id == flavor_id).values(extra_specs=dict(specs))
    )


def flavor_delete(connection: sa.Connection, flavor_id: str) -> None:
    connection.execute(flavor_access.delete().where(flavor_access.c.flavor_id == flavor_id))
    connection.execute(flavor.delete().where(flavor.c.id == flavor_id))


def access_list(connection: sa.Connection, flavor_id: str) -> Sequence[str]:
    """Ids of the projects that see a private flavor, in order."""
    return list(
        connection.scalars(
            sa.select(flavor_access.c.project_id)
            .where(flavor_access.c.flavor_id == flavor_id)
            .order_by(flavor_access.c.project_id)
        )
    )


def access_add(connection: sa.Connection, flavor_id: str, project_id: str) -> None:
    connection.execute(flavor_access.insert().values(flavor_id=flavor_id, project_id=project_id))


def access_remove(connection: sa.Connection, flavor_id: str, project_id: str) -> bool:
    """Take the access back; whether there was one."""
    gone = connection.execute(
        flavor_access.delete().where(
            flavor_access.c.flavor_id == flavor_id, flavor_access.c.project_id == project_id
        )
    )
    return gone.rowcount == 1
