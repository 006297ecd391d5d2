"""Who else is out in the storm: clients that reshape trees of their own, and an agent that reports.

Each is the only one to change what it looks at, so after every answer it knows what any controller
must find among the candidates, at once: what was acknowledged, and nothing older.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

from fleet import pf_and_vfs
from lanekeeper.clock import utc_now
from lanekeeper.config import Config
from lanekeeper.control.host.facts import report_facts
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Unavailable
from lanekeeper.protocol import HostFacts
from lanekeeper.store.database import Database
from lanekeeper.store.host.host import host_insert
from storm import COMMIT_ENDS_S, Asking, Controllers

_TRIES = 50
_CARDS, _VFS = ("21", "41", "61"), 7
_VF_CLASS = "CUSTOM_PCI_8086_10CA"


def identifier(random: Random) -> str:
    return str(UUID(int=random.getrandbits(128), version=4))


@dataclass(frozen=True, slots=True)
class Plot:
    """What a gardener has: *total* of its class at one of its two providers, *held* of it taken.

    Attributes:
        marked, below: whether the first provider has the trait, and what it hangs below.
        known: whether the spare trait and class exist.
    """

    at: int = 0
    total: int = 4
    held: int = 0
    marked: bool = False
    below: str | None = None
    known: bool = False


class Gardener(Asking):
    """Two providers, a class, a trait and a consumer of its own; whatever is acknowledged shows."""

    def __init__(self, random: Random, controllers: Controllers, number: int, rack: str) -> None:
        super().__init__(random, controllers)
        self._number, self._rack, self._consumer = number, rack, identifier(random)
        self._providers = [identifier(random) for _ in range(2)]
        self._class, self._trait = f"CUSTOM_CROP_{number}", f"CUSTOM_MARK_{number}"
        self._spare = f"CUSTOM_SPARE_{number}"
        self._plot = Plot()
        self.answered = 0
        self.lost = 0

    def prepare(self) -> None:
        """Make what it works with; for calm weather."""
        for path in (f"/resource_classes/{self._class}", f"/traits/{self._trait}"):
            assert self.once("PUT", path)[0] == 201
        for place, provider in enumerate(self._providers):
            body = {"uuid": provider, "name": self._name(place)}
            assert self.once("POST", "/resource_providers", body)[0] == 200
        assert self._stock(self._plot)[0] == 200

    def run(self, steps: int) -> None:
        doing = (
            self._restock,
            self._claim,
            self._mark,
            self._move,
            self._reshape,
            self._name_something,
        )
        for _ in range(steps):
            wanted, send = self._random.choice(doing)()
            self._change(wanted, send)
            self._look()

    def _change(self, wanted: Plot, send: Callable[[Plot], tuple[int, Any]]) -> None:
        """Send it; where nobody answers, find out what became of it, and send it again."""
        for _ in range(_TRIES):
            status, said = send(wanted)
            if 200 <= status < 300:
                self.answered += 1
                self._plot = wanted
                return
            assert status in (0, 503), (self._number, self._plot, wanted, status, said)
            self.lost += 1
            time.sleep(COMMIT_ENDS_S)
            found = self._read()
            assert found in (self._plot, wanted), (self._plot, wanted, found)
            self._plot = found
            if found == wanted:
                return
        raise AssertionError(f"{wanted} was never acknowledged")

    # What it does -----------------------------------------------------------------------------

    def _restock(self) -> tuple[Plot, Callable[[Plot], tuple[int, Any]]]:
        return replace(self._plot, total=self._plot.held + self._random.randint(1, 5)), self._stock

    def _stock(self, plot: Plot) -> tuple[int, Any]:
        home = f"/resource_providers/{self._providers[plot.at]}"
        body = {
            "inventories": {self._class: {"total": plot.total}},
            "resource_provider_generation": self._generation(plot.at),
        }
        return self.once("PUT", f"{home}/inventories", body)

    def _claim(self) -> tuple[Plot, Callable[[Plot], tuple[int, Any]]]:
        held = self._random.randint(0, self._plot.total)
        return replace(self._plot, held=held), lambda plot: self.once(
            "POST", "/allocations", self._allocations(plot)
        )

    def _allocations(self, plot: Plot) -> dict[str, Any]:
        told = self.ask("GET", f"/allocations/{self._consumer}")
        some = {self._providers[plot.at]: {"resources": {self._class: plot.held}}}
        return {
            self._consumer: {
                "allocations": some if plot.held else {},
                "project_id": "p",
                "user_id": "u",
                "consumer_type": "INSTANCE",
                "consumer_generation": told.get("consumer_generation"),
            }
        }

    def _mark(self) -> tuple[Plot, Callable[[Plot], tuple[int, Any]]]:
        def send(plot: Plot) -> tuple[int, Any]:
            body = {
                "traits": [self._trait] if plot.marked else [],
                "resource_provider_generation": self._generation(0),
            }
            return self.once("PUT", f"/resource_providers/{self._providers[0]}/traits", body)

        return replace(self._plot, marked=not self._plot.marked), send

    def _move(self) -> tuple[Plot, Callable[[Plot], tuple[int, Any]]]:
        def send(plot: Plot) -> tuple[int, Any]:
            body = {"name": self._name(0), "parent_provider_uuid": plot.below}
            return self.once("PUT", f"/resource_providers/{self._providers[0]}", body)

        places = {None, self._rack, self._providers[1]} - {self._plot.below}
        below = self._random.choice(sorted(places, key=str))
        return replace(self._plot, below=below), send

    def _reshape(self) -> tuple[Plot, Callable[[Plot], tuple[int, Any]]]:
        """Carry all that there is, and what is held of it, to the other provider."""

        def send(plot: Plot) -> tuple[int, Any]:
            records: tuple[dict[str, Any], ...] = ({self._class: {"total": plot.total}}, {})
            stocks = {
                self._providers[place]: {
                    "inventories": records[place != plot.at],
                    "resource_provider_generation": self._generation(place),
                }
                for place in range(2)
            }
            claims = self._allocations(plot) if plot.held else {}
            return self.once("POST", "/reshaper", {"inventories": stocks, "allocations": claims})

        return replace(self._plot, at=1 - self._plot.at), send

    def _name_something(self) -> tuple[Plot, Callable[[Plot], tuple[int, Any]]]:
        """Make a trait that nobody has, or forget it."""

        def send(plot: Plot) -> tuple[int, Any]:
            return self.once("PUT" if plot.known else "DELETE", f"/traits/{self._spare}")

        return replace(self._plot, known=not self._plot.known), send

    # What it sees -----------------------------------------------------------------------------

    def _name(self, place: int) -> str:
        return f"garden{self._number}.{place}"

    def _generation(self, place: int) -> int:
        told = self.ask("GET", f"/resource_providers/{self._providers[place]}")
        return int(told["generation"])

    def _read(self) -> Plot:
        """Return what the database has, asked of any controller."""
        homes = [f"/resource_providers/{provider}" for provider in self._providers]
        stocks = [self.ask("GET", f"{home}/inventories")["inventories"] for home in homes]
        (at,) = (place for place, stock in enumerate(stocks) if self._class in stock)
        held = self.ask("GET", f"/allocations/{self._consumer}")["allocations"]
        assert set(held) <= {self._providers[at]}, (self._number, held)
        spare = self.ask("GET", f"/traits?name=in:{self._spare}")["traits"]
        return Plot(
            at=at,
            total=stocks[at][self._class]["total"],
            held=sum(part["resources"][self._class] for part in held.values()),
            marked=self._trait in self.ask("GET", f"{homes[0]}/traits")["traits"],
            below=self.ask("GET", homes[0])["parent_provider_uuid"],
            known=self._spare in spare,
        )

    def _look(self) -> None:
        """Whatever was acknowledged is what any controller searches in."""
        plot, mine = self._plot, self._providers[self._plot.at]
        free = plot.total - plot.held
        assert not self._found(free + 1), (plot, "more is offered than is free")
        if not free:
            return
        first = plot.at == 0
        assert self._found(free) == {mine}, (plot, "what is free is not offered")
        marked = self._found(free, f"&required={self._trait}")
        assert marked == ({mine} if first and plot.marked else set()), (plot, "trait", marked)
        in_rack = self._found(free, f"&in_tree={self._rack}")
        assert in_rack == ({mine} if first and plot.below == self._rack else set()), (plot, "tree")

    def _found(self, amount: int, more: str = "") -> set[str]:
        asked = f"/allocation_candidates?resources={self._class}:{amount}{more}"
        told = self.ask("GET", asked)["allocation_requests"]
        return {provider for one in told for provider in one["allocations"]}


class Agent(Asking):
    """A host whose cards come and go; each report that was taken is what candidates show."""

    def __init__(self, random: Random, controllers: Controllers, home: Path) -> None:
        super().__init__(random, controllers)
        self._database = Database(controllers.database_url)
        self._site = Site(database=self._database, config=Config(), clock=utc_now, state_dir=home)
        self._host = identifier(random)
        self.taken = 0

    def prepare(self) -> None:
        """Enrol the host; for calm weather."""
        self._database.write(lambda c: host_insert(c, self._host, "stormy", "hash", utc_now()))
        self._report(_CARDS)

    def run(self, reports: int) -> None:
        for _ in range(reports):
            self._report(self._random.sample(_CARDS, self._random.randint(0, len(_CARDS))))

    def _report(self, cards: Sequence[str]) -> None:
        vcpus = self._random.randint(1, 9)
        facts = HostFacts(
            host_name="stormy",
            vcpus=vcpus,
            memory_mib=4096,
            disk_gib=10,
            devices=[device for bus in sorted(cards) for device in pf_and_vfs(bus, _VFS)],
            mappings={},
        )
        for _ in range(_TRIES):  # as agents do: a report may be repeated
            with suppress(Unavailable):
                report_facts(self._site, self._host, facts)
                break
            time.sleep(COMMIT_ENDS_S)
        else:
            raise AssertionError("the database was away all the time")
        self.taken += 1
        self._look(vcpus, len(cards))

    def _look(self, vcpus: int, cards: int) -> None:
        tree = f"in_tree={self._host}"
        for amount in (vcpus, vcpus + 1):
            told = self._candidates(f"resources=VCPU:{amount}&{tree}")
            assert len(told) == (amount == vcpus), (vcpus, amount, told)
        told = self._candidates(f"resources={_VF_CLASS}:{_VFS}&{tree}")
        assert len(told) == cards, (cards, told)

    def _candidates(self, asked: str) -> list[Mapping[str, Any]]:
        told = self.ask("GET", f"/allocation_candidates?{asked}")["allocation_requests"]
        assert isinstance(told, list)
        return told

    def close(self) -> None:
        super().close()
        self._database.close()
