"""The virtual switches of this host that guests' normal ports are on."""

from __future__ import annotations

from lanekeeper.agent.observe import Bridge, Switching
from lanekeeper.agent.policy import Policy
from lanekeeper.domain.errors import HostFault
from lanekeeper.host.machine import Machine


class Switches:
    """Looks for the bridges of ``[ovs] bridge_mappings``, and remembers them.

    Open vSwitch is restarted now and then, and its flows go on meanwhile. What was known holds
    until it says otherwise: silence takes no bridge from a guest.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._known: dict[str, Bridge] = {}

    def look(self, policy: Policy) -> Switching:
        """The bridges that there are, by physical network, with the PFs below them."""
        if not policy.bridges:
            return Switching()  # where nobody needs it, Open vSwitch is not asked
        try:
            self._known = self._look(policy)
        except HostFault as error:
            known = {
                network: bridge
                for network, bridge in self._known.items()
                if policy.bridges.get(network) == bridge.name
            }
            return Switching(known, silence=str(error))
        return Switching(self._known)

    def _look(self, policy: Policy) -> dict[str, Bridge]:
        there = self._machine.bridges(policy.bridges.values())
        return {
            network: Bridge(
                name,
                self._machine.cards_below([*there[name], *policy.shared.get(network, ())]),
                tuple(there[name]),
            )
            for network, name in policy.bridges.items()
            if name in there
        }
