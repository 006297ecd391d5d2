"""Addresses that servers like one would take, and how many are left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import sqlalchemy as sa

from lanekeeper.control.compute.server_nic import Nic
from lanekeeper.domain.network.fixed_ip import plan_addresses
from lanekeeper.domain.network.subnet import SubnetRecord
from lanekeeper.domain.scheduling.bound import AddressDemand
from lanekeeper.store.network.subnet import addresses_free, subnets_by_id, subnets_on

_ANY_MAC = "fa:16:3e:00:00:01"
_Wanted = tuple[SubnetRecord, ...]


def address_demands(
    connection: sa.Connection, nics: Sequence[Nic], *, with_ports: bool
) -> tuple[AddressDemand, ...]:
    """What each server with cards like *nics* takes of the pools of subnets.

    A port on a network takes an address of each family, of whichever subnet has one. What guests
    make themselves is no pool's.

    Args:
        connection: where to look.
        nics: the cards of one server.
        with_ports: whether ports that are there are patterns, of which each server has one; else
            they have their addresses already.
    """
    wanted: Counter[_Wanted] = Counter()
    for nic in nics:
        if nic.port is None:
            wanted.update(_of_network(connection, nic))
        elif with_ports:
            subnets = subnets_by_id(connection, (one.subnet_id for one in nic.port.fixed_ips))
            mine = (subnets[one.subnet_id] for one in nic.port.fixed_ips)
            wanted.update((one,) for one in mine if not one.is_automatic)
    free = addresses_free(connection, {one for subnets in wanted for one in subnets})
    return tuple(_demands(wanted, free))


def _of_network(connection: sa.Connection, nic: Nic) -> Iterator[_Wanted]:
    assert nic.network is not None, "a card has a port or a network"
    for one in plan_addresses(None, subnets_on(connection, nic.network.id), _ANY_MAC):
        if one.ip is None:
            yield one.subnets


def _demands(wanted: Counter[_Wanted], free: dict[str, int]) -> Iterator[AddressDemand]:
    """One for each set of subnets, with what is wanted of a part of it alone."""
    for subnets in wanted:
        ids = {one.id for one in subnets}
        within = (count for other, count in wanted.items() if _ids(other) <= ids)
        yield AddressDemand(
            subnets=subnets,
            free=sum(free[one] for one in ids),
            each=sum(within),
        )


def _ids(subnets: Iterable[SubnetRecord]) -> set[str]:
    return {one.id for one in subnets}
