"""Projects held to their quotas: asked before a host is looked for, judged where things are taken.

What is judged is what the rows say after all was taken, in the transaction that takes it; rivals of
the same project wait for it. Projects without limits wait for nobody.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa

from lanekeeper.control.caller import Caller
from lanekeeper.control.metrics import REFUSALS
from lanekeeper.control.site import Site
from lanekeeper.domain.compute.quota import Amounts, Limits, difference, refuse_excess
from lanekeeper.domain.errors import Forbidden, OverQuota
from lanekeeper.store.compute.quota import project_use, quota_hold
from lanekeeper.store.compute.server_group import server_group_count
from lanekeeper.store.identity.limit import limit_amounts


@dataclass(frozen=True, slots=True)
class Quota:
    """What a project may have, and what it has.

    Attributes:
        server_groups: how many it has, of which there is no limit.
    """

    limits: Limits
    used: Amounts
    server_groups: int = 0


def limits_of(connection: sa.Connection, site: Site, project_id: str) -> Limits:
    """What a project may have now."""
    quota = site.config.quota
    if not quota.is_on:
        return Limits()
    registered, own = limit_amounts(connection, project_id)
    return Limits(registered=registered, own=own, unregistered=quota.unregistered)


def default_limits(site: Site) -> Limits:
    """What a project may have that has no limits of its own."""
    with site.database.read() as connection:
        return limits_of(connection, site, "").default


def quota_of(site: Site, caller: Caller, project_id: str) -> Quota:
    """What a project may have and has.

    Raises:
        Forbidden: another project's, and the caller is no admin.
    """
    if not caller.sees(project_id):
        raise Forbidden("Policy does not allow the quotas of another project to be seen")
    with site.database.read() as connection:
        return Quota(
            limits_of(connection, site, project_id),
            project_use(connection, project_id),
            server_group_count(connection, project_id),
        )


def check_quota(
    connection: sa.Connection, site: Site, project_id: str | None, asked: Mapping[str, int]
) -> None:
    """Let pass what the project may have beside what it has now.

    Raises:
        OverQuota: it would be too much.
    """
    if project_id is None:
        return  # nobody in particular asks
    limits = limits_of(connection, site, project_id)
    if not limits.is_open:
        refuse_excess(limits, project_use(connection, project_id), asked, project_id)


@contextmanager
def within_quota(connection: sa.Connection, site: Site, project_id: str) -> Iterator[None]:
    """Judge what is taken for a project in here, once all of it is taken.

    Its place in the order of locks is behind hosts (``store/placement/hold.py``).

    Raises:
        OverQuota: it is too much; the transaction must be left.
    """
    limits = limits_of(connection, site, project_id)
    if limits.is_open:
        yield
        return
    quota_hold(connection, project_id)
    before = project_use(connection, project_id)
    yield
    taken = difference(before, project_use(connection, project_id))
    try:
        refuse_excess(limits, before, taken, project_id)
    except OverQuota:
        REFUSALS.labels("quota").inc()
        raise
