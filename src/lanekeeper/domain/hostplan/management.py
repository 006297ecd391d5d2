"""Whether a plan touches the interface that carries the host's own traffic."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from lanekeeper.domain.hostplan.observed import HostFacts, Interface
from lanekeeper.domain.hostplan.step import Step


def management_touched(steps: Iterable[Step], host: HostFacts) -> tuple[Interface, ...]:
    """Return the management interfaces that *steps* name, by their address or their name.

    An action that names one in any of its fields counts, so that a kind of action that is added
    later counts too.
    """
    named = {word for step in steps for word in msgspec.structs.astuple(step.do)}
    return tuple(
        interface
        for interface in host.interfaces
        if interface.is_management and {str(interface.device), interface.name} & named
    )
