"""A case's host as rows of a database: what is claimed, given back and told goes the real way.

One database serves all cases of a process, a host of its own each.
"""

from __future__ import annotations

import atexit
from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import sqlalchemy as sa

from fleet import Fleet, fleet
from lanekeeper.agent.facts import fact_of
from lanekeeper.control.host.facts import report_facts
from lanekeeper.domain.errors import Conflict
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import DeviceType, PciDevice
from lanekeeper.domain.scheduling.host import BESIDE, HostDevice, Standing
from lanekeeper.protocol import HostFacts
from lanekeeper.store.compute.capacity import host_views
from lanekeeper.store.device.life import Pick, claim_insert, claim_release, device_cleaned
from lanekeeper.store.host.desired import host_lock
from lanekeeper.store.tables import claim, device
from vectors.adapters.host import listed_devices, pci_devices
from vectors.case import Data

_NUMBERS = count(1)


@cache
def _world() -> Fleet:
    ending = ExitStack()
    atexit.register(ending.close)
    home = ending.enter_context(TemporaryDirectory())
    return ending.enter_context(fleet(f"sqlite:///{home}/cases.db", Path(home), hosts=0))


class Rows:
    """One host; its devices are named by address, as cases do."""

    def __init__(self, data: Data) -> None:
        self._world = _world()
        self._database = self._world.site.database
        self._name = f"case-{next(_NUMBERS)}"
        self._host_id = self._world.host(self._name, [], mappings=())
        self._known: dict[PciAddress, PciDevice] = {}
        self.report(data)

    def report(self, data: Data) -> None:
        """The agent tells what the case's host shows and lists now."""
        shown = {one.address: one for one in pci_devices(data)}
        self._known |= shown
        listed = {one.device.address: one for one in listed_devices(data)}
        facts = [fact_of(one.device, one, {}) for one in listed.values()]
        vfs = (one.device for one in listed.values())
        pfs = {vf.parent: vf for vf in vfs if vf.parent is not None}
        # A kernel that has VFs has their PF; cases leave it out where it is not listed.
        facts += [
            fact_of(self._known.get(pf) or _pf_of(pf, vf), None, {})
            for pf, vf in pfs.items()
            if pf not in listed
        ]
        told = HostFacts(host_name=self._name, vcpus=4, memory_mib=4096, disk_gib=9, devices=facts)
        report_facts(self._world.site, self._host_id, told)

    def views(self) -> tuple[HostDevice, ...]:
        """The devices as the scheduler sees them."""
        with self._database.read() as connection:
            oldest = self._world.hands()
            (view,) = host_views(connection, oldest, (), [self._host_id])
        return view.devices

    def holders(self) -> dict[str, str]:
        """Address to holder, of those, too, that the host does not show any more."""
        held = (
            sa.select(device.c.address, claim.c.consumer_id)
            .join(claim, claim.c.device_id == device.c.id)
            .where(device.c.host_id == self._host_id)
        )
        with self._database.read() as connection:
            return {row[0]: row[1].partition("/")[2] for row in connection.execute(held)}

    def standings(self) -> Mapping[str, Standing]:
        held = dict.fromkeys(self.holders(), Standing.HELD)
        return {one.address: one.standing for one in self.views()} | held

    def claim(self, addresses: Collection[str], consumer: str) -> None:
        """All of them or none.

        Raises:
            Conflict: one of them cannot be had.
        """
        ids = {one.address: one.id for one in self.views()}
        if unknown := sorted(set(addresses) - ids.keys()):
            raise Conflict(f"{', '.join(unknown)} is not there, or not listed")
        picks = [Pick(ids[address], address) for address in addresses]

        def work(connection: sa.Connection) -> None:
            host_lock(connection, self._host_id)
            claim_insert(connection, self._consumer(consumer), picks, self._world.hands())

        self._database.write(work)

    def _consumer(self, name: str) -> str:
        return f"{self._name}/{name}"  # cases have the same names for theirs

    def give_back(self, addresses: Collection[str]) -> None:
        """They are cleaned at once, as Nova has no cleaning.

        Raises:
            Conflict: one of them is not held.
        """
        holders, now = self.holders(), self._world.hands()
        if free := sorted(set(addresses) - holders.keys()):
            raise Conflict(f"{', '.join(free)} is not held")

        def work(connection: sa.Connection) -> None:
            host_lock(connection, self._host_id)
            for address in sorted(addresses):
                mine = self._consumer(holders[address])
                for id_ in claim_release(connection, mine, now, address):
                    round_ = sa.select(device.c.cleaning_round).where(device.c.id == id_)
                    number = connection.execute(round_).scalar_one()
                    device_cleaned(connection, self._host_id, id_, number, now)

        self._database.write(work)


def _pf_of(address: PciAddress, vf: PciDevice) -> PciDevice:
    return replace(vf, address=address, parent=None, dev_type=DeviceType.PF)


def counted(
    standings: Mapping[str, Standing], holders: Mapping[str, str], kinds: Mapping[str, str]
) -> dict[str, int]:
    """How many devices of each kind stand how, and with whom."""
    return dict(
        Counter(
            f"{kinds[one]} {_word(standing)} {holders.get(one, '')}".rstrip()
            for one, standing in standings.items()
        )
    )


def _word(standing: Standing) -> str:
    return "blocked" if standing in BESIDE else str(standing)
