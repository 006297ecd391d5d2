"""A device's life, step by step: claims, releases, and what the host shows after a restart.

Nova's claimed and allocated are one thing here, its release gives a device back clean. Of equal
devices any may be taken: where another one is than in the case, the two change places from then on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from lanekeeper.domain.errors import Error
from lanekeeper.domain.scheduling.fit import fit_devices
from lanekeeper.domain.scheduling.host import BESIDE, Standing
from lanekeeper.domain.scheduling.shortfall import Shortfall
from vectors.adapters.host import needs
from vectors.adapters.placing import KINDS, kinds_of
from vectors.adapters.rows import Rows
from vectors.case import Answer, Data

_NOT_THERE = {"removed", "deleted"}


def state_machine(data: Data) -> Iterator[Answer]:
    life = _Life(data)
    for number, step in enumerate(data["steps"]):
        said = {"step": number, **life.take(step)}
        expected = {"step": number, **life.told(step["expect"])}
        yield Answer(said, expected)
        if said != expected:  # from here on it is another world
            return
        yield Answer(
            {"free": len(said["free"]), "in_pools": len(said["free"])},
            {"free": len(expected["free"]), "in_pools": len(step["expect"]["free_in_pools"])},
            "pools",
        )


class _Life:
    """One case as it goes on; *ours* maps an address of the case to the one taken in its place."""

    def __init__(self, data: Data) -> None:
        self.data = dict(data)
        self.host = Rows(data)
        self.allocated: set[str] = set()
        self.ours: dict[str, str] = {}
        self.kinds = kinds_of(data)

    def take(self, step: Data) -> dict[str, Any]:
        try:
            getattr(self, f"_{step['op']}")(step)
            result = "ok"
        except Error:
            result = "error"
        standings = self.host.standings()
        return {
            "result": result,
            "held": dict(sorted(self.host.holders().items())),
            "blocked": sorted(one for one, how in standings.items() if how in BESIDE),
            "free": sorted(one for one, how in standings.items() if how is Standing.FREE),
        }

    def told(self, expect: Data) -> dict[str, Any]:
        """The same of what Nova said, in our addresses."""
        there = {
            self._our(address): one
            for address, one in expect["devices"].items()
            if one["status"] not in _NOT_THERE
        }

        def of(kind: str) -> list[str]:
            return sorted(one for one, told in there.items() if KINDS[told["status"]] == kind)

        return {
            "result": expect["result"],
            "held": {one: there[one]["owner"] for one in of("held")},
            "blocked": of("blocked"),
            "free": of("free"),
        }

    def _claim(self, step: Data) -> None:
        given = fit_devices(needs(step["requests"]), self.host.views())
        if isinstance(given, Shortfall):
            raise Error(given.reason)
        taken = [one.device.address for one in given]
        self.host.claim(taken, step["server"])
        self._swap(step["expect"].get("claimed", ()), taken)

    def _allocate(self, step: Data) -> None:
        self.allocated |= self._of(step["server"])

    def _free(self, step: Data) -> None:
        self._give_back(self._of(step["server"]))

    def _free_claims(self, step: Data) -> None:
        self._give_back(self._of(step["server"]) - self.allocated)

    def _free_allocations(self, step: Data) -> None:
        self._give_back(self._of(step["server"]) & self.allocated)

    def _clean_usage(self, step: Data) -> None:
        known = step["known_servers"]
        self._give_back({one for one, by in self.host.holders().items() if by not in known})

    def _device_claim(self, step: Data) -> None:
        self.host.claim([self._our(step["address"])], step["server"])

    def _device_allocate(self, step: Data) -> None:
        if self.host.holders().get(self._our(step["address"])) != step["server"]:
            self._device_claim(step)
        self.allocated.add(self._our(step["address"]))

    def _device_free(self, step: Data) -> None:
        self._give_back({self._our(step["address"])})

    def _device_remove(self, step: Data) -> None:
        """It is told of no more. One that is held is kept, and there when it is told of again."""
        address = self._our(step["address"])
        left = [one for one in self.data["devices"] if one["address"] != address]
        self.host.report(self.data | {"devices": left})
        if address in self.host.holders():
            self.host.report(self.data)
            raise Error(f"{address} is held, and kept")
        self.data["devices"] = left

    def _restart(self, step: Data) -> None:
        shown = [
            {
                **one,
                "address": self._our(one["address"]),
                "parent_addr": one["parent_addr"] and self._our(one["parent_addr"]),
            }
            for one in step["devices"]
        ]
        specs = step.get("device_spec", self.data["device_spec"])
        self.data |= {"devices": shown, "device_spec": specs}
        self.kinds |= kinds_of(self.data)
        self.host.report(self.data)

    def _flush(self, _step: Data) -> None:
        """What Nova writes to its database then is written at once here."""

    def _give_back(self, devices: set[str]) -> None:
        self.host.give_back(devices)
        self.allocated -= devices

    def _of(self, server: str) -> set[str]:
        return {one for one, by in self.host.holders().items() if by == server}

    def _our(self, address: str) -> str:
        return self.ours.get(address, address)

    def _swap(self, theirs: Any, taken: list[str]) -> None:
        left = Counter(taken)
        for address in theirs:
            left[self._our(address)] -= 1
        gained = [one for one in taken if left[one] > 0]
        for address in theirs:
            if self._our(address) in taken:
                continue
            alike = [one for one in gained if self.kinds[one] == self.kinds[address]]
            if alike:
                self._exchange(address, alike[0])
                gained.remove(alike[0])

    def _exchange(self, address: str, taken: str) -> None:
        theirs: Mapping[str, str] = {our: their for their, our in self.ours.items()}
        before = self._our(address)
        self.ours[address], self.ours[theirs.get(taken, taken)] = taken, before
