"""Letting a host go for good: nothing of it is known afterwards but which devices are not clean."""

from __future__ import annotations

import sqlalchemy as sa

from lanekeeper.control.compute.aggregate import leave_aggregates
from lanekeeper.control.host.heartbeat import is_alive
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Conflict
from lanekeeper.store.compute.server import servers_of_host
from lanekeeper.store.device.device import devices_to_clean
from lanekeeper.store.device.quarantine import quarantine_keep
from lanekeeper.store.host.desired import host_lock
from lanekeeper.store.host.host import HostRecord, host_consumers, host_delete, host_get
from lanekeeper.store.placement.host_provider import host_tree_hold


def remove_host(site: Site, host_id: str) -> None:
    """Forget a host: its service, devices and providers, its place in aggregates, its credential.

    Its agent, should it still run, is refused from then on and touches nothing; to come back, the
    host has to be enrolled again. Devices that were not clean come back quarantined.

    Raises:
        NotFound: there is none.
        Conflict: it has servers, somebody has allocated something of it, or its agent is cleaning
            devices.

    Source: nova ``api/openstack/compute/services.py``, ServiceController.delete.
    """
    now = site.clock()
    down_after_s = site.config.lanekeeper.agent_down_s

    def work(connection: sa.Connection) -> None:
        host_lock(connection, host_id)
        record = host_get(connection, host_id)
        _check_servers(connection, record)
        host_tree_hold(connection, host_id)  # nobody gets anything of it from here on
        _check_consumers(connection, record)
        if is_alive(record.seen_at, now, down_after_s):
            _check_cleaning(connection, record)
        quarantine_keep(connection, host_id, now)
        leave_aggregates(connection, record.name, now)
        host_delete(connection, host_id)

    site.database.write(work)
    site.bells.ring(host_id)


def _check_servers(connection: sa.Connection, record: HostRecord) -> None:
    if servers := servers_of_host(connection, record.id):
        raise Conflict(
            "Unable to delete compute service that is hosting instances: "
            f"host {record.name} has {len(servers)}",
            hint="delete them first; openstack server list --all-projects --host shows them",
        )


def _check_consumers(connection: sa.Connection, record: HostRecord) -> None:
    if consumers := host_consumers(connection, record.id):
        raise Conflict(
            f"host {record.name} has allocations of {len(consumers)} consumers in Placement, such "
            f"as {consumers[0]}",
            hint="openstack resource provider allocation delete CONSUMER",
        )


def _check_cleaning(connection: sa.Connection, record: HostRecord) -> None:
    if dirty := devices_to_clean(connection, record.id):
        raise Conflict(
            f"host {record.name} is cleaning {len(dirty)} devices",
            hint="wait until that is done; lanekeeper device list shows it",
        )
