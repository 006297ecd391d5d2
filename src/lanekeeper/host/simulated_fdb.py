"""Forwarding entries of a simulated machine's cards, kept in small files below ``simulated``."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from lanekeeper.domain import typed
from lanekeeper.host.attribute import refusals
from lanekeeper.host.fdb import Fdb


class SimulatedFdb(Fdb):
    """See ``host.fdb.Fdb``."""

    def __init__(self, root: Path) -> None:
        self._directory = root / "simulated"

    def read(self, ifindex: int, label: str) -> frozenset[str]:
        path = self._file(ifindex)
        if not path.exists():
            return frozenset()
        with refusals(f"read {path}"):
            return typed.decode(path.read_bytes(), frozenset[str])

    def add(self, ifindex: int, label: str, mac: str) -> None:
        self._write(ifindex, self.read(ifindex, label) | {mac})

    def remove(self, ifindex: int, label: str, mac: str) -> None:
        self._write(ifindex, self.read(ifindex, label) - {mac})

    def _file(self, ifindex: int) -> Path:
        return self._directory / f"fdb-{ifindex}"

    def _write(self, ifindex: int, macs: frozenset[str]) -> None:
        path = self._file(ifindex)
        with refusals(f"write {path}"):
            path.parent.mkdir(exist_ok=True)
            fresh = path.with_suffix(f".{os.getpid()}")
            fresh.write_bytes(msgspec.json.encode(sorted(macs)))
            fresh.replace(path)
