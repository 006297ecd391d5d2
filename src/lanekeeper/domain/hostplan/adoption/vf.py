"""What an adopted policy says of single VFs, and which of their settings it has no word for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lanekeeper.domain.hostplan.adoption.note import Note
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.policy.vf import VfDriver
from lanekeeper.domain.hostplan.steps.vf import named
from lanekeeper.domain.pci.device import PciDevice
from lanekeeper.domain.pci.holder import HolderKind
from lanekeeper.domain.pci.vf_settings import LinkState, VfSettings

_NETWORK = 0x02  # base class; PCI Code and ID Assignment Specification
_NO_KEY = (
    "a policy has no key for it; who gives a VF to a guest sets it, as Lanekeeper's agent does"
)


def wish_of(vf: PciDevice, host: HostFacts, *, auto: bool) -> dict[str, Any]:
    """Say what one VF is; settings that a guest brought with it are not the host's."""
    is_kernels = auto and vf.driver is not None and "vfio" not in vf.driver
    wish: dict[str, Any] = {
        "vf_driver": str(VfDriver.AUTO if is_kernels else vf.driver or VfDriver.NONE)
    }
    now = _settings(vf, host)
    if now is None or _is_held(vf, host):
        return wish
    if now.mac is not None:
        wish["mac"] = now.mac
    if now.trust:
        wish["trust"] = True
    if now.spoofchk is False:
        wish["spoofchk"] = False
    return wish


def ranges_of(wishes: list[tuple[int, dict[str, Any]]], common: str) -> Iterator[dict[str, Any]]:
    """Put neighbours that are alike into one range; what the PF's entry says needs none.

    A VF with an address has one of its own, since those of a range count up.
    """
    runs: list[tuple[int, int, dict[str, Any]]] = []
    for index, wish in wishes:
        plain = {k: v for k, v in wish.items() if (k, v) != ("vf_driver", common)}
        if runs and runs[-1][1] == index - 1 and runs[-1][2] == plain and "mac" not in plain:
            runs[-1] = (runs[-1][0], index, plain)
        else:
            runs.append((index, index, plain))
    for first, last, wish in runs:
        if wish:
            yield {"vfs": first if first == last else f"{first}-{last}", **wish}


def vf_notes(pf: PciDevice, host: HostFacts) -> Iterator[Note]:
    """Name the settings of its VFs that the policy leaves out, and why."""
    vfs = host.vfs_of(pf.address)
    if vfs and pf.class_code >> 16 == _NETWORK and pf.netdev is None:
        says = "cannot be read, since the PF has no interface: they are not in the policy"
        yield Note(f"settings of VFs of {pf.address}", says)
    without_key: dict[str, list[str]] = {}
    for vf in vfs:
        now = _settings(vf, host)
        if now is None:
            continue
        rest = dict(_without_key(now))
        if _is_held(vf, host):
            told = {**dict(_with_key(now)), **rest}
            words = ", ".join(f"{name} {value}" for name, value in told.items())
            if words:
                says = f"left out, since they are those of whoever has it: {words}"
                yield Note(f"settings of VF {named(vf, host)}", says)
            continue
        for name, value in rest.items():
            without_key.setdefault(name, []).append(f"{value} of VF {vf.vf_index}")
    for name, values in without_key.items():
        yield Note(f"{name} of VFs of {pf.address}", f"{', '.join(values)}: {_NO_KEY}")


def _settings(vf: PciDevice, host: HostFacts) -> VfSettings | None:
    assert vf.parent is not None
    return host.vf_settings.get(vf.parent, {}).get(vf.vf_index or 0)


def _is_held(vf: PciDevice, host: HostFacts) -> bool:
    """Whether it is known that somebody has it: a VFIO driver alone may wait for a guest."""
    holder = host.holders.get(vf.address)
    return holder is not None and holder.kind is not HolderKind.UNKNOWN


def _with_key(now: VfSettings) -> Iterator[tuple[str, str]]:
    if now.mac is not None:
        yield "MAC", now.mac
    if now.trust:
        yield "trust", "on"
    if now.spoofchk is False:
        yield "spoof check", "off"


def _without_key(now: VfSettings) -> Iterator[tuple[str, str]]:
    if now.vlan:
        yield "VLAN", f"{now.vlan} with priority {now.qos}" if now.qos else str(now.vlan)
    if now.link_state not in (None, LinkState.AUTO):
        yield "link state", LinkState(now.link_state or 0).name.lower()
    if now.min_tx_rate or now.max_tx_rate:
        yield "transmit rates", f"{now.min_tx_rate} to {now.max_tx_rate} Mbit/s"
