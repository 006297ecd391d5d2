"""Searching servers: the database filters, sorts and pages; only what decides is read of a row.

A filter is SQL where a database agrees with all others on what it means. Parts of names and tags
are judged here, on the one column that they are about: databases differ in what is upper case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa

from lanekeeper.domain.compute.pattern import Pattern
from lanekeeper.domain.compute.server import TaskState, VmState, status_of
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.pci.flag import parse_flag
from lanekeeper.store.tables import address, host, port, server

_PATTERN_MAX = 255
_Column = sa.ColumnElement[Any]
_Test = Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Filter:
    """How the text that a client gives narrows a list: by *where*, or by *test* of a *column*."""

    column: _Column
    where: Callable[[_Column, str], _Column] | None = None
    test: Callable[[str], _Test] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSearch:
    """Which servers, in which order, from where on.

    Attributes:
        project_id: None for all projects.
        filters: name of a filter to its value, as clients write it; see FILTERS.
        sort: (key, descending), the first deciding; see SORT_KEYS. Then the youngest is first.
        marker: id of the server after which to go on.
    """

    limit: int
    project_id: str | None = None
    filters: Mapping[str, str] = field(default_factory=dict)
    changed_since: datetime | None = None
    changed_before: datetime | None = None
    sort: Sequence[tuple[str, bool]] = ()
    marker: str | None = None


def server_search(connection: sa.Connection, search: ServerSearch) -> tuple[list[str], bool]:
    """Ids of the servers asked for, and whether there are more after them.

    Raises:
        Invalid: a filter's value is not one, or no server that passes has the marker's id.
    """
    filters = [(FILTERS[name], text) for name, text in search.filters.items()]
    where = [
        *_bounds(search),
        *(one.where(one.column, text) for one, text in filters if one.where is not None),
    ]
    tests = [(one.column, one.test(text)) for one, text in filters if one.test is not None]
    keys = [(SORT_KEYS[name], descending) for name, descending in search.sort]
    order = [
        (_comparable(connection, column), descending)
        for column, descending in [*keys, (server.c.created_at, True), (server.c.id, True)]
    ]
    if search.marker is not None:
        where.append(_after(connection, search.marker, order, where, tests))
    found = _passing(connection, where, tests, order, most=search.limit + 1)
    ids = [row[0] for row in islice(found, search.limit + 1)]
    return ids[: search.limit], len(ids) > search.limit


def _bounds(search: ServerSearch) -> Iterator[_Column]:
    if search.project_id is not None:
        yield server.c.project_id == search.project_id
    if search.changed_since is not None:
        yield server.c.updated_at >= search.changed_since
    if search.changed_before is not None:
        yield server.c.updated_at <= search.changed_before


def _passing(
    connection: sa.Connection,
    where: Sequence[_Column],
    tests: Sequence[tuple[_Column, _Test]],
    order: Sequence[tuple[_Column, bool]],
    *,
    most: int,
) -> Iterator[sa.Row[Any]]:
    """Rows that pass: the id, what *tests* look at, what the *order* looks at."""
    tested = [column.label(f"t{place}") for place, (column, _) in enumerate(tests)]
    query = _FROM.with_only_columns(server.c.id, *tested).where(*where).order_by(*_ordered(order))
    if not tests:
        query = query.limit(most)
    for row in connection.execute(query):
        if all(test(value) for (_, test), value in zip(tests, row[1:], strict=True)):
            yield row


def _ordered(order: Sequence[tuple[_Column, bool]]) -> Iterator[_Column]:
    """What has no value comes first, or last where it goes down."""
    for column, descending in order:
        yield column.desc().nulls_last() if descending else column.asc().nulls_first()


def _comparable(connection: sa.Connection, column: _Column) -> _Column:
    """Have texts compared by their characters' numbers, whatever the database's language."""
    if not isinstance(column.type, sa.String):
        return column
    return sa.collate(column, "BINARY" if connection.dialect.name == "sqlite" else "C")


def _after(
    connection: sa.Connection,
    marker: str,
    order: Sequence[tuple[_Column, bool]],
    where: Sequence[_Column],
    tests: Sequence[tuple[_Column, _Test]],
) -> _Column:
    """The condition that a server comes after the marker's, which must be one that passes."""
    mine = [*where, server.c.id == marker]
    if not any(_passing(connection, mine, tests, (), most=1)):
        raise Invalid(f"marker [{marker[:80]}] not found")
    labelled = [column.label(f"k{place}") for place, (column, _) in enumerate(order)]
    values = connection.execute(_FROM.with_only_columns(*labelled).where(*mine)).one()
    after: _Column = sa.false()
    for (column, descending), value in reversed(list(zip(order, values, strict=True))):
        after = sa.or_(_beyond(column, value, descending), sa.and_(_is(column, value), after))
    return after


def _is(column: _Column, value: object) -> _Column:
    return column.is_(None) if value is None else column == sa.literal(value, column.type)


def _beyond(column: _Column, value: object, descending: bool) -> _Column:
    if value is None:
        return sa.false() if descending else column.is_not(None)
    bound = sa.literal(value, column.type)
    return sa.or_(column.is_(None), column < bound) if descending else column > bound


