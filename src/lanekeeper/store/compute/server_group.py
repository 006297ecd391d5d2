"""Rows of server groups and who is in them; the database decides who may come in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from lanekeeper.domain.compute.server_group import GroupPolicy, ServerGroup
from lanekeeper.domain.errors import Conflict, NotFound
from lanekeeper.store.batch import batches
from lanekeeper.store.tables import server, server_group, server_group_member

APART = "lanekeeper.server_group.policy"
_COLUMNS = tuple(name for name in ServerGroup.__slots__ if name != "members")


def server_group_list(
    connection: sa.Connection, project_id: str | None = None
) -> list[ServerGroup]:
    """Groups with their members, all or a project's, the oldest first."""
    query = sa.select(server_group).order_by(server_group.c.created_at, server_group.c.id)
    if project_id is not None:
        query = query.where(server_group.c.project_id == project_id)
    return _with_members(connection, connection.execute(query).mappings().all())


def server_group_count(connection: sa.Connection, project_id: str) -> int:
    """How many a project has."""
    mine = server_group.c.project_id == project_id
    return connection.scalar(sa.select(sa.func.count()).where(mine)) or 0


def server_group_get(connection: sa.Connection, group_id: str) -> ServerGroup | None:
    query = sa.select(server_group).where(server_group.c.id == group_id)
    found = _with_members(connection, connection.execute(query).mappings().all())
    return found[0] if found else None


def server_group_insert(connection: sa.Connection, new: ServerGroup) -> None:
    values = {name: getattr(new, name) for name in _COLUMNS}
    connection.execute(server_group.insert().values(**values | {"policy": str(new.policy)}))


def server_group_delete(connection: sa.Connection, group_id: str) -> bool:
    """Forget a group; its servers stay. Whether it was there.

    The group's row is locked first: who takes a place in it has it locked, too.
    """
    if connection.execute(_held(group_id)).one_or_none() is None:
        return False
    members = server_group_member
    connection.execute(members.delete().where(members.c.group_id == group_id))
    connection.execute(server_group.delete().where(server_group.c.id == group_id))
    return True


def server_group_hold(connection: sa.Connection, group_id: str, host_id: str) -> None:
    """Make sure that a server of this group may go to a host, until the transaction ends.

    The group's row is locked, so that of two who come at the same time the later sees the other.

    Raises:
        NotFound: there is no such group any more.
        Conflict: its policy does not let another server of it be there; code APART.
    """
    row = connection.execute(_held(group_id)).mappings().one_or_none()
    if row is None:
        raise NotFound(f"Server group {group_id} could not be found.")
    policy = GroupPolicy(row["policy"])
    if policy not in {GroupPolicy.AFFINITY, GroupPolicy.ANTI_AFFINITY}:
        return
    members = server_group_member
    query = (
        sa.select(server.c.host_id, sa.func.count())
        .join_from(members, server, server.c.id == members.c.server_id)
        .where(members.c.group_id == group_id, server.c.host_id.is_not(None))
        .group_by(server.c.host_id)
    )
    counts = {row[0]: row[1] for row in connection.execute(query)}
    if policy is GroupPolicy.AFFINITY:
        fits = not counts or host_id in counts
    else:
        fits = counts.get(host_id, 0) < (row["max_per_host"] or 1)
    if not fits:
        raise Conflict(f"server group {group_id} does not let a server be there", code=APART)


def server_group_join(connection: sa.Connection, group_id: str, server_id: str) -> None:
    """Count a server in; nothing happens where the group has gone."""
    there = sa.select(sa.literal(server_id), server_group.c.id).where(server_group.c.id == group_id)
    there = there.with_for_update(read=True, key_share=True)  # or it goes before this is written
    connection.execute(server_group_member.insert().from_select(["server_id", "group_id"], there))


def groups_of_servers(connection: sa.Connection, server_ids: Sequence[str]) -> dict[str, str]:
    """The group of each of these servers that is in one."""
    members, found = server_group_member, dict[str, str]()
    for some in batches(server_ids):
        query = sa.select(members.c.server_id, members.c.group_id)
        rows = connection.execute(query.where(members.c.server_id.in_(some)))
        found |= {row[0]: row[1] for row in rows}
    return found


def _held(group_id: str) -> sa.Select[tuple[str, str, int | None]]:
    group = server_group.c
    query = sa.select(group.id, group.policy, group.max_per_host).where(group.id == group_id)
    return query.with_for_update()


def _with_members(connection: sa.Connection, rows: Sequence[sa.RowMapping]) -> list[ServerGroup]:
    members: Mapping[str, list[str]] = defaultdict(list)
    for some in batches([row["id"] for row in rows]):
        query = (
            sa.select(server_group_member.c.group_id, server.c.id)
            .join_from(server_group_member, server, server.c.id == server_group_member.c.server_id)
            .where(server_group_member.c.group_id.in_(some))
            .order_by(server.c.created_at, server.c.id)
        )
        for group_id, server_id in connection.execute(query):
            members[group_id].append(server_id)
    return [
        ServerGroup(
            **{name: row[name] for name in _COLUMNS} | {"policy": GroupPolicy(row["policy"])},
            members=tuple(members[row["id"]]),
        )
        for row in rows
    ]
