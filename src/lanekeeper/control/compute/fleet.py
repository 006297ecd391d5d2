"""The hosts in memory: a fleet that each decision brings up to date before it is made."""

from __future__ import annotations

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
        self._heard: dict[str, datetime] = {}
        self._heard_anew = 0.0

    def current(self, database: Database, now: datetime, down_after_s: float) -> Fleet:
        """Every host; an agent that was last heard *down_after_s* seconds before *now* is down.

        Raises:
            Unavailable: the database cannot be read.
        """
        oldest = now - timedelta(seconds=down_after_s)
        return self._flight.run(lambda: self._look(database, oldest))

    def _look(self, database: Database, oldest: datetime) -> Fleet:
        with database.read() as connection:
            fleet = self._followed(connection, oldest) or self._read_all(connection, oldest)
            self._hear(connection)
            self._fleet = fleet.with_views(self._turned(fleet, oldest))
            return self._fleet

    def _read_all(self, connection: sa.Connection, oldest: datetime) -> Fleet:
        self._aggregates = aggregate_list(connection)
        self._host_of = provider_hosts(connection)
        self._heard, self._heard_anew = {}, 0.0
        fleet = Fleet.of(host_views(connection, oldest, self._aggregates))
        self._seen = change_log_now(connection)
        return fleet

    def _followed(self, connection: sa.Connection, oldest: datetime) -> Fleet | None:
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
        self._seen = changes.seen
        return fleet

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

    def _hear(self, connection: sa.Connection) -> None:
        now = time.monotonic()
        if now - self._heard_anew >= _HEARD_ANEW_S or not self._heard:
            self._heard, self._heard_anew = dict(hosts_heard(connection)), now
        else:
            self._heard |= hosts_heard(connection, max(self._heard.values()))

    def _turned(self, fleet: Fleet, oldest: datetime) -> dict[str, HostView | None]:
        """Hosts that were up and are down, or the other way."""
        heard = self._heard
        return {
            view.id: replace(view, alive=not view.alive)
            for view in fleet.views
            if (view.id in heard and heard[view.id] >= oldest) != view.alive
        }


def _by_id(views: Iterable[HostView]) -> dict[str, HostView | None]:
    return {view.id: view for view in views}
