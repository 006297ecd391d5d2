"""Which devices of one host a server would get, or why it cannot have them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from lanekeeper.domain.matching import match_all, most_matched
from lanekeeper.domain.network.promise import NOTHING, Promise
from lanekeeper.domain.pci.device import DeviceType
from lanekeeper.domain.pci.vf_ability import VfAbility
from lanekeeper.domain.scheduling.apart import too_close
from lanekeeper.domain.scheduling.bandwidth import shared_cards
from lanekeeper.domain.scheduling.host import DeviceNeed, HostDevice, Standing
from lanekeeper.domain.scheduling.order import in_order
from lanekeeper.domain.scheduling.shortfall import (
    APART,
    PROMISED,
    TIED,
    WHOLE,
    Shortfall,
    alternative_of,
    given_up,
    names_of,
    short_alone,
    short_of_bandwidth,
)
from lanekeeper.domain.scheduling.tied import Units, choose_tied, clash, units_of
from lanekeeper.domain.scheduling.tries import Tries
from lanekeeper.domain.scheduling.whole import whole_choices
from lanekeeper.domain.topology.affinity import ANYWHERE, Locality

_CHOICES_MAX = 500
"""How many PFs are looked into before the search for those to give away whole is given up."""
_PACKING_MAX = 30_000
"""How often, for all of these choices together, a card is tried for a port's bandwidth; and a
device for a wish, where devices bring others along."""
_MATCHING_COSTS = 50
"""As many of these as take the time in which one way to pack is matched with devices."""


@dataclass(frozen=True, slots=True)
class Given:
    """One device for one unit of a need, counted from 0."""

    device: HostDevice
    need_id: str
    index: int


@dataclass(frozen=True, slots=True)
class _Unit:
    """One device that is wanted; several of one need are alike."""

    need: DeviceNeed
    index: int


def fit_devices(
    needs: Sequence[DeviceNeed],
    devices: Sequence[HostDevice],
    guest: Locality = ANYWHERE,
    *,
    isolate: bool = False,
    units: Units | None = None,
) -> tuple[Given, ...] | Shortfall:
    """Give every need its devices, whatever the order in which they are named.

    With *isolate* each device comes from another card; those of needs with one word are apart.

    A PF and its VFs are never given together, nor what brings them along; *units* says what comes
    with what, where some of that is not among *devices*. Earlier alternatives of an alias are
    preferred, then what is nearest to the *guest*, then what is not for one guest in its life and
    what can least beside what is asked, so that no such device is wasted. VFs come from the fullest
    card where the PF itself may be lent out, so that whole PFs stay whole, and from the emptiest
    one elsewhere, so that servers share the wire evenly. What is promised to ports is taken from
    the cards of their own devices.
    """
    wanted = sum(need.request.count for need in needs)
    free = [device for device in devices if device.standing is Standing.FREE]
    free = in_order(needs, free, isolate=isolate)
    for need in needs:
        if shortfall := short_alone(need, devices, guest):
            return shortfall
    asked = [_Unit(need, index) for need in needs for index in range(need.request.count)]
    units = units_of(free) if units is None else units
    if any(need.apart for need in needs) and wanted <= len(free):
        return _fit_apart(needs, asked, free, guest, units, isolate=isolate)
    tries = Tries(_CHOICES_MAX)
    found = None
    if wanted <= len(free):
        found = _place_apart(asked, free, guest) if isolate else _place(asked, free, guest, tries)
    if found is not None:
        if not clash((one.device for one in found), units):
            return tuple(found)
        return _fit_tied(needs, asked, free, guest, units, isolate=isolate)
    if any(need.promise for need in needs):
        bare = fit_devices(without_promises(needs), devices, guest, isolate=isolate, units=units)
        short = bare if isinstance(bare, Shortfall) else short_of_bandwidth(needs, free)
        is_known = short is bare or not tries.ran_out
    else:
        short = (_too_close if isolate else _too_few)(needs, asked, devices, guest)
        is_known = not tries.ran_out
    if is_known:
        return short
    return given_up(needs, WHOLE if any(map(_wants_whole, needs)) else PROMISED)


def _fit_tied(
    needs: Sequence[DeviceNeed],
    asked: Sequence[_Unit],
    free: Sequence[HostDevice],
    guest: Locality,
    units: Units,
    *,
    isolate: bool,
) -> tuple[Given, ...] | Shortfall:
    """The same where what was found first excludes some of itself."""
    tries = Tries(_PACKING_MAX)
    found = _match_tied(asked, free, guest, units, tries, apart=isolate)
    if found is not None:
        return found
    return given_up(needs, TIED) if tries.ran_out else _tied(needs)


def _fit_apart(
    needs: Sequence[DeviceNeed],
    asked: Sequence[_Unit],
    free: Sequence[HostDevice],
    guest: Locality,
    units: Units,
    *,
    isolate: bool,
) -> tuple[Given, ...] | Shortfall:
    """The same where some have to be apart."""
    tries = Tries(_PACKING_MAX)
    found = _match_tied(asked, free, guest, units, tries, apart=isolate)
    if found is not None:
        return found
    plain = [replace(need, apart="") for need in needs]
    bare = fit_devices(plain, free, guest, isolate=isolate, units=units)
    if isinstance(bare, Shortfall):
        return bare
    if tries.ran_out:
        return given_up(needs, APART)
    return too_close(needs, would_do([need for need in needs if need.apart], free, guest))


def _too_few(
    needs: Sequence[DeviceNeed],
    units: Sequence[_Unit],
    devices: Sequence[HostDevice],
    guest: Locality,
) -> Shortfall:
    names = names_of(needs)
    free = [device for device in devices if device.standing is Standing.FREE]
    most = most_matched([_wishes(unit, free, guest) for unit in units]) if units else 0
    return Shortfall(
        names,
        f"{', '.join(names)} together need {len(units)} devices and at most {most} can be had "
        "together" + (" (a PF and its VFs exclude each other)" if most >= len(units) else ""),
        "ask for fewer devices in one server, or free some that serve several of these",
    )


def would_do(
    needs: Iterable[DeviceNeed], devices: Sequence[HostDevice], guest: Locality = ANYWHERE
) -> list[HostDevice]:
    """What is free and near enough that one of these could have, if it were alone."""
    free = [device for device in devices if device.standing is Standing.FREE]
    units = (_Unit(need, index) for need in needs for index in range(need.request.count))
    return [
        free[one] for one in sorted({one for unit in units for one in _wishes(unit, free, guest)})
    ]


def without_promises(needs: Sequence[DeviceNeed]) -> tuple[DeviceNeed, ...]:
    """The same needs where bandwidth does not matter."""
    return tuple(replace(need, promise=NOTHING) for need in needs)


def _place(
    units: Sequence[_Unit], free: Sequence[HostDevice], guest: Locality, tries: Tries
) -> list[Given] | None:
    """Choose PFs first, one after the other, so that the VFs left over serve the rest."""
    whole = [unit for unit in units if _wants_whole(unit.need)]
    parts = [unit for unit in units if not _wants_whole(unit.need)]
    of_whole, of_parts = ([_wishes(unit, free, guest) for unit in some] for some in (whole, parts))
    promises = [unit.need.promise for unit in parts]
    packing = Tries(_PACKING_MAX)
    for chosen in whole_choices(of_whole, of_parts, free, tries, promised=any(promises)):
        gone = {free[one].id for one in chosen}
        left = [
            [one for one in mine if free[one].id not in gone and free[one].pf_id not in gone]
            for mine in of_parts
        ]
        given = _match(promises, left, free, packing)
        if given is not None:
            pairs = zip((*whole, *parts), (*chosen, *given), strict=True)
            return [Given(free[one], unit.need.id, unit.index) for unit, one in pairs]
        if packing.left <= 0:
            packing.ran_out = True  # what other PFs would leave is not looked into
            break
    tries.ran_out = tries.ran_out or packing.ran_out
    return None


def _match(
    promises: Sequence[Promise],
    wishes: Sequence[Sequence[int]],
    free: Sequence[HostDevice],
    packing: Tries,
) -> Sequence[int] | None:
    """Match wishes with devices whose cards keep all that they promise together."""
    given = match_all(wishes)
    if given is None or sum(map(bool, promises)) < 2:  # noqa: PLR2004  # each alone was looked at
        return given
    for kept in shared_cards(promises, wishes, [device.bandwidth for device in free], packing):
        given = match_all(kept)
        if given is not None or not packing.take(_MATCHING_COSTS):
            return given
    return None


def _match_tied(
    asked: Sequence[_Unit],
    free: Sequence[HostDevice],
    guest: Locality,
    units: Units,
    tries: Tries,
    *,
    apart: bool,
) -> tuple[Given, ...] | None:
    """Match units with devices that bring others along, or that have to be apart."""
    wishes = [_wishes(unit, free, guest) for unit in asked]
    promises = [unit.need.promise for unit in asked]
    words = [unit.need.apart for unit in asked]
    for kept in shared_cards(promises, wishes, [device.bandwidth for device in free], tries):
        given = choose_tied(kept, free, units, tries, apart=apart, words=words)
        if given is not None:
            pairs = zip(asked, given, strict=True)
            return tuple(Given(free[one], unit.need.id, unit.index) for unit, one in pairs)
        if not tries.take(_MATCHING_COSTS):
            break
    return None


def _place_apart(
    units: Sequence[_Unit], free: Sequence[HostDevice], guest: Locality
) -> list[Given] | None:
    """Match units with cards; each then gets the best device of its own."""
    best = [_best_by_card(unit, free, guest) for unit in units]
    cards = {card: number for number, card in enumerate(dict.fromkeys(c for b in best for c in b))}
    given = match_all([[cards[card] for card in one] for one in best])
    if given is None:
        return None
    names = list(cards)
    return [
        Given(mine[names[number]], unit.need.id, unit.index)
        for unit, mine, number in zip(units, best, given, strict=True)
    ]


def _tied(needs: Sequence[DeviceNeed]) -> Shortfall:
    names = names_of(needs)
    return Shortfall(
        names,
        f"{', '.join(names)} can each be had, and not together: a PF that is given away together "
        "with one of these excludes its VFs",
        "ask for them in two servers, or see which functions belong together (lanekeeper device "
        "list) and have the firmware or another slot part them",
    )


def _best_by_card(
    unit: _Unit, free: Sequence[HostDevice], guest: Locality
) -> dict[str, HostDevice]:
    """The best device of each card that has one that would do, the best card first."""
    found: dict[str, HostDevice] = {}
    for thing in _wishes(unit, free, guest):
        found.setdefault(free[thing].card, free[thing])
    return found


def _too_close(
    needs: Sequence[DeviceNeed],
    units: Sequence[_Unit],
    devices: Sequence[HostDevice],
    guest: Locality,
) -> Shortfall:
    names = names_of(needs)
    free = [device for device in devices if device.standing is Standing.FREE]
    now, at_most = (
        len({card for unit in units for card in _best_by_card(unit, some, guest)})
        for some in (free, devices)
    )
    more = "free devices on" if at_most >= len(units) else "list devices of"
    return Shortfall(
        names,
        f"{', '.join(names)} {'needs' if len(names) == 1 else 'together need'} {len(units)} "
        f"devices of as many cards (group_policy=isolate), and {now} "
        f"{'has' if now == 1 else 'have'} such a device free",
        f"use group_policy=none in the flavor, or {more} other cards",
    )


def _wants_whole(need: DeviceNeed) -> bool:
    # Alternatives of one alias agree in their type.
    return need.request.alternatives[0].dev_type is DeviceType.PF


def _wishes(unit: _Unit, free: Sequence[HostDevice], guest: Locality) -> list[int]:
    """Positions in *free* of what would do, the best first; of equal ones the first there."""
    ranked = [
        (
            rank,
            guest.distance(device.numa_node),
            _cannot_keep(unit, device),
            _spare(device),
            device.parts_held * (-1 if device.whole_offered else 1),
            position,
        )
        for position, device in enumerate(free)
        if (rank := _rank(unit, device, guest)) is not None
    ]
    return [position for *_, position in sorted(ranked)]


def _cannot_keep(unit: _Unit, device: HostDevice) -> bool:
    """Whether what a port is promised to send could not be set on the VF, only counted."""
    return bool(unit.need.promise.egress_kbps) and VfAbility.MIN_RATE in device.offered.lacks


def _spare(device: HostDevice) -> tuple[bool, int]:
    """Whether it serves one guest in its life, then what it can beyond the least.

    Who asks for what it can is given nothing else anyway.
    """
    has = {flag for flag, value in device.offered.tags.items() if value == "true"}
    return "one_time_use" in has, len(has & {"trusted", "live_migratable"})


def _rank(unit: _Unit, device: HostDevice, guest: Locality) -> int | None:
    """Which alternative the device fits, counted from 0; None when it fits none."""
    need = unit.need
    if need.providers and device.provider_id != need.providers[unit.index]:
        return None
    if not guest.allows(need.request.numa_policy, device.numa_node):
        return None
    if need.promise and (device.bandwidth is None or device.bandwidth.lacks(need.promise)):
        return None
    return alternative_of(need, device)
