"""Steps for single VFs: what the PF holds for them, and which driver has them."""

from __future__ import annotations

from collections.abc import Iterator

from lanekeeper.domain.hostplan.action import (
    BindVf,
    Change,
    RestartVfDriver,
    SetMigratable,
    WriteVfSettings,
)
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.policy.pf import PfPolicy
from lanekeeper.domain.hostplan.step import Step
from lanekeeper.domain.hostplan.steps.migration import is_ready
from lanekeeper.domain.pci.device import PciDevice
from lanekeeper.domain.pci.driver import is_vfio
from lanekeeper.domain.pci.holder import HolderKind
from lanekeeper.domain.pci.vf_settings import NO_MAC, VfSettings

_SETTINGS = ("mac", "trust", "spoofchk")


def may_be_in_a_guest(vf: PciDevice, host: HostFacts) -> bool:
    return vf.address in host.holders or (vf.driver is not None and "vfio" in vf.driver)


def named(vf: PciDevice, host: HostFacts) -> str:
    """Say which VF it is, and whose: ``0000:21:10.0 (guest web-1)``."""
    holder = host.holders.get(vf.address)
    is_known = holder is not None and holder.kind is not HolderKind.UNKNOWN
    return f"{vf.address} ({holder})" if is_known else str(vf.address)


def setting_steps(
    entry: PfPolicy, pf: PciDevice, host: HostFacts, *, fresh: bool
) -> Iterator[Step]:
    """Write MAC, trust and spoof check where they differ; a VF in a guest keeps what it has."""
    held = {vf.vf_index for vf in host.vfs_of(pf.address) if may_be_in_a_guest(vf, host)}
    known = host.vf_settings.get(pf.address, {})
    for index in range(entry.vfs):
        if fresh:
            do = _written(entry, pf, index, None)
            if do is not None:  # no undo of its own: the VF goes when this is taken back
                yield Step(do, (), "the policy says so of this VF")
        elif index not in held and index in known:
            do = _written(entry, pf, index, known[index])
            if do is not None:
                yield Step(do, (_as_before(do, known[index]),), "the policy says so of this VF")


def setting_pending(entry: PfPolicy, pf: PciDevice, host: HostFacts) -> Iterator[str]:
    """Say which VFs keep other settings because a guest may have them."""
    known = host.vf_settings.get(pf.address, {})
    for vf in host.vfs_of(pf.address)[: entry.vfs]:
        index = vf.vf_index or 0
        if index not in known or not may_be_in_a_guest(vf, host):
            continue
        # Whoever gave it to a guest gave it that guest's address too.
        do = _written(entry, pf, index, known[index])
        if do is not None and (do.trust, do.spoofchk) != (None, None):
            yield f"settings of VF {named(vf, host)} wait until no guest can have it"


def settings_wanted(entry: PfPolicy) -> list[str]:
    """Name what the PF is to hold for its VFs, which only a network card can."""
    return [
        name for name in _SETTINGS if any(getattr(wish, name) is not None for wish in entry.wishes)
    ]


def settings_unknown(entry: PfPolicy, pf: PciDevice, host: HostFacts) -> bool:
    """Whether settings are wanted of VFs whose present ones could not be read."""
    return bool(settings_wanted(entry)) and pf.address not in host.vf_settings


def _written(
    entry: PfPolicy, pf: PciDevice, index: int, now: VfSettings | None
) -> WriteVfSettings | None:
    """Return what is to be written to a VF that has *now*, None being a new one."""
    wish, mac = entry.of(index), entry.mac(pf, index)
    trust, spoofchk = wish.trust, wish.spoofchk
    if now is not None:
        mac = None if mac == now.mac else mac
        # A driver that does not report a setting gives nothing to compare.
        trust = None if now.trust in (None, trust) else trust
        spoofchk = None if now.spoofchk in (None, spoofchk) else spoofchk
    if (mac, trust, spoofchk) == (None, None, None):
        return None
    return WriteVfSettings(str(pf.address), index, mac, trust, spoofchk)


def _as_before(do: WriteVfSettings, now: VfSettings) -> WriteVfSettings:
    return WriteVfSettings(
        do.pf,
        do.index,
        mac=None if do.mac is None else now.mac or NO_MAC,
        trust=None if do.trust is None else now.trust,
        spoofchk=None if do.spoofchk is None else now.spoofchk,
    )


def as_they_were(pf: PciDevice, host: HostFacts) -> Iterator[Change]:
    """Give VFs that were made anew what they had before: settings, then whether they may travel."""
    for index, now in host.vf_settings.get(pf.address, {}).items():
        clean = VfSettings()
        rates = (now.min_tx_rate, now.max_tx_rate)
        again = WriteVfSettings(
            str(pf.address),
            index,
            mac=now.mac,
            trust=now.trust if now.trust != clean.trust else None,
            spoofchk=now.spoofchk if now.spoofchk != clean.spoofchk else None,
            vlan=now.vlan or None,
            qos=now.qos,
            link_state=now.link_state if now.link_state != clean.link_state else None,
            rates=rates if any(rates) else None,
        )
        if again != WriteVfSettings(str(pf.address), index, qos=now.qos):
            yield again
    for (address, index), enabled in host.offload.migratable.items():
        if address == pf.address and enabled:
            yield SetMigratable(str(address), index, enabled=True)


def driver_steps(entry: PfPolicy, pf: PciDevice, host: HostFacts, *, fresh: bool) -> Iterator[Step]:
    """Give VFs the driver that is named, or none; one in a guest is left where it is."""
    there = {vf.vf_index: vf for vf in host.vfs_of(pf.address)}
    for index in range(entry.vfs):
        wish = entry.of(index)
        if wish.is_auto or not is_ready(entry, pf, host, index, fresh=fresh):
            continue
        wanted, why = wish.named_driver, f"vf_driver is {wish.vf_driver}"
        if fresh:
            if wanted is not None or entry.autoprobe:
                undo = BindVf(str(pf.address), index, None)
                yield Step(BindVf(str(pf.address), index, wanted), (undo,), why)
            continue
        vf = there.get(index)
        if vf is not None and vf.driver != wanted and not may_be_in_a_guest(vf, host):
            yield driver_step(vf, wanted, why)


def is_for_host(step: Step) -> bool:
    """Whether a driver of the host has the VF afterwards."""
    do = step.do
    return isinstance(do, BindVf) and do.driver is not None and not is_vfio(do.driver)


def restart_steps(entry: PfPolicy, pf: PciDevice) -> Iterator[Step]:
    """Have drivers ask for a new VF's MAC that had taken it before the PF was told that."""
    for index in range(entry.vfs if entry.autoprobe else 0):
        wish = entry.of(index)
        is_hosts = wish.is_auto or (
            wish.named_driver is not None and not is_vfio(wish.named_driver)
        )
        if is_hosts and entry.mac(pf, index) is not None:
            do = RestartVfDriver(str(pf.address), index)
            yield Step(do, (), "a driver takes the MAC when it begins")  # undone with the VF


def driver_step(vf: PciDevice, driver: str | None, why: str) -> Step:
    assert vf.vf_index is not None
    pf, index = str(vf.parent), vf.vf_index
    affects = (f"{vf.netdev} of VF {vf.address}",) if vf.netdev else ()
    do, undo = BindVf(pf, index, driver), BindVf(pf, index, vf.driver)
    return Step(do, (undo,), why, affects=affects)
