"""Devices that must not end together: of different cards, and on different switches where told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lanekeeper.domain.pci.spec_key import SWITCH_TAG
from lanekeeper.domain.scheduling.host import DeviceNeed, HostDevice
from lanekeeper.domain.scheduling.shortfall import Shortfall, names_of

_MORE_CARDS = (
    "list VFs of another PF on the ports' network in [pci] device_spec of this host, free some "
    "there, or take apart out of the ports' binding profiles"
)


def are_apart(one: HostDevice, other: HostDevice) -> bool:
    """Whether two devices are of two cards, and not said to be on one switch."""
    switch = one.offered.tags.get(SWITCH_TAG)
    same_switch = switch is not None and switch == other.offered.tags.get(SWITCH_TAG)
    return one.card != other.card and not same_switch


def apart_from(
    devices: Iterable[HostDevice], others: Sequence[HostDevice]
) -> tuple[HostDevice, ...]:
    """Leave those that are apart from all *others*."""
    return tuple(one for one in devices if all(are_apart(one, other) for other in others))


def too_close(needs: Sequence[DeviceNeed], would_do: Sequence[HostDevice]) -> Shortfall:
    """Say that needs can be met, and not apart; *would_do* is what is free for them."""
    names = names_of(need for need in needs if need.apart)
    words = ", ".join(dict.fromkeys(need.apart for need in needs if need.apart))
    cards = len({one.card for one in would_do})
    return Shortfall(
        names,
        f"{', '.join(names)} have to be of different cards (apart={words}), and {cards} "
        f"{'has' if cards == 1 else 'have'} such a device free{_on_switches(would_do)}",
        _MORE_CARDS,
    )


def too_close_to_kin(
    need: DeviceNeed, would_do: Sequence[HostDevice], kin: Sequence[HostDevice]
) -> Shortfall:
    """Say that one more need can be met, and not apart from what its *kin* hold."""
    cards, theirs = ({one.card for one in some} for some in (would_do, kin))
    own, near = len(cards & theirs), len(cards - theirs)
    told = [f"{own} {_are(own)} theirs"] if own else []
    if near:
        told.append(f"{near} {_are(near)} on a switch of theirs ({SWITCH_TAG})")
    return Shortfall(
        names_of([need]),
        f"{need.name} has to be of another card than the server's ports with apart={need.apart}; "
        f"of {len(cards)} with such a device free {' and '.join(told)}",
        _MORE_CARDS,
    )


def _on_switches(devices: Iterable[HostDevice]) -> str:
    """On how many switches their cards are, of those that are said to be on one."""
    switch_of = {one.card: one.offered.tags.get(SWITCH_TAG) for one in devices}
    said = [switch for switch in switch_of.values() if switch is not None]
    if not said:
        return ""
    switches = len(set(said))
    some = f", {len(said)} of them" if len(said) < len(switch_of) else ""
    return f"{some} on {switches} {'switch' if switches == 1 else 'switches'} ({SWITCH_TAG})"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"
