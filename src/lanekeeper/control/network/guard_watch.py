"""Has hosts hear of what changed of their guarded ports: rules, addresses, members of groups.

A group's members are on many hosts, and whoever changes one of them holds none of those hosts. So
what each host's ports are guarded by is looked at after the change, in transactions of its own.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from functools import partial

import msgspec
import sqlalchemy as sa

from lanekeeper.control.compute.guest import groups_of, guard_wanted
from lanekeeper.control.host.desired import members_of
from lanekeeper.control.site import Site
from lanekeeper.domain.network.port import PortRecord
from lanekeeper.protocol import TapWanted
from lanekeeper.store.host.desired import desired_touch, host_lock
from lanekeeper.store.network.port import ports_switched
from lanekeeper.store.tables import host, port, security_group

LOOK_EVERY_S = 1.0


class GuardWatch:
    """Knows by what each host's ports were guarded when it was looked at last."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._seen: object = None
        self._known: dict[str, bytes] = {}

    def look(self) -> None:
        """Order anew what is wanted of each host whose ports are guarded otherwise than before.

        A controller that was just started knows of no host, and orders all that have such ports.

        Raises:
            Unavailable: the database cannot be read or written.
        """
        with self._site.database.read() as connection:
            seen = _moved(connection)
            if seen == self._seen:
                return
            now = _digests(connection)
        for host_id, digest in sorted(now.items()):
            if self._known.get(host_id) != digest:
                self._site.database.write(partial(_touch, host_id))
                self._site.bells.ring(host_id)
        self._seen, self._known = seen, now


def _touch(host_id: str, connection: sa.Connection) -> None:
    host_lock(connection, host_id)
    desired_touch(connection, host_id)


def _moved(connection: sa.Connection) -> object:
    """What is another whenever a port or a security group was made, changed or deleted."""
    tables = (port, security_group)
    counts = (
        sa.select(
            sa.func.count(),
            sa.func.sum(one.c.revision),
            sa.func.max(one.c.updated_at),
            sa.func.max(one.c.created_at),
        ).select_from(one)
        for one in tables
    )
    return [tuple(connection.execute(count).one()) for count in counts]


def _digests(connection: sa.Connection) -> dict[str, bytes]:
    """By host, what all of its guarded ports are guarded by, made short."""
    ids = {name: host_id for host_id, name in connection.execute(sa.select(host.c.id, host.c.name))}
    by_host: dict[str, list[PortRecord]] = defaultdict(list)
    for one in ports_switched(connection):
        if one.is_filtered and one.host_name in ids:
            by_host[ids[one.host_name]].append(one)
    found = {}
    for host_id, ports in by_host.items():
        groups = groups_of(connection, ports)
        taps = [
            TapWanted(
                port_id=one.id,
                mac=one.mac,
                bridge="",
                physical_network="",
                guard=guard_wanted(one, groups),
            )
            for one in sorted(ports, key=lambda one: one.id)
        ]
        told = msgspec.json.encode((taps, members_of(connection, taps)), order="sorted")
        found[host_id] = hashlib.blake2b(told).digest()
    return found
