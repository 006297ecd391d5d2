"""Where a policy gives devices to guests, which needs an IOMMU whatever the driver is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from lanekeeper.domain.hostplan.policy.device import DevicePolicy
from lanekeeper.domain.hostplan.policy.pf import PfPolicy
from lanekeeper.domain.hostplan.policy.vf import VfDriver, VfWish

_VFIO = "vfio"
_WAITS = "whose VFs wait for guests"


def guest_uses(
    pfs: Iterable[PfPolicy], devices: Iterable[DevicePolicy]
) -> Iterator[tuple[str, str]]:
    """Yield where functions are for guests, and what says so; what only waits comes last."""
    found = [use for entry in pfs if entry.vfs for use in _of_pf(entry)]
    for whole in devices:
        wish = VfWish(vf_driver=whole.driver, purpose=whole.purpose, tags=whole.tags)
        found += _said(wish, whole.path, "driver")
    yield from sorted(found, key=lambda use: use[1] == _WAITS)


def _of_pf(entry: PfPolicy) -> Iterator[tuple[str, str]]:
    """What the entry says counts where some VF is left to it; each range for its own."""
    key = "live_migration" if entry.live_migration else "vf_driver"
    whole = replace(entry.wish, vf_driver=entry.vf_driver, purpose=entry.purpose)
    if whole in entry.wishes:
        yield from _said(whole, entry.path, key)
    for each in entry.ranges:
        yield from _said(each.wish, each.path, "vf_driver")
        yield from _said(each.wish.over(whole), entry.path, key)


def _said(wish: VfWish, path: str, key: str) -> Iterator[tuple[str, str]]:
    if _VFIO in (wish.vf_driver or ""):
        yield f"{path}.{key}", f"which is {wish.vf_driver}"
    elif wish.purpose is not None:
        name, _, value = str(wish.purpose).partition(" ")
        yield f"{path}.{name}", f"which is {value}"
    elif wish.tags:
        yield f"{path}.tags", "which are of devices for guests"
    elif wish.vf_driver == VfDriver.NONE:
        yield path, _WAITS
