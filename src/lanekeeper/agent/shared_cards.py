"""Cards that a virtual switch shares with VFs: each is told which guests are behind the switch.

Without that a VF reaches no guest of the switch that has its PF for a port (``host.fdb``).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from functools import partial
from pathlib import Path

import msgspec
import structlog

from lanekeeper.agent.observe import View
from lanekeeper.domain import typed
from lanekeeper.domain.errors import Error, NotFound
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.host.machine import Machine
from lanekeeper.hypervisor.driver import Inventory
from lanekeeper.hypervisor.durable_file import write_durably
from lanekeeper.protocol import Desired

Entry = tuple[PciAddress, str]
"""A PF, and the MAC of a guest's card that is behind it."""

log = structlog.get_logger()


def entries(
    desired: Desired,
    inventory: Inventory,
    view: View,
    carrying: Container[str] = (),
) -> frozenset[Entry]:
    """What cards are to be told: the cards of active guests on a switch, to each PF of it.

    Those that stand by for a VF only while they are *carrying*, by port: what is sent to their MAC
    is the VF's else.
    """
    return frozenset(_entries(desired, inventory, view, carrying))


def _entries(
    desired: Desired, inventory: Inventory, view: View, carrying: Container[str]
) -> Iterator[Entry]:
    for server in desired.servers:
        guest = inventory.guest(server.id)
        if guest is None or not guest.is_active:
            continue
        for tap in server.taps:
            bridge = view.switching.bridges.get(tap.physical_network)
            is_idle = tap.failover and tap.port_id not in carrying
            if bridge is not None and tap.port_id in guest.taps and not is_idle:
                yield from ((pf, tap.mac) for pf in bridge.cards)


class SharedCards:
    """Keeps the entries of this host's cards as they should be.

    What was told is noted before it is told, so it is found and taken back whoever was killed in
    between; entries that somebody else made are left alone.
    """

    def __init__(self, machine: Machine, path: Path) -> None:
        self._machine = machine
        self._path = path
        self._complaints: frozenset[str] = frozenset()

    def settle(self, wanted: frozenset[Entry]) -> tuple[str, ...]:
        """Tell cards what they lack and take back what is not wanted any more.

        Returns what could not be done, one sentence each; it is tried again at the next call.
        """
        try:
            problems = self._settle(wanted)
        except (OSError, msgspec.MsgspecError) as error:
            problems = [f"cards are not told of guests behind their bridge: {self._path}: {error}"]
        self._tell(problems)
        return tuple(problems)

    def _settle(self, wanted: frozenset[Entry]) -> list[str]:
        noted = self._load()
        if not wanted and not noted:
            return []
        problems: list[str] = []
        known = {pf: self._known(pf, problems) for pf in {pf for pf, _ in wanted}}
        lacking = {
            (pf, mac) for pf, mac in wanted if (macs := known[pf]) is not None and mac not in macs
        }
        kept = set(noted)
        if not lacking <= kept:
            kept |= lacking
            self._save(kept)
        for pf, mac in sorted(lacking):
            self._try(problems, partial(self._machine.fdb_add, pf, mac))
        gone = {
            (pf, mac)
            for pf, mac in kept - wanted
            if self._try(problems, partial(self._machine.fdb_remove, pf, mac))
        }
        if gone:
            self._save(kept - gone)
        return problems

    def _known(self, pf: PciAddress, problems: list[str]) -> frozenset[str] | None:
        try:
            return self._machine.fdb(pf)
        except Error as error:
            problems.append(str(error))
            return None

    @staticmethod
    def _try(problems: list[str], work: Callable[[], None]) -> bool:
        """Do *work*; a card that is not there any more has forgotten all by itself."""
        try:
            work()
        except NotFound:
            return True
        except Error as error:
            problems.append(str(error))
            return False
        return True

    def _tell(self, problems: list[str]) -> None:
        for problem in frozenset(problems) - self._complaints:
            log.warning("forwarding entries", outcome="failed", error=problem)
        self._complaints = frozenset(problems)

    def _load(self) -> frozenset[Entry]:
        if not self._path.exists():
            return frozenset()
        told = typed.decode(self._path.read_bytes(), list[tuple[str, str]])
        return frozenset((PciAddress.parse(pf), mac) for pf, mac in told)

    def _save(self, entries: set[Entry]) -> None:
        told = [(str(pf), mac) for pf, mac in sorted(entries)]
        write_durably(self._path, msgspec.json.encode(told))
