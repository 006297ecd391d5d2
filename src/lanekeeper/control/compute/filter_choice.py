"""The filters of one decision: those that the operator has named, told what they ask about."""

from __future__ import annotations

from dataclasses import replace

from lanekeeper.control.site import Site
from lanekeeper.domain.scheduling.filter_choice import COUNT_BUILDS, filters_of
from lanekeeper.domain.scheduling.verdict import Filter
from lanekeeper.store.compute.server import building_by_host


def filters_now(site: Site) -> tuple[Filter, ...]:
    """Return the filters to ask now, in order.

    Raises:
        Unavailable: the database cannot be read.
    """
    scheduler = site.config.scheduler
    settings = scheduler.filter_settings
    if not COUNT_BUILDS.isdisjoint(scheduler.enabled_filters):
        with site.database.read() as connection:
            settings = replace(settings, builds=building_by_host(connection))
    return filters_of(scheduler.enabled_filters, settings)
