"""All that must be true of a database at every moment, one function each, in one table.

The database itself arbitrates while it is written to; this finds what a bug, a hand or a disk has
made of it afterwards. It reads one moment and changes nothing, so it may run beside a controller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import sqlalchemy as sa

from lanekeeper.control.verify import compute, device, host, network, placement, topology
from lanekeeper.control.verify.finding import Finding
from lanekeeper.store.records import Records, records_load

Invariant = Callable[[Records], Iterator[Finding]]

INVARIANTS: tuple[Invariant, ...] = (
    device.claimed_devices_are_held,
    device.held_devices_are_claimed_once,
    device.pfs_have_cards,
    device.cards_are_counted_right,
    device.pfs_and_vfs_are_not_held_together,
    device.units_have_one_holder,
    device.vfs_hang_on_their_pf,
    device.devices_belong_to_their_providers,
    placement.used_is_what_is_allocated,
    placement.capacity_follows_from_the_inventory,
    placement.use_is_within_capacity,
    placement.allocations_refer_to_what_is_there,
    placement.consumers_consume,
    placement.providers_are_trees,
    placement.own_providers_have_their_host,
    compute.claims_are_servers,
    compute.placed_servers_are_consumers,
    compute.servers_have_what_they_asked_for,
    topology.cells_are_used_as_claimed,
    topology.cells_are_servers,
    topology.pinned_cpus_belong_to_cells,
    network.ports_are_where_their_servers_are,
    network.servers_have_their_ports,
    network.bindings_are_of_one_place_each,
    network.ports_hold_what_is_allocated,
    network.macs_are_given_once,
    network.addresses_are_given_once_and_fit,
    network.vlans_are_given_once,
    host.generations_are_sane,
    host.marks_have_their_host,
)


def verify(connection: sa.Connection) -> list[Finding]:
    """Check every invariant; the connection shows one moment."""
    records = records_load(connection)
    return [finding for invariant in INVARIANTS for finding in invariant(records)]
