"""Steps that load kernel modules."""

from __future__ import annotations

from collections.abc import Iterator

from lanekeeper.domain.hostplan.action import LoadModule
from lanekeeper.domain.hostplan.choice import Chosen
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.step import Step

_VFIO_MODULE = "vfio_pci"


def module_steps(host: HostFacts, chosen: Chosen) -> Iterator[Step]:
    """Load vfio-pci where VFs are wanted and it is missing."""
    wanted = any(entry.vfs for entry, _ in chosen)
    if wanted and _VFIO_MODULE not in host.modules and _VFIO_MODULE in host.loadable:
        # No undo: a loaded module does no harm, and others may use it by then.
        yield Step(LoadModule("vfio-pci"), (), "guests get devices through vfio-pci")
