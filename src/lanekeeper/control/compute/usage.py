"""How much of Compute a project uses; quotas are unlimited, so there is nothing to hold against."""

from __future__ import annotations

from dataclasses import dataclass

from lanekeeper.control.caller import Caller
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Forbidden
from lanekeeper.store.compute.server import server_flavors


@dataclass(frozen=True, slots=True)
class Usage:
    """What the servers of one project add up to; memory in MiB."""

    servers: int = 0
    vcpus: int = 0
    ram_mib: int = 0


def usage_of(site: Site, caller: Caller, project_id: str) -> Usage:
    """Add up the servers of a project.

    Raises:
        Forbidden: another project's, and the caller is no admin.
    """
    if not caller.sees(project_id):
        raise Forbidden("Policy does not allow the quotas of another project to be seen")
    with site.database.read() as connection:
        flavors = server_flavors(connection, project_id)
    return Usage(
        servers=len(flavors),
        vcpus=sum(flavor["vcpus"] for flavor in flavors),
        ram_mib=sum(flavor["ram_mib"] for flavor in flavors),
    )
