"""A server that nobody has made yet: what is asked about it, looked up as its creation would be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa

from lanekeeper.control.caller import Caller
from lanekeeper.control.compute.flavor import flavor_seen
from lanekeeper.control.compute.server_nic import NicAsked
from lanekeeper.control.compute.server_order import (
    NewServer,
    Wants,
    check_wants,
    image_of_order,
)
from lanekeeper.control.site import Site
from lanekeeper.domain.compute.flavor import Flavor
from lanekeeper.domain.errors import Forbidden, Invalid, NotFound
from lanekeeper.domain.network.port import VnicType
from lanekeeper.store.compute.flavor import flavor_list
from lanekeeper.store.identity.project import project_get, project_named
from lanekeeper.store.network.network import network_list
from lanekeeper.store.network.port import port_list


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A server that might be asked for; flavor, ports and networks by id or name.

    Attributes:
        image_id: None for a server of which only the rest matters.
        networks: a port is made on each.
        vnic_type, trusted: of the ports that are made; None is the kind that a creation makes.
        security_groups: of the ports that are made, by id or name.
        zone: ``ZONE`` or ``ZONE:HOST``, as in a creation.
        hints: scheduler hints, as in a creation.
    """

    flavor: str
    image_id: str | None = None
    ports: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    vnic_type: VnicType | None = None
    trusted: bool | None = None
    security_groups: tuple[str, ...] = ()
    zone: str | None = None
    host: str | None = None
    hints: Mapping[str, Any] = field(default_factory=dict)


def wants_of(connection: sa.Connection, site: Site, caller: Caller, question: Question) -> Wants:
    """What such a server would need, by the same checks that its creation makes.

    Raises:
        Invalid: something that is named does not exist, or could not be given to any server.
        Forbidden, Conflict, NotOffered: as in a creation.
    """
    flavor = _flavor(connection, caller, question.flavor)
    image = (
        image_of_order(connection, caller, question.image_id, flavor) if question.image_id else None
    )
    made = [
        NicAsked(network_id=one, vnic_type=question.vnic_type, trusted=question.trusted)
        for one in (_network(connection, caller, wanted) for wanted in question.networks)
    ]
    asked = NewServer(
        name="",
        flavor_id=flavor.id,
        image_id=question.image_id or "",
        networks=[
            *(NicAsked(port_id=_port(connection, caller, wanted)) for wanted in question.ports),
            *made,
        ],
        security_groups=question.security_groups,
        zone=question.zone,
        host=question.host,
        hints=question.hints,
    )
    return check_wants(connection, site, caller, asked, flavor=flavor, image=image)


def _flavor(connection: sa.Connection, caller: Caller, wanted: str) -> Flavor:
    try:
        return flavor_seen(connection, caller, wanted)
    except NotFound as error:
        project_id = None if caller.is_admin else caller.project_id
        seen = flavor_list(connection, project_id=project_id)
        for flavor in seen:
            if flavor.name == wanted:
                return flavor
        raise Invalid(
            f"flavor {wanted[:80]!r} does not exist", hint="openstack flavor list shows yours"
        ) from error


def _port(connection: sa.Connection, caller: Caller, wanted: str) -> str:
    def look(column: str) -> list[str]:
        found = port_list(connection, {column: (wanted,)}, project_id=_whose(caller))
        return [one.id for one in found]

    return _id_of("port", wanted, look)


def _network(connection: sa.Connection, caller: Caller, wanted: str) -> str:
    def look(column: str) -> list[str]:
        found = network_list(connection, {column: (wanted,)}, project_id=_whose(caller))
        return [one.id for one in found]

    return _id_of("network", wanted, look)


def _whose(caller: Caller) -> str | None:
    return None if caller.is_admin else caller.project_id or ""


def _id_of(what: str, wanted: str, look: Callable[[str], list[str]]) -> str:
    for column in ("id", "name"):
        found = look(column)
        if len(found) > 1:
            raise Invalid(f"{what} {wanted[:80]!r}: {len(found)} {what}s have this name; use an id")
        if found:
            return found[0]
    raise Invalid(
        f"{what} {wanted[:80]!r} does not exist", hint=f"openstack {what} list shows yours"
    )


def asking_for(connection: sa.Connection, caller: Caller, project: str) -> Caller:
    """*caller* with another project, by id or name.

    Raises:
        Forbidden: a member asks, who asks for the own project alone.
        Invalid: there is no such project.
    """
    if not caller.is_admin:
        raise Forbidden(
            "only an admin asks for another project",
            hint="leave the project out: it is your own that is asked for",
        )
    return replace(caller, project_id=project_id_of(connection, project))


def project_id_of(connection: sa.Connection, wanted: str) -> str:
    """The id of the project with this id or name. Raises Invalid: there is none."""
    found = project_get(connection, wanted) or project_named(connection, wanted)
    if found is None:
        raise Invalid(
            f"project {wanted[:80]!r} does not exist", hint="openstack project list shows them"
        )
    return found.id
