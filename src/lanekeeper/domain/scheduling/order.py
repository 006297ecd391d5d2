"""In which order devices are tried that are equally good."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from lanekeeper.domain.pci.device import DeviceType
from lanekeeper.domain.scheduling.host import DeviceNeed, HostDevice


def in_order(
    needs: Sequence[DeviceNeed], free: Sequence[HostDevice], *, isolate: bool
) -> list[HostDevice]:
    """Devices by address; by what they and their cards are before that, where it may matter.

    A search that may be given up finds what comes early. Hosts of one shape are answered alike
    (``HostView.device_shape``), so there addresses must not decide what comes early.
    """
    if not _is_bounded(needs, free, isolate=isolate):
        return sorted(free, key=lambda one: one.address)
    cards: dict[str, Counter[tuple[object, ...]]] = defaultdict(Counter)
    kinds = [(*one.kind, one.numa_node is None, one.numa_node or 0) for one in free]
    for one, kind in zip(free, kinds, strict=True):
        cards[one.card][kind] += 1
    shapes = {card: sorted(mine.items()) for card, mine in cards.items()}
    keyed = [
        (shapes[one.card], kind, one.address, position)
        for position, (one, kind) in enumerate(zip(free, kinds, strict=True))
    ]
    return [free[position] for *_, position in sorted(keyed)]


def _is_bounded(needs: Sequence[DeviceNeed], free: Sequence[HostDevice], *, isolate: bool) -> bool:
    """Whether PFs are taken from under VFs, promises packed, or devices kept together or apart."""
    if any(one.unit is not None for one in free) or any(need.apart for need in needs):
        return True
    if isolate:
        return False  # each has a card to itself
    types = {need.request.alternatives[0].dev_type for need in needs}
    promised = sum(need.request.count for need in needs if need.promise)
    return (DeviceType.PF in types and len(types) > 1) or promised > 1
