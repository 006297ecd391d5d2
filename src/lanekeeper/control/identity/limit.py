"""What can be wanted of limits. They hold for servers whose creation begins after they were set."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import IntegrityError

from lanekeeper.control.caller import Caller
from lanekeeper.control.identity.project import find_project
from lanekeeper.control.identity.unique import write_unique
from lanekeeper.control.site import Site
from lanekeeper.domain.compute.quota import check_alias, of_class, parse_resource
from lanekeeper.domain.errors import Forbidden, Invalid, NotFound
from lanekeeper.domain.identity.limit import Limit, RegisteredLimit
from lanekeeper.store.identity.limit import (
    limit_delete,
    limit_insert,
    limit_list,
    limit_update,
    registered_limit_delete,
    registered_limit_insert,
    registered_limit_list,
    registered_limit_update,
)
from lanekeeper.store.placement.resource_name import classes_found

log = structlog.get_logger("lanekeeper.limit")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLimit:
    """A limit that somebody wants; without a project it is to be registered for all of them."""

    resource_name: str
    amount: int
    region_id: str | None = None
    description: str | None = None
    project_id: str = ""


# Registered limits --------------------------------------------------------------------------------


def list_registered_limits(site: Site, **wanted: str | None) -> list[RegisteredLimit]:
    """Those whose columns are as *wanted* says, by id; None is anything."""
    with site.database.read() as connection:
        return registered_limit_list(connection, **wanted)


def show_registered_limit(site: Site, id_: str) -> RegisteredLimit:
    """One of them. Raises NotFound: there is none."""
    with site.database.read() as connection:
        return _registered(connection, id_)


def create_registered_limits(site: Site, wanted: Sequence[NewLimit]) -> list[RegisteredLimit]:
    """Register all of them, or none.

    Raises:
        Invalid: nothing is counted under a name, or no alias has it.
        Conflict: a resource has one already.
    """
    made = [
        RegisteredLimit(
            id=uuid.uuid4().hex,
            resource_name=_resource(site, one.resource_name),
            default_limit=one.amount,
            region_id=_region(site, one.region_id),
            description=one.description,
        )
        for one in wanted
    ]

    def work(connection: sa.Connection) -> None:
        for one in made:
            registered_limit_insert(connection, one)

    write_unique(site, work, _taken("registered limit", [one.resource_name for one in made]))
    _tell_idle(site, [one.resource_name for one in made])
    return made


def _tell_idle(site: Site, resources: Sequence[str]) -> None:
    """Have the log tell of classes that nothing has: limited for hosts to come, or misspelt."""
    custom = of_class("CUSTOM_")
    names = {one.removeprefix(of_class("")) for one in resources if one.startswith(custom)}
    with site.database.read() as connection:
        idle = names - classes_found(connection, names)
    for name in sorted(idle):
        log.warning(
            "limit.idle",
            resource=of_class(name),
            reason="no device is counted under this class, so nobody is held to the limit yet; "
            "lanekeeper device list shows the classes that there are",
        )


def update_registered_limit(site: Site, id_: str, values: dict[str, Any]) -> RegisteredLimit:
    """Change what *values* names, by the columns.

    Raises:
        Invalid: as ``create_registered_limits``.
        NotFound: there is none.
        Forbidden: it is to be another resource's, and projects have limits of this one.
        Conflict: the other resource has one already.
    """
    if "resource_name" in values:
        _resource(site, values["resource_name"])
    _region(site, values.get("region_id"))

    def work(connection: sa.Connection) -> RegisteredLimit:
        before = _registered(connection, id_)
        after = replace(before, **values)
        if after.resource_name != before.resource_name and limit_list(
            connection, registered_id=id_
        ):
            raise _in_use(id_)
        registered_limit_update(connection, id_, values)
        return after

    taken = _taken("registered limit", [str(values.get("resource_name"))])
    changed = write_unique(site, work, taken)
    _tell_idle(site, [changed.resource_name])
    return changed


def delete_registered_limit(site: Site, id_: str) -> None:
    """Remove one.

    Raises:
        NotFound: there is none.
        Forbidden: projects have limits in its place.
    """
    try:
        is_gone = site.database.write(lambda connection: registered_limit_delete(connection, id_))
    except IntegrityError as error:
        raise _in_use(id_) from error
    if not is_gone:
        raise _missing("registered limit", id_)


# Limits of projects -------------------------------------------------------------------------------


def list_limits(site: Site, caller: Caller, **wanted: str | None) -> list[Limit]:
    """Those whose fields are as *wanted* says, by id; only admins see other projects'."""
    if not caller.is_admin:
        asked = wanted.get("project_id") or caller.project_id
        if asked is None or asked != caller.project_id:
            return []
        wanted["project_id"] = asked
    with site.database.read() as connection:
        return limit_list(connection, **wanted)


