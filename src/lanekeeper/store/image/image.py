"""Images without their bytes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from lanekeeper.domain.image.record import ImageRecord, Status, Visibility
from lanekeeper.store.tables import image, image_copy, server

SORT_KEYS: Mapping[str, sa.ColumnElement[Any]] = {
    "name": sa.func.coalesce(image.c.name, ""),
    "status": image.c.status,
    "visibility": image.c.visibility,
    "owner": image.c.owner,
    "container_format": sa.func.coalesce(image.c.container_format, ""),
    "disk_format": sa.func.coalesce(image.c.disk_format, ""),
    "size": sa.func.coalesce(image.c.size_bytes, -1),
    "min_disk": image.c.min_disk_gib,
    "min_ram": image.c.min_ram_mib,
    "id": image.c.id,
    "created_at": image.c.created_at,
    "updated_at": image.c.updated_at,
}
"""What lists can be sorted by; nothing is null here, so that pages have an edge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """Whose eyes a list is seen with.

    Attributes:
        everything: as an admin's.
        owner: project; its own images are seen, whatever their visibility.
    """

    everything: bool
    owner: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What a listed image must be; None and empty ask for nothing.

    Attributes:
        any_of: column to values of which one must be had.
        visibility: None lists all that is seen but other projects' community images; ``all``
            lists those too.
        tags: all of them must be had.
        properties: each must be had with that value.
        sizes: least and greatest size in bytes.
        moments: column, comparison (``gte``) and moment.
    """

    any_of: Mapping[str, Sequence[object]]
    visibility: str | None = None
    tags: Sequence[str] = ()
    properties: Mapping[str, str] | None = None
    sizes: tuple[int | None, int | None] = (None, None)
    moments: Sequence[tuple[str, str, datetime]] = ()


_COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {
    "eq": lambda column, value: column == value,
    "neq": lambda column, value: column != value,
    "gt": lambda column, value: column > value,
    "gte": lambda column, value: column >= value,
    "lt": lambda column, value: column < value,
    "lte": lambda column, value: column <= value,
}


def image_get(
    connection: sa.Connection, image_id: str, *, lock: bool = False
) -> ImageRecord | None:
    """One image; *lock* keeps it as it is until the transaction ends."""
    query = sa.select(image).where(image.c.id == image_id, image.c.status != Status.DELETED)
    row = connection.execute(query.with_for_update() if lock else query).mappings().first()
    return None if row is None else _record(row)


def image_list(
    connection: sa.Connection,
    sight: Sight,
    wanted: Filter,
    *,
    sort: Sequence[tuple[str, bool]],
    after: str | None,
    limit: int,
) -> list[ImageRecord]:
    """Images in the order of *sort* (key of SORT_KEYS, whether descending), then by id.

    Only those behind the image *after* are listed; its id must be known.
    """
    order = [(SORT_KEYS[key], down) for key, down in sort]
    if "id" not in {key for key, _ in sort}:
        order.append((SORT_KEYS["id"], sort[-1][1] if sort else False))
    query = (
        sa.select(image)
        .where(image.c.status != Status.DELETED, *_matches(sight, wanted))
        .order_by(*(key.desc() if down else key.asc() for key, down in order))
        .limit(limit)
    )
    if after is not None:
        edge = connection.execute(sa.select(*(key for key, _ in order)).where(image.c.id == after))
        query = query.where(_behind(order, edge.one()))
    return [_record(row) for row in connection.execute(query).mappings()]


def image_insert(connection: sa.Connection, new: ImageRecord) -> None:
    """Add an image.

    Raises:
        IntegrityError: the id is taken, by a deleted image perhaps.
    """
    connection.execute(image.insert().values(**_values(new)))


def image_replace(connection: sa.Connection, changed: ImageRecord) -> None:
    """Write all of an image that was read under a lock in the same transaction."""
    connection.execute(image.update().where(image.c.id == changed.id).values(**_values(changed)))


def image_move(
    connection: sa.Connection,
    image_id: str,
    before: Status,
    after: Status,
    **values: object,
) -> bool:
    """Go from one status to another; False when the image is not in *before* (any more)."""
    moved = connection.execute(
        image.update()
        .where(image.c.id == image_id, image.c.status == before)
        .values(status=after, **values)
    )
    return moved.rowcount == 1


def image_status(connection: sa.Connection, image_id: str) -> Status | None:
    """The status, of a deleted image too; None when there is no row."""
    status = connection.scalar(sa.select(image.c.status).where(image.c.id == image_id))
    return None if status is None else Status(status)


def image_list_deleted(connection: sa.Connection) -> list[str]:
    query = sa.select(image.c.id).where(image.c.status == Status.DELETED)
    return list(connection.scalars(query))


def image_forget(connection: sa.Connection, image_id: str) -> None:
    """Drop the row of a deleted image, unless a controller still has its bytes."""
    copies = sa.select(image_copy.c.image_id).where(image_copy.c.image_id == image_id)
    connection.execute(
        image.delete().where(
            image.c.id == image_id, image.c.status == Status.DELETED, ~copies.exists()
        )
    )


def image_hold(connection: sa.Connection, image_ids: Sequence[str]) -> set[str]:
    """Keep images from being deleted until the transaction ends; returns those that are there.

    Any number of transactions hold the same image at once.
    """
    query = (
        sa.select(image.c.id)
        .where(image.c.id.in_(image_ids), image.c.status != Status.DELETED)
        .order_by(image.c.id)
        .with_for_update(read=True)
    )
    return set(connection.scalars(query))


def image_users(connection: sa.Connection, image_id: str, limit: int) -> list[tuple[str, str]]:
    """Id and name of servers that boot from an image, or that have it as kernel or ramdisk."""
    parts = [server.c.image_properties[name].as_string() for name in ("kernel_id", "ramdisk_id")]
    query = (
        sa.select(server.c.id, server.c.name)
        .where(sa.or_(server.c.image_id == image_id, *(part == image_id for part in parts)))
        .order_by(server.c.id)
        .limit(limit)
    )
    return [(row.id, row.name) for row in connection.execute(query)]


# Rows and records ---------------------------------------------------------------------------------


def _record(row: sa.RowMapping) -> ImageRecord:
    return ImageRecord(
        **{
            **row,
            "status": Status(row["status"]),
            "visibility": Visibility(row["visibility"]),
            "tags": tuple(row["tags"]),
        }
    )


def _values(record: ImageRecord) -> dict[str, object]:
    return asdict(record) | {
        "status": record.status.value,
        "visibility": record.visibility.value,
        "properties": dict(record.properties),
        "tags": list(record.tags),
    }


# Filters ------------------------------------------------------------------------------------------


def _matches(sight: Sight, wanted: Filter) -> list[sa.ColumnElement[bool]]:
    found = [_seen(sight, wanted.visibility)]
    found += [image.c[name].in_(list(values)) for name, values in wanted.any_of.items()]
    found += [_has_tag(tag) for tag in wanted.tags]
    for name, value in (wanted.properties or {}).items():
        found.append(image.c.properties[name].as_string() == value)
    least, most = wanted.sizes
    if least is not None:
        found.append(image.c.size_bytes >= least)
    if most is not None:
        found.append(image.c.size_bytes <= most)
    for name, comparison, moment in wanted.moments:
        found.append(_COMPARE[comparison](image.c[name], moment))
    return found


def _seen(sight: Sight, visibility: str | None) -> sa.ColumnElement[bool]:
    own = image.c.owner == sight.owner
    if visibility is None:
        open_to_all = sa.or_(own, image.c.visibility == Visibility.PUBLIC)
        everything = sa.or_(own, image.c.visibility != Visibility.COMMUNITY)
        return everything if sight.everything else open_to_all
    shown = sa.true() if visibility == "all" else image.c.visibility == visibility
    if sight.everything:
        return shown
    to_all = image.c.visibility.in_([Visibility.PUBLIC, Visibility.COMMUNITY])
    return sa.and_(shown, sa.or_(own, to_all))


def _has_tag(tag: str) -> sa.ColumnElement[bool]:
    # LIKE would ignore case on SQLite; a quote within a tag is escaped, so none is found inside.
    text = sa.cast(image.c.tags, sa.Text)
    return sa.func.replace(text, json.dumps(tag), "") != text


def _behind(
    order: Sequence[tuple[sa.ColumnElement[Any], bool]], edge: sa.Row[Any]
) -> sa.ColumnElement[bool]:
    """Rows that come after *edge*: equal in the first keys, beyond it in the next."""
    either = []
    for position, (key, down) in enumerate(order):
        equal = [earlier == edge[i] for i, (earlier, _) in enumerate(order[:position])]
        beyond = key < edge[position] if down else key > edge[position]
        either.append(sa.and_(*equal, beyond))
    return sa.or_(*either)
