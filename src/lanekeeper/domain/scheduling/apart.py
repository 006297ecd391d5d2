"""Devices that must not end together: of different cards, and on different switches where told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lanekeeper.domain.pci.spec_key import SWITCH_TAG
from lanekeeper.domain.scheduling.host import DeviceNeed, HostDevice
from lanekeeper.domain.scheduling.shortfall import Shortfall


def card_of(device: HostDevice) -> str:
    """The PF whose VF a device is, or itself."""
    return device.pf_id or device.id


def are_apart(one: HostDevice, other: HostDevice) -> bool:
    """Whether two devices are of two cards, and not said to be on one switch."""
    switch = one.offered.tags.get(SWITCH_TAG)
    same_switch = switch is not None and switch == other.offered.tags.get(SWITCH_TAG)
    return card_of(one) != card_of(other) and not same_switch


def apart_from(
    devices: Iterable[HostDevice], others: Sequence[HostDevice]
) -> tuple[HostDevice, ...]:
    """Leave those that are apart from all *others*."""
    return tuple(one for one in devices if all(are_apart(one, other) for other in others))


def too_close(needs: Sequence[DeviceNeed], would_do: Sequence[HostDevice]) -> Shortfall:
    """Say that needs can be met, and not apart; *would_do* is what is free for them."""
    names = tuple(need.name for need in needs if need.apart)
    words = ", ".join(dict.fromkeys(need.apart for need in needs if need.apart))
    cards = len({card_of(one) for one in would_do})
    switches = {one.offered.tags.get(SWITCH_TAG) for one in would_do}
    on = f" on {len(switches)} switches ({SWITCH_TAG})" if switches != {None} else ""
    return Shortfall(
        names,
        f"{', '.join(names)} have to be of different cards (apart={words}), and {cards} "
        f"{'has' if cards == 1 else 'have'} such a device free{on}",
        "list VFs of another PF on the ports' network in [pci] device_spec of this host, free some "
        "there, or take apart out of the ports' binding profiles",
    )