def show_limit(site: Site, caller: Caller, id_: str) -> Limit:
    """One of them.

    Raises:
        NotFound: there is none.
        Forbidden: it is another project's, and the caller is no admin.
    """
    with site.database.read() as connection:
        found = _limit(connection, id_)
    if not caller.sees(found.project_id):
        raise Forbidden("You are not authorized to look at that limit; it takes the role admin")
    return found


def create_limits(site: Site, wanted: Sequence[NewLimit]) -> list[Limit]:
    """Make all of them, or none.

    Raises:
        Invalid: nothing is counted under a name.
        NotFound: there is no such project.
        Forbidden: no limit is registered of a resource.
        Conflict: a project has a limit of a resource already.
    """
    for one in wanted:
        _resource(site, one.resource_name)
        _region(site, one.region_id)

    def work(connection: sa.Connection) -> list[Limit]:
        made = []
        for one in wanted:
            find_project(connection, one.project_id)
            found = registered_limit_list(connection, resource_name=one.resource_name)
            if not found:
                raise Forbidden(
                    "Unable to create a limit that has no corresponding registered limit: there "
                    f"is none of {one.resource_name}",
                    hint="openstack registered limit create --service nova --default-limit N "
                    f"{one.resource_name}",
                )
            new = Limit(
                id=uuid.uuid4().hex,
                project_id=one.project_id,
                registered_id=found[0].id,
                resource_name=one.resource_name,
                resource_limit=one.amount,
                region_id=found[0].region_id,
                description=one.description,
            )
            limit_insert(connection, new)
            made.append(new)
        return made

    return write_unique(site, work, _taken("limit", [one.resource_name for one in wanted]))


def update_limit(site: Site, id_: str, values: dict[str, Any]) -> Limit:
    """Change what *values* names: resource_limit, description. Raises NotFound: there is none."""

    def work(connection: sa.Connection) -> Limit:
        limit_update(connection, id_, values)
        return _limit(connection, id_)

    return site.database.write(work)


def delete_limit(site: Site, id_: str) -> None:
    """Remove one; what is registered holds then. Raises NotFound: there is none."""
    if not site.database.write(lambda connection: limit_delete(connection, id_)):
        raise _missing("limit", id_)


def _registered(connection: sa.Connection, id_: str) -> RegisteredLimit:
    for found in registered_limit_list(connection, id=id_):
        return found
    raise _missing("registered limit", id_)


def _limit(connection: sa.Connection, id_: str) -> Limit:
    for found in limit_list(connection, id=id_):
        return found
    raise _missing("limit", id_)


def _resource(site: Site, name: str) -> str:
    check_alias(parse_resource(name), {alias.name for alias in site.config.pci.alias})
    return name


def _region(site: Site, region_id: str | None) -> str | None:
    here = site.config.lanekeeper.region
    if region_id not in {None, here}:
        raise Invalid(f"region_id {str(region_id)[:80]!r} is not there", hint=f"{here} is")
    return region_id


def _missing(what: str, id_: str) -> NotFound:
    return NotFound(f"Could not find {what} for {id_[:80]}.")


def _taken(what: str, names: Sequence[str]) -> str:
    return (
        f"Conflict occurred attempting to store {what}: there is one of {' or of '.join(names)} "
        f"already; change it: openstack {what} set"
    )


def _in_use(id_: str) -> Forbidden:
    return Forbidden(
        f"Unable to update or delete registered limit {id_} because there are project limits "
        "associated with it",
        hint="openstack limit list and limit delete",
    )
