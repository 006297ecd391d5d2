"""How many more servers of one kind fit."""

from __future__ import annotations

from collections.abc import Collection

from lanekeeper.control.caller import Caller
from lanekeeper.control.compute.filter_choice import filters_now
from lanekeeper.control.compute.question import Question, wants_of
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.scheduling.capacity import Capacity, capacity_of
from lanekeeper.domain.scheduling.fleet import Fleet


def capacity(
    site: Site, caller: Caller, question: Question, *, without: Collection[str] = (), most: int
) -> Capacity:
    """Count servers like that of *question* that could be created now, up to *most*.

    Hosts have to give room; addresses of subnets and the project's quotas do not count. A port that
    is named is a pattern: each server has one like it.

    Args:
        site: whose hosts.
        caller: an operator.
        question: the server.
        without: names of hosts that are thought away, with what they have.
        most: where counting stops.

    Raises:
        Invalid: no host is called like one of *without*, or as in a creation.
        Forbidden, Conflict, NotOffered: as in a creation.
    """
    with site.database.read() as connection:
        request = wants_of(connection, site, caller, question).request
    return capacity_of(
        request,
        _without(site.hosts(), without),
        filters_now(site),
        multipliers=site.config.scheduler.multipliers,
        most=most,
    )


def _without(fleet: Fleet, names: Collection[str]) -> Fleet:
    for name in names:
        if fleet.row_by_name(name) is None:
            raise Invalid(f"no host is called {name[:80]!r}", hint="openstack hypervisor list")
    if not names:
        return fleet
    return Fleet.of(view for view in fleet.views if view.name not in names)
