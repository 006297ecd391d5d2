"""How many more servers of one kind fit."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from lanekeeper.control.caller import Caller
from lanekeeper.control.compute.address_room import address_demands
from lanekeeper.control.compute.filter_choice import filters_now
from lanekeeper.control.compute.question import Question, project_id_of, wants_of
from lanekeeper.control.compute.quota import limits_of
from lanekeeper.control.compute.what_if import Supposition, supposed_fleet
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.scheduling.bound import Bound, address_bounds, quota_bound
from lanekeeper.domain.scheduling.capacity import Capacity, capacity_of
from lanekeeper.domain.scheduling.fleet import Fleet
from lanekeeper.domain.scheduling.host import ServerRequest
from lanekeeper.store.compute.quota import project_use


def capacity(
    site: Site,
    caller: Caller,
    question: Question,
    *,
    project: str | None = None,
    without: Collection[str] = (),
    supposition: Supposition | None = None,
    most: int,
) -> Capacity:
    """Count servers like that of *question* that could be created now, up to *most*.

    Hosts have to give room, and subnets addresses. A port that is named is a pattern: each server
    has one like it.

    Args:
        site: whose hosts.
        caller: an operator.
        question: the server.
        project: whose servers they are, by id or name; its quotas count then. None: nobody's.
        without: names of hosts that are thought away, with what they have.
        supposition: a host policy that is thought to be applied.
        most: where counting stops.

    Raises:
        Invalid: no host is called like one of *without*, no project like *project*, the policy is
            wrong or fits nowhere, or as in a creation.
        Forbidden, Conflict, NotOffered: as in a creation.
    """
    with site.database.read() as connection:
        if project is not None:
            caller = replace(caller, project_id=project_id_of(connection, project))
        wants = wants_of(connection, site, caller, question)
        demands = address_demands(connection, wants.nics, with_ports=True)
    fleet, supposed = _without(site.hosts(), without), tuple[str, ...]()
    if supposition is not None:
        fleet, supposed = supposed_fleet(site, fleet, supposition)
    found = capacity_of(
        wants.request,
        fleet,
        filters_now(site),
        multipliers=site.config.scheduler.multipliers,
        most=most,
    )
    bounds = [*address_bounds(demands)]
    if project is not None:
        bounds += _quota(site, wants.request, found)
    return replace(found.within(bounds), supposed=supposed)


def _quota(site: Site, request: ServerRequest, found: Capacity) -> Iterator[Bound]:
    project_id = request.project_id or ""
    with site.database.read() as connection:
        limits = limits_of(connection, site, project_id)
        used = project_use(connection, project_id)
    classes = [one for room in found.rooms for one in room.classes]
    bound = quota_bound(limits, used, request, classes, project_id)
    if bound is not None:
        yield bound


def _without(fleet: Fleet, names: Collection[str]) -> Fleet:
    for name in names:
        if fleet.row_by_name(name) is None:
            raise Invalid(f"no host is called {name[:80]!r}", hint="openstack hypervisor list")
    if not names:
        return fleet
    return Fleet.of(view for view in fleet.views if view.name not in names)
