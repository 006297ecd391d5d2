"""The virtual switches of a simulated host: their ports are its guests' cards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from threading import RLock

import msgspec

from lanekeeper.domain import typed
from lanekeeper.domain.network.guard.flow import Flow
from lanekeeper.host.flow_table import SEALED, SwitchPort
from lanekeeper.hypervisor.simulated import SimulatedHypervisor


class _Kept(msgspec.Struct):
    """What stands in the file.

    Attributes:
        numbers: of ports, by their ids; each is given once.
        placed: VLAN of ports that were moved since they were plugged in; None is sealed.
        flows: by bridge and cookie.
    """

    numbers: dict[str, int] = {}
    placed: dict[str, int | None] = {}
    flows: dict[str, dict[int, list[str]]] = {}


class SimulatedFlowTable:
    """See ``host.flow_table.FlowTable``; *path* is its file, *hypervisor* has the guests."""

    def __init__(self, path: Path, hypervisor: SimulatedHypervisor) -> None:
        self._path = path
        self._hypervisor = hypervisor
        self._lock = RLock()
        self._kept = typed.decode(path.read_bytes(), _Kept) if path.exists() else _Kept()

    def ports(self, bridge: str) -> tuple[SwitchPort, ...]:
        with self._lock:
            kept, taps = self._kept, self._hypervisor.plugged()
            for tap in taps:
                kept.numbers.setdefault(tap.port_id, len(kept.numbers) + 1)
            there = {tap.port_id for tap in taps}
            kept.placed = {one: vlan for one, vlan in kept.placed.items() if one in there}
            self._save()
            plugged = {tap.port_id: None if tap.guard else tap.vlan for tap in taps}
            vlans = {**plugged, **kept.placed}
            return tuple(
                SwitchPort(
                    name=f"tap{tap.port_id[:11]}",
                    number=kept.numbers[tap.port_id],
                    port_id=tap.port_id,
                    tag=vlans[tap.port_id],
                    trunks=frozenset({SEALED} if vlans[tap.port_id] is None else ()),
                )
                for tap in taps
                if tap.bridge == bridge
            )

    def place(self, port: SwitchPort, vlan: int | None) -> None:
        with self._lock:
            self._kept.placed[port.port_id] = vlan
            self._save()

    def flows(self, bridge: str) -> Mapping[int, tuple[str, ...]]:
        with self._lock:
            found = self._kept.flows.get(bridge, {})
            return {cookie: tuple(texts) for cookie, texts in found.items()}

    def change(self, bridge: str, gone: Iterable[int], new: Iterable[Flow]) -> None:
        with self._lock:
            kept = self._kept.flows.setdefault(bridge, {})
            for cookie in gone:
                kept.pop(cookie, None)
            for flow in new:
                kept[flow.cookie] = [flow.text]
            self._save()

    def forget(self, zone: int) -> None:
        """Nothing was ever sent, so there is nothing to forget."""

    def _save(self) -> None:
        fresh = self._path.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(self._kept))
        fresh.replace(self._path)
