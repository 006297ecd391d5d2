"""Interfaces of a simulated machine's VFs: they come with a driver of the host, and go with it."""

from __future__ import annotations

import errno
import os
import shutil
from hashlib import sha256
from pathlib import Path

from lanekeeper.domain.errors import HostFault
from lanekeeper.host.attribute import link_name, names, read_text
from lanekeeper.host.vf_settings import kept_settings

DRIVERS = frozenset({"igbvf", "ixgbevf", "iavf", "mlx5_core"})
"""Those that make a VF an interface."""


class SimulatedInterfaces:
    """The interfaces of VFs of the machine below *root*."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def add(self, vf: Path, driver: str) -> None:
        """Have the VF at *vf* be an interface, if *driver* makes one of it.

        As a VF's driver does, it asks the PF for its MAC, once, and makes one up without.
        """
        pf = (vf / "physfn").resolve()
        uplinks = names(str(pf / "net"))
        if driver not in DRIVERS or not (vf / "physfn").is_symlink() or not uplinks:
            return
        index = self._index(pf, vf)
        home = vf / "net" / f"{uplinks[0]}v{index}"
        home.mkdir(parents=True, exist_ok=True)
        mac = kept_settings(self._root, pf.name, (index,))[index].mac or _made_up(pf, index)
        number = int(vf.name.replace(":", "").replace(".", ""), 16)  # ever the same, nobody else's
        values = {"ifindex": number, "address": mac, "mtu": 1500}
        for attribute, value in {**values, "flags": "0x1002", "operstate": "down"}.items():
            (home / attribute).write_text(f"{value}\n")
        link = self._root / "sys/class/net" / home.name
        link.unlink(missing_ok=True)
        link.symlink_to(os.path.relpath(home.resolve(), link.parent.resolve()))

    def remove(self, function: Path) -> None:
        """Take the interface of a VF away, if it has one; a PF keeps its own."""
        if (function / "physfn").is_symlink():
            for name in names(str(function / "net")):
                (self._root / "sys/class/net" / name).unlink(missing_ok=True)
            shutil.rmtree(function / "net", ignore_errors=True)

    def set_address(self, interface: Path, label: str, mac: str, mtu: int) -> None:
        """As the 82576: what the PF holds for a VF is final, until the VF's driver asks again.

        Source: Linux ``drivers/net/ethernet/intel/igb/igb_main.c``, igb_set_vf_mac_addr();
        ``igbvf/netdev.c``, igbvf_set_mac().
        """
        vf = interface.parent.parent
        if (vf / "physfn").is_symlink() and read_text(str(interface / "address")) != mac:
            pf = (vf / "physfn").resolve()
            index = self._index(pf, vf)
            if kept_settings(self._root, pf.name, (index,))[index].mac is not None:
                raise HostFault(f"cannot set {label} to {mac}: {os.strerror(errno.EADDRNOTAVAIL)}")
        (interface / "address").write_text(f"{mac}\n")
        (interface / "mtu").write_text(f"{mtu}\n")

    @staticmethod
    def _index(pf: Path, vf: Path) -> int:
        links = [name for name in names(str(pf)) if name.startswith("virtfn")]
        return next(int(name[6:]) for name in links if link_name(str(pf / name)) == vf.name)


def _made_up(pf: Path, index: int) -> str:
    uplink = names(str(pf / "net"))[0]
    seed = f"{read_text(str(pf / 'net' / uplink / 'address'))} {index}"
    return (b"\x02" + sha256(seed.encode()).digest()[:5]).hex(":")
