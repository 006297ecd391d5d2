"""Weights: which of the hosts that fit is taken first."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lanekeeper.domain.scheduling.host import HostView, ServerRequest

Weight = Callable[[ServerRequest, HostView], float]


_COUNTED_MAX = 99


def pci_weight(free_devices: int | None) -> int:
    """How well a host suits servers that need no device: 100 without free ones, 1 with many.

    None stands for a host that has no devices at all.

    Source: nova ``scheduler/weights/pci.py``, which weighs every server so.
    """
    return 100 - min(free_devices or 0, _COUNTED_MAX)


def fewest_devices(request: ServerRequest, host: HostView) -> float:
    """Servers without devices leave hosts with free ones alone; those with fill hosts up.

    So that a server that needs many still finds a host that has them.
    """
    return float(pci_weight(host.free_devices))


def free_memory(request: ServerRequest, host: HostView) -> float:
    """Spread servers: the more memory is free, the better."""
    return float(host.stock("MEMORY_MB").free)


WEIGHTS: tuple[Weight, ...] = (fewest_devices, free_memory)
"""The first that tells two hosts apart decides; equal hosts go by name."""


def by_weight(request: ServerRequest, hosts: Sequence[HostView]) -> list[HostView]:
    """Sort *hosts*, the best first."""
    return sorted(
        hosts, key=lambda host: (*(-weight(request, host) for weight in WEIGHTS), host.name)
    )
