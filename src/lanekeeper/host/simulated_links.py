"""What netlink says of a simulated machine's interfaces, and what it does to them."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import msgspec

from lanekeeper.domain.errors import HostFault, NotFound
from lanekeeper.domain.pci.vf_change import VfChange, changed_fields
from lanekeeper.domain.pci.vf_settings import NO_MAC, VfSettings
from lanekeeper.host.attribute import link_name, read_text, refusals
from lanekeeper.host.netlink import VfLinks
from lanekeeper.host.simulated_interface import SimulatedInterfaces
from lanekeeper.host.vf_settings import kept_settings, settings_file

_NO_LINK_STATE = frozenset({"igb"})  # has no ndo_set_vf_link_state; Linux igb_main.c
_NO_GUARANTEE = frozenset({"igb"})  # igb_ndo_set_vf_bw() takes no min_tx_rate


class SimulatedLinks(VfLinks):
    """VF settings kept in small files below ``simulated`` in the machine's directory."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self._root = root

    def read(self, ifindex: int, label: str) -> dict[int, VfSettings]:
        pf = self._pf(ifindex, label)
        count = int(read_text(str(pf / "sriov_numvfs")) or "0")
        return kept_settings(self._root, pf.name, range(count))

    def write(self, ifindex: int, label: str, index: int, change: VfChange) -> tuple[str, ...]:
        pf = self._pf(ifindex, label)
        driver = link_name(str(pf / "driver")) or ""
        unknown = ("link_state",) if driver in _NO_LINK_STATE else ()
        if driver in _NO_GUARANTEE and change.rates and change.rates[0]:
            what = f"set transmit rates {change.rates[0]} to {change.rates[1]} Mbit/s"
            refused = os.strerror(errno.EINVAL)
            raise HostFault(f"cannot {what} on VF {index} of {label}: {refused}")
        now = kept_settings(self._root, pf.name, (index,))[index]
        unsupported = tuple(name for name in changed_fields(change) if name in unknown)
        path = settings_file(self._root, pf.name, index)
        with refusals(f"write {path}"):
            path.parent.mkdir(exist_ok=True)
            fresh = path.with_suffix(f".{os.getpid()}")
            fresh.write_bytes(msgspec.json.encode(_applied(now, change, unknown)))
            fresh.replace(path)
        return unsupported

    def set_up(self, ifindex: int, label: str, up: bool) -> None:
        pf = self._pf(ifindex, label)
        with refusals(f"set the interface of {label} {'up' if up else 'down'}"):
            self._set_flags(pf, up)

    def set_address(self, ifindex: int, label: str, mac: str, mtu: int) -> None:
        function = self._pf(ifindex, label)
        with refusals(f"set the address of {label}"):
            for interface in (function / "net").iterdir():
                SimulatedInterfaces(self._root).set_address(interface, label, mac, mtu)

    @staticmethod
    def _set_flags(pf: Path, up: bool) -> None:
        for interface in (pf / "net").iterdir():
            (interface / "operstate").write_text("up\n" if up else "down\n")
            (interface / "flags").write_text("0x1003\n" if up else "0x1002\n")

    def _pf(self, ifindex: int, label: str) -> Path:
        for interface in sorted((self._root / "sys/class/net").iterdir()):
            if read_text(str(interface / "ifindex")) == str(ifindex):
                return interface.resolve().parent.parent
        raise NotFound(f"no interface {ifindex} for {label}")


def _applied(now: VfSettings, change: VfChange, unknown: tuple[str, ...]) -> VfSettings:
    values = {name: getattr(change, name) for name in changed_fields(change)}
    if "mac" in values and values["mac"] == NO_MAC:
        values["mac"] = None
    if "vlan" in values:
        values["qos"] = change.qos
    if "rates" in values:
        values["min_tx_rate"], values["max_tx_rate"] = values.pop("rates")
    kept = {name: value for name, value in values.items() if name not in unknown}
    return replace(now, **kept)
