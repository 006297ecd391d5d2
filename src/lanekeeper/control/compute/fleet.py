"""The hosts in memory: a fleet that each decision brings up to date before it is made."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import sqlalchemy as sa

from lanekeeper.control.single_flight import SingleFlight
from lanekeeper.domain.compute.aggregate import Aggregate
from lanekeeper.domain.scheduling.fleet import Fleet
from lanekeeper.domain.scheduling.host import DEFAULT_ZONE, HostView
from lanekeeper.store.change_log import (
    AGGREGATES,
    Changes,
    Seen,
    change_log_now,
    change_log_since,
)
from lanekeeper.store.compute.aggregate import (
    aggregate_list,
    aggregates_by_host,
    zone_by_host,
)
from lanekeeper.store.compute.capacity import host_views, hosts_heard, provider_hosts
from lanekeeper.store.database import Database

_ANEW = 2_000
"""Changed hosts from which on reading all is quicker than reading them."""
_HEARD_ANEW_S = 5.0
"""How often all heartbeats are read, beside those later than the latest known.

Controllers write heartbeats in batches: one may commit after a later one, and would be missed.
"""


class FleetMemory:
    """Keeps one fleet. Thread-safe; fleets that were given out stay as they are.

    What ``current`` returns is never older than the call, but for heartbeats, of which it may know
    an older one for some seconds. The database judges each claim again.
    """

    def __init__(self) -> None:
        self._flight = SingleFlight[Fleet]()
        self._fleet: Fleet | None = None
        self._seen = Seen()
        self._aggregates: Sequence[Aggregate] = ()
        self._host_of: dict[str, str] = {}
        self._hearing = _Hearing()

    def current(self, database: Database, now: datetime, down_after_s: float) -> Fleet:
        """Every host; an agent that was last heard *down_after_s* seconds before *now* is down.

        Raises:
            Unavailable: the database cannot be read.
        """
        oldest = now - timedelta(seconds=down_after_s)
        return self._flight.run(lambda: self._look(database, oldest))

    def _look(self, database: Database, oldest: datetime) -> Fleet:
        with database.read() as connection:
            fleet, seen = self._followed(connection, oldest) or self._read_all(connection, oldest)
            turned = self._hearing.turned(connection, fleet, oldest)
        # Both or neither: a change that was seen and is not in the fleet would never be in it.
        self._fleet, self._seen = fleet.with_views(turned), seen
        return self._fleet

    def _read_all(self, connection: sa.Connection, oldest: datetime) -> tuple[Fleet, Seen]:
        self._aggregates = aggregate_list(connection)
        self._host_of = provider_hosts(connection)
        self._hearing = _Hearing()
        fleet = Fleet.of(host_views(connection, oldest, self._aggregates))
        return fleet, change_log_now(connection)

    def _followed(self, connection: sa.Connection, oldest: datetime) -> tuple[Fleet, Seen] | None:
        """The fleet after what changed; None when it has to be read anew."""
        if self._fleet is None:
            return None
        changes = change_log_since(connection, self._seen)
        hosts = self._hosts(connection, changes)
        if hosts is None or len(hosts) > _ANEW:
            return None
        fleet = self._fleet
        if AGGREGATES in changes.amounts:
            self._aggregates = aggregate_list(connection)
            fleet = fleet.with_views(self._moved(fleet))
        if hosts:
            told = host_views(connection, oldest, self._aggregates, hosts)
            fleet = fleet.with_views({**dict.fromkeys(hosts), **_by_id(told)})
        return fleet, changes.seen

    def _hosts(self, connection: sa.Connection, changes: Changes) -> Collection[str] | None:
        """The hosts whose own rows, or whose devices, changed; None when nobody knows which."""
        if changes.providers is None:
            return None
        changed = changes.providers | changes.amounts
        if len(changed) > 4 * _ANEW:
            return None
        before = {self._host_of[one] for one in changed if one in self._host_of}
        now = provider_hosts(connection, changed)
        self._host_of |= now
        mine = {one for one in changed - self._host_of.keys() if one != AGGREGATES}
        return before | {*now.values()} | mine

    def _moved(self, fleet: Fleet) -> dict[str, HostView | None]:
        """Hosts that other aggregates have now, or whose aggregates say something else."""
        zones = zone_by_host(self._aggregates)
        aggregates = aggregates_by_host(self._aggregates)
        return {
            view.id: replace(view, zone=zones.get(view.name, DEFAULT_ZONE), aggregates=mine)
            for view in fleet.views
            if (mine := aggregates.get(view.name, ())) != view.aggregates
        }


class _Hearing:
    """When agents were heard last, and so which hosts are up."""

    def __init__(self) -> None:
        self._heard: dict[str, datetime] = {}
        self._anew_s = -math.inf
        self._due: datetime | None = None
        self._asked: datetime | None = None

    def turned(
        self, connection: sa.Connection, fleet: Fleet, oldest: datetime
    ) -> dict[str, HostView | None]:
        """Hosts that were up and are down, or the other way; down is not heard since *oldest*."""
        news = self._listen(connection)
        earlier = self._asked is not None and oldest < self._asked
        whole = news is None or self._due is None or earlier or oldest > self._due
        self._asked = oldest
        views = fleet.views if whole or news is None else _those(fleet, news)
        up = {view.id for view in views if (at := self._heard.get(view.id)) and at >= oldest}
        if whole:  # nobody goes down before this one does
            self._due = min((self._heard[one] for one in up), default=None)
        return {
            view.id: replace(view, alive=not view.alive)
            for view in views
            if (view.id in up) != view.alive
        }

    def _listen(self, connection: sa.Connection) -> Collection[str] | None:
        """Whom there is news of; None: of anybody."""
        now_s = time.monotonic()
        if now_s - self._anew_s >= _HEARD_ANEW_S or not self._heard:
            self._heard, self._anew_s = dict(hosts_heard(connection)), now_s
            return None
        later = dict(hosts_heard(connection, max(self._heard.values())))
        self._heard |= later
        return later.keys()


def _by_id(views: Iterable[HostView]) -> dict[str, HostView | None]:
    return {view.id: view for view in views}


def _those(fleet: Fleet, host_ids: Iterable[str]) -> tuple[HostView, ...]:
    return tuple(view for one in host_ids if (view := fleet.view(one)) is not None)
