"""Projects held to what they may have of Network, judged where it is taken.

Rivals of one project wait for each other; a project without a limit of what is taken waits for
nobody. What was there before a limit was set stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import sqlalchemy as sa

from lanekeeper.control.caller import Caller
from lanekeeper.control.metrics import REFUSALS
from lanekeeper.control.network.scope import missing, owns, sees_all
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Conflict, OverQuota
from lanekeeper.domain.network.quota import (
    UNLIMITED,
    ProjectQuota,
    Resource,
    check_limits,
    refuse_excess,
)
from lanekeeper.store.network.quota import (
    network_quota_drop,
    network_quota_hold,
    network_quota_set,
    network_quotas,
    network_use,
)


def default_quotas(site: Site) -> dict[Resource, int]:
    """What a project may have that has no limits of its own."""
    configured = site.config.network_quotas
    return {resource: getattr(configured, resource) for resource in Resource}


def list_quotas(site: Site, caller: Caller) -> dict[str, dict[Resource, int]]:
    """By project, the limits of those that have any of their own; nothing for who is no admin."""
    if not sees_all(caller):
        return {}
    with site.database.read() as connection:
        found = network_quotas(connection)
    return {project_id: default_quotas(site) | own for project_id, own in found.items()}


def show_quota(site: Site, caller: Caller, project_id: str) -> ProjectQuota:
    """What a project may have and has.

    Raises:
        NotFound: another project's, and *caller* is no admin.
    """
    if not owns(caller, project_id):
        raise missing("Quota", project_id)
    with site.database.read() as connection:
        return _quota(connection, site, project_id)


def change_quota(
    site: Site, project_id: str, wanted: Mapping[str, int], *, force: bool
) -> ProjectQuota:
    """Give a project limits of its own; they hold for what is made from now on.

    Raises:
        Invalid, NotOffered: see ``check_limits``.
    """

    def work(connection: sa.Connection) -> ProjectQuota:
        network_quota_hold(connection, project_id)
        present = _quota(connection, site, project_id)
        network_quota_set(connection, project_id, check_limits(wanted, present.used, force=force))
        return _quota(connection, site, project_id)

    return site.database.write(work)


def reset_quota(site: Site, project_id: str) -> None:
    """Have a project be held to the configured numbers.

    Raises:
        NotFound: code ProjectQuotaNotFound; it has none of its own.
    """
    if not site.database.write(lambda connection: network_quota_drop(connection, project_id)):
        raise missing("ProjectQuota", project_id)


@contextmanager
def within_network_quota(
    connection: sa.Connection, site: Site, project_id: str, resource: Resource
) -> Iterator[None]:
    """Judge what a project takes of a resource in here, once it is taken.

    Raises:
        Conflict: code OverQuota; the transaction must be left.
    """
    own = network_quotas(connection, project_id).get(project_id, {})
    limit = own.get(resource, default_quotas(site)[resource])
    if limit == UNLIMITED:
        yield
        return
    network_quota_hold(connection, project_id)
    before = network_use(connection, project_id, resource)
    yield
    used = network_use(connection, project_id, resource)
    if used > before:
        try:
            refuse_excess(resource, used, limit)
        except Conflict:
            REFUSALS.labels("quota").inc()
            raise


@contextmanager
def ports_within_quota(connection: sa.Connection, site: Site, project_id: str) -> Iterator[None]:
    """The same for ports that are made with a server, in Compute's words.

    Raises:
        OverQuota: the transaction must be left.
    """
    try:
        with within_network_quota(connection, site, project_id, Resource.PORT):
            yield
    except Conflict as error:
        if error.code != "OverQuota":
            raise
        raise OverQuota(f"Maximum number of ports exceeded: {error}", hint=error.hint) from error


def _quota(connection: sa.Connection, site: Site, project_id: str) -> ProjectQuota:
    own = network_quotas(connection, project_id).get(project_id, {})
    used = {resource: network_use(connection, project_id, resource) for resource in Resource}
    return ProjectQuota(default_quotas(site) | own, used)
