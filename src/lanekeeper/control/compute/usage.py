"""What projects have used of servers and devices, by hours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from lanekeeper.control.caller import Caller
from lanekeeper.control.site import Site
from lanekeeper.domain.compute.usage import ProjectUsage, ServerSpan, usage_by_project
from lanekeeper.domain.errors import Forbidden, Invalid
from lanekeeper.store.compute.usage import device_spans, server_spans
from lanekeeper.store.identity.project import project_get, project_named

LENGTH = timedelta(weeks=4)
"""How far back is looked where nobody says when to start; as the stock client does."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What projects used from *start* to *end*; *names* of those projects that are there yet."""

    start: datetime
    end: datetime
    projects: tuple[ProjectUsage, ...]
    names: Mapping[str, str]


def server_usage(
    site: Site, caller: Caller, start: datetime, end: datetime, project_id: str | None
) -> list[ServerSpan]:
    """Servers that were there between *start* and *end*, of one project or of all.

    Raises:
        Forbidden: the caller is no admin, and it is not the own project.
    """
    if not (caller.is_admin if project_id is None else caller.sees(project_id)):
        raise Forbidden("Policy does not allow the usage of another project to be seen")
    with site.database.read() as connection:
        return server_spans(connection, start, end, project_id)


def usage(
    site: Site,
    caller: Caller,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    project: str | None = None,
) -> Usage:
    """What projects used, devices too; of one by id or name, who is no admin of the own one.

    Args:
        site: whose rows.
        caller: who asks.
        start: four weeks before *end* where nobody says.
        end: now at the latest.
        project: None for all that the caller may see.

    Raises:
        Invalid: there is no such project, or the time ends before it starts.
        Forbidden: it is another project's, and the caller is no admin.
    """
    now = site.clock()
    last = now if end is None else min(end, now)
    first = last - LENGTH if start is None else start
    if first > last:
        raise Invalid(
            f"start {first.isoformat()} is after the end {last.isoformat()}",
            hint="the end is now at the latest",
        )
    project_id = _project(site, caller, project)
    with site.database.read() as connection:
        servers = server_spans(connection, first, last, project_id)
        devices = device_spans(connection, first, last, project_id)
        found = usage_by_project(servers, devices, first, last)
        known = (project_get(connection, one.project_id) for one in found)
        names = {one.id: one.name for one in known if one is not None}
    return Usage(first, last, tuple(found), names)


def _project(site: Site, caller: Caller, wanted: str | None) -> str | None:
    """The id of the project whose usage is told; None for all."""
    if wanted is None:
        if caller.is_admin:
            return None
        if caller.project_id is None:
            raise Forbidden("usage is a project's: use a token with a project scope")
        return caller.project_id
    if not caller.is_admin:
        if wanted not in {caller.project_id, caller.project_name}:
            raise Forbidden("Policy does not allow the usage of another project to be seen")
        return caller.project_id
    with site.database.read() as connection:
        found = project_get(connection, wanted) or project_named(connection, wanted)
        if found is None:
            raise Invalid(
                f"project {wanted[:80]!r} does not exist", hint="openstack project list shows them"
            )
    return found.id
