"""Server groups: made, seen, forgotten; servers come into them when they are created."""

from __future__ import annotations

import uuid

import sqlalchemy as sa

from lanekeeper.control.caller import Caller
from lanekeeper.control.site import Site
from lanekeeper.domain.compute.server_group import GroupPolicy, ServerGroup, check_rules
from lanekeeper.domain.errors import Invalid, NotFound
from lanekeeper.store.compute import server_group as rows


def list_groups(site: Site, caller: Caller, *, all_projects: bool) -> list[ServerGroup]:
    """The caller's project's groups, or with *all_projects* everybody's: for admins, as in Nova."""
    everybody = all_projects and caller.is_admin
    with site.database.read() as connection:
        return rows.server_group_list(connection, None if everybody else caller.project_id or "")


def group_seen(connection: sa.Connection, caller: Caller, group_id: str) -> ServerGroup:
    """One group.

    Raises:
        NotFound: there is none, or it is another project's.
    """
    found = rows.server_group_get(connection, group_id)
    if found is None or not caller.sees(found.project_id):
        raise NotFound(f"Instance group {group_id[:80]} could not be found.")
    return found


def show_group(site: Site, caller: Caller, group_id: str) -> ServerGroup:
    """One group.

    Raises:
        NotFound: there is none, or it is another project's.
    """
    with site.database.read() as connection:
        return group_seen(connection, caller, group_id)


def create_group(
    site: Site, caller: Caller, name: str, policy: GroupPolicy, max_per_host: int | None
) -> ServerGroup:
    """Make a group without servers; names need not be unique.

    Raises:
        Invalid: *max_per_host* with another policy than anti-affinity, or no project.
    """
    check_rules(policy, max_per_host)
    if caller.project_id is None:
        raise Invalid("a server group belongs to a project: use a token with a project scope")
    made = ServerGroup(
        id=str(uuid.uuid4()),
        name=name,
        project_id=caller.project_id,
        user_id=caller.user_id,
        policy=policy,
        created_at=site.clock(),
        max_per_host=max_per_host,
    )
    site.database.write(lambda connection: rows.server_group_insert(connection, made))
    return made


def delete_group(site: Site, caller: Caller, group_id: str) -> None:
    """Forget a group; its servers stay where they are.

    Raises:
        NotFound: there is none, or it is another project's.
    """

    def work(connection: sa.Connection) -> None:
        group_seen(connection, caller, group_id)
        if not rows.server_group_delete(connection, group_id):
            raise NotFound(f"Instance group {group_id[:80]} could not be found.")

    site.database.write(work)
