"""Flavors: made by admins, seen by those who may."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from lanekeeper.control.caller import Caller
from lanekeeper.control.site import Site
from lanekeeper.domain.compute.extra_spec import check_own, check_spelling, check_values
from lanekeeper.domain.compute.flavor import ALIAS_SPEC, Flavor
from lanekeeper.domain.compute.spec_scope import check_scopes
from lanekeeper.domain.errors import Conflict, Invalid, NotFound
from lanekeeper.domain.network.card import VNIC_TYPE_SPEC, parse_made
from lanekeeper.domain.pci.request import flavor_requests
from lanekeeper.store.compute import flavor as rows

_ID = re.compile(r"[a-zA-Z0-9. _-]{1,255}", re.ASCII)


def list_flavors(site: Site, caller: Caller, is_public: bool | None) -> list[Flavor]:
    """Flavors that the caller may use; *is_public* None, for admins only, lists every one."""
    with site.database.read() as connection:
        if not caller.is_admin:
            # Nova lets members see public ones and those of their project, whatever they ask.
            return rows.flavor_list(connection, project_id=caller.project_id or "")
        return rows.flavor_list(connection, is_public=is_public)


def show_flavor(site: Site, caller: Caller, flavor_id: str) -> Flavor:
    """One flavor.

    Raises:
        NotFound: there is none, or it is private and not this project's.
    """
    with site.database.read() as connection:
        return flavor_seen(connection, caller, flavor_id)


def flavor_seen(connection: sa.Connection, caller: Caller, flavor_id: str) -> Flavor:
    """The flavor if this caller may see it.

    Raises:
        NotFound: there is none, or it is private and not this project's.
    """
    found = rows.flavor_get(connection, flavor_id)
    if found is not None and not (found.is_public or caller.is_admin):
        allowed = rows.access_list(connection, flavor_id)
        found = found if caller.project_id in allowed else None
    if found is None:
        raise NotFound(f"Flavor {flavor_id[:80]} could not be found.")
    return found


def create_flavor(site: Site, new: Flavor) -> Flavor:
    """Make a flavor; an empty id gets a new uuid.

    Raises:
        Invalid: the id has other characters than allowed.
        Conflict: its name or its id is in use.
    """
    if new.id and (not _ID.fullmatch(new.id) or new.id != new.id.strip()):
        raise Invalid("flavorid: letters, digits, periods, dashes, underscores and inner blanks")
    made = Flavor(
        **{name: getattr(new, name) for name in Flavor.__slots__}
        | {"id": new.id or str(uuid.uuid4()), "created_at": site.clock()}
    )

    def work(connection: sa.Connection) -> None:
        if rows.flavor_named(connection, made.name) is not None:
            raise Conflict(f"Flavor with name {made.name} already exists.")
        if rows.flavor_get(connection, made.id) is not None:
            raise Conflict(f"Flavor with ID {made.id} already exists.")
        rows.flavor_insert(connection, made)

    try:
        site.database.write(work)
    except sa.exc.IntegrityError as error:  # a rival was faster
        raise Conflict(f"Flavor with name {made.name} or ID {made.id} already exists.") from error
    return made


def describe_flavor(site: Site, flavor_id: str, description: str | None) -> Flavor:
    """Change the description, the only thing of a flavor that changes.

    Raises:
        NotFound: there is no such flavor.
    """

    def work(connection: sa.Connection) -> Flavor:
        _there(connection, flavor_id)
        rows.flavor_describe(connection, flavor_id, description)
        return _there(connection, flavor_id)

    return site.database.write(work)


def delete_flavor(site: Site, flavor_id: str) -> None:
    """Delete a flavor; servers made of it keep what they copied.

    Raises:
        NotFound: there is no such flavor.
    """

    def work(connection: sa.Connection) -> None:
        _there(connection, flavor_id)
        rows.flavor_delete(connection, flavor_id)

    site.database.write(work)


def set_specs(
    site: Site, flavor_id: str, specs: Mapping[str, str], *, validated: bool
) -> Mapping[str, str]:
    """Merge *specs* into a flavor's; *validated* checks the values too, as from 2.86 on.

    What is ours alone, and what asks for devices or ports, is checked in any case: Nova finds an
    alias that is not defined, or of which something else than a count is asked, when somebody wants
    a server, maybe much later.

    Raises:
        Invalid: a key or a value cannot be, nothing of ours is called so, or it names an alias that
            is not defined, or a vnic type that no host carries.
        NotFound: there is no such flavor.
    """
    check_spelling(specs)
    check_own(specs)
    check_scopes(specs)
    if validated:
        check_values(specs)
    flavor_requests(site.config.pci.alias, specs.get(ALIAS_SPEC))
    if VNIC_TYPE_SPEC in specs:
        parse_made(specs[VNIC_TYPE_SPEC], VNIC_TYPE_SPEC)

    def work(connection: sa.Connection) -> Mapping[str, str]:
        merged = {**_there(connection, flavor_id).extra_specs, **specs}
        rows.flavor_specs_set(connection, flavor_id, merged)
        return merged

    return site.database.write(work)


def unset_spec(site: Site, flavor_id: str, key: str) -> None:
    """Remove one extra spec.

    Raises:
        NotFound: there is no such flavor, or it has no such spec.
    """

    def work(connection: sa.Connection) -> None:
        specs = dict(_there(connection, flavor_id).extra_specs)
        if specs.pop(key, None) is None:
            raise NotFound(f"Flavor {flavor_id} has no extra specs with key {key[:255]}.")
        rows.flavor_specs_set(connection, flavor_id, specs)

    site.database.write(work)


def list_access(site: Site, flavor_id: str) -> Sequence[str]:
    """Ids of the projects that may use a private flavor.

    Raises:
        NotFound: there is no such flavor, or it is public.
    """
    with site.database.read() as connection:
        if _there(connection, flavor_id).is_public:
            raise NotFound("Access list not available for public flavors.")
        return rows.access_list(connection, flavor_id)


def add_access(site: Site, flavor_id: str, project_id: str) -> Sequence[str]:
    """Let a project use a private flavor.

    Raises:
        NotFound: there is no such flavor.
        Conflict: it is public, or the project has access already.
    """

    def work(connection: sa.Connection) -> Sequence[str]:
        if _there(connection, flavor_id).is_public:
            raise Conflict("Can not add access to a public flavor.")
        if project_id in rows.access_list(connection, flavor_id):
            raise Conflict(
                f"Flavor access already exists for flavor {flavor_id} and project {project_id}."
            )
        rows.access_add(connection, flavor_id, project_id)
        return rows.access_list(connection, flavor_id)

    return site.database.write(work)


def remove_access(site: Site, flavor_id: str, project_id: str) -> Sequence[str]:
    """Take a project's access back.

    Raises:
        NotFound: there is no such flavor, or the project had no access.
        Conflict: the flavor is public.
    """

    def work(connection: sa.Connection) -> Sequence[str]:
        if _there(connection, flavor_id).is_public:
            raise Conflict("Can not remove access from a public flavor.")
        if not rows.access_remove(connection, flavor_id, project_id):
            raise NotFound(
                f"Flavor access not found for {flavor_id} / {project_id[:80]} combination."
            )
        return rows.access_list(connection, flavor_id)

    return site.database.write(work)


def _there(connection: sa.Connection, flavor_id: str) -> Flavor:
    found = rows.flavor_get(connection, flavor_id)
    if found is None:
        raise NotFound(f"Flavor {flavor_id[:80]} could not be found.")
    return found