# Filters ------------------------------------------------------------------------------------------


def _part(column: _Column) -> Filter:
    """A part of the value."""

    def test(text: str) -> _Test:
        finds = _pattern(text).finds
        return lambda value: finds(value or "")

    return Filter(column, test=test)


def _pattern(text: str) -> Pattern:
    if len(text) > _PATTERN_MAX:
        raise Invalid(f"a filter has more than {_PATTERN_MAX} characters")
    return Pattern.parse(text)


def _equal(column: _Column) -> Filter:
    is_text = isinstance(column.type, sa.String)
    return Filter(
        column if is_text else sa.cast(column, sa.Text), where=lambda one, text: one == text
    )


def _flag(column: _Column, name: str) -> Filter:
    return Filter(column, where=lambda one, text: one == sa.literal(parse_flag(text, name)))


def _tags(test: Callable[[set[str], set[str]], bool]) -> Filter:
    def make(text: str) -> _Test:
        asked = set(text.split(","))
        return lambda tags: test(asked, set(tags))

    return Filter(server.c.tags, test=make)


def _status(_: _Column, text: str) -> _Column:
    asked = {part.upper() for part in text.split(",")}
    pairs = [(state, task) for state in VmState for task in (None, *TaskState)]
    return sa.or_(
        sa.false(),
        *(
            sa.and_(server.c.vm_state == str(state), _is(server.c.task_state, task))
            for state, task in pairs
            if status_of(state, task) in asked
        ),
    )


def _deleted(_: _Column, text: str) -> _Column:
    # What is deleted is gone: nothing of it can be listed.
    return sa.false() if parse_flag(text, "deleted") else sa.true()


def _addresses() -> Filter:
    """One of the addresses of the server's ports."""
    its = (
        sa.select(sa.func.aggregate_strings(address.c.ip, " "))
        .join(port, port.c.id == address.c.port_id)
        .where(port.c.device_id == server.c.id)
    )

    def test(text: str) -> _Test:
        finds = _pattern(text).finds
        return lambda ips: any(map(finds, (ips or "").split()))

    return Filter(its.scalar_subquery(), test=test)


_FROM = sa.select(server.c.id).outerjoin(host, host.c.id == server.c.host_id)
_FLAVOR = server.c.flavor["id"].as_string()

FILTERS: Mapping[str, Filter] = MappingProxyType(
    {
        "name": _part(server.c.name),
        "display_name": _part(server.c.name),
        "description": _part(server.c.description),
        "display_description": _part(server.c.description),
        "hostname": _part(server.c.hostname),
        "key_name": _part(server.c.key_name),
        "uuid": _equal(server.c.id),
        "status": Filter(server.c.vm_state, where=_status),
        "vm_state": _equal(server.c.vm_state),
        "task_state": _equal(server.c.task_state),
        "power_state": _equal(server.c.power_state),
        "image": _equal(server.c.image_id),
        "image_ref": _equal(server.c.image_id),
        "flavor": _equal(_FLAVOR),
        "user_id": _equal(server.c.user_id),
        "project_id": _equal(server.c.project_id),
        "tenant_id": _equal(server.c.project_id),
        "availability_zone": _equal(server.c.availability_zone),
        "config_drive": _flag(server.c.config_drive, "config_drive"),
        "reservation_id": _equal(server.c.reservation_id),
        "launch_index": _equal(server.c.launch_index),
        "access_ip_v4": _part(server.c.access_ip_v4),
        "access_ip_v6": _part(server.c.access_ip_v6),
        "locked": _flag(server.c.locked, "locked"),
        "tags": _tags(lambda asked, have: asked <= have),
        "tags-any": _tags(lambda asked, have: bool(asked & have)),
        "not-tags": _tags(lambda asked, have: not asked <= have),
        "not-tags-any": _tags(lambda asked, have: not asked & have),
        "deleted": Filter(server.c.id, where=_deleted),
        "soft_deleted": Filter(server.c.id, where=_deleted),
        "host": _equal(host.c.name),
        "node": _part(host.c.name),
        "ip": _addresses(),
        "ip6": _addresses(),
    }
)
SORT_KEYS: Mapping[str, _Column] = MappingProxyType(
    {
        "created_at": server.c.created_at,
        "updated_at": server.c.updated_at,
        "display_name": server.c.name,
        "display_description": server.c.description,
        "hostname": server.c.hostname,
        "host": host.c.name,
        "node": host.c.name,
        "uuid": server.c.id,
        "vm_state": server.c.vm_state,
        "task_state": server.c.task_state,
        "power_state": server.c.power_state,
        "project_id": server.c.project_id,
        "user_id": server.c.user_id,
        "image_ref": server.c.image_id,
        "instance_type_id": _FLAVOR,
        "key_name": server.c.key_name,
        "availability_zone": server.c.availability_zone,
        "launched_at": server.c.launched_at,
        "terminated_at": server.c.terminated_at,
        "launch_index": server.c.launch_index,
        "config_drive": server.c.config_drive,
        "auto_disk_config": server.c.disk_config,
        "access_ip_v4": server.c.access_ip_v4,
        "access_ip_v6": server.c.access_ip_v6,
        "locked": server.c.locked,
    }
)
