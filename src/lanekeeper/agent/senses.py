"""Reading one host: its devices in the light of its policy, its guests, their VFs."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

from lanekeeper.agent.observe import Policy, View, facts, view
from lanekeeper.agent.plan import Observed
from lanekeeper.agent.vf_settings import vf_of
from lanekeeper.domain.errors import HostFault, Invalid, NotFound
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.listing import list_devices
from lanekeeper.domain.pci.vf_settings import VfSettings
from lanekeeper.host.machine import Machine
from lanekeeper.hypervisor.driver import Hypervisor, Inventory
from lanekeeper.hypervisor.guest_files import GuestDirectories
from lanekeeper.protocol import CleaningState, Desired, HostFacts

Interfaces = Callable[[], frozenset[str]]
"""Names the interfaces that carry management traffic now."""


def no_interfaces() -> frozenset[str]:
    """A host whose controller is on the same machine, or that is simulated."""
    return frozenset()


def refuse_contradictions(machine: Machine, policy: Policy) -> None:
    """Check the configuration against this host's devices before anything is served.

    Raises:
        Invalid: a PF and its VFs are both listed, or the like; names the lines.
    """
    problems = list_devices(policy.specs, machine.scan().devices).problems
    if problems:
        raise Invalid("; ".join(problems))


class Senses:
    """What this host's agent reads."""

    def __init__(
        self,
        machine: Machine,
        hypervisor: Hypervisor,
        directories: GuestDirectories,
        policy: Policy,
        management: Interfaces = no_interfaces,
    ) -> None:
        self._machine = machine
        self._hypervisor = hypervisor
        self._directories = directories
        self._policy = policy
        self._management = management

    def check(self, policy: Policy) -> None:
        """Raises Invalid, HostFault: as ``refuse_contradictions`` of this machine."""
        refuse_contradictions(self._machine, policy)

    def obey(self, policy: Policy) -> None:
        """See with *policy* from the next look on."""
        self._policy = policy

    def view(self) -> View:
        """Scan the bus. Raises HostFault."""
        return view(self._machine.scan(), self._policy, self._management())

    def facts(self, host_name: str, seen: View) -> HostFacts:
        """Raises Unavailable, HostFault: hypervisor or kernel do not tell the host's size."""
        return facts(host_name, self._hypervisor.capacity(), seen, self._machine.nodes())

    def observe(self, desired: Desired | None, memory: Memory, *, settings: bool) -> Observed:
        """Look at the guests, and with *settings* at what their VFs are set to.

        Raises:
            Unavailable, HostFault: the hypervisor does not answer.
        """
        inventory = self._hypervisor.inventory()
        vfs = self._vf_settings(desired, inventory) if settings and desired else {}
        return Observed(
            inventory=inventory,
            files=self._directories.ids(),
            vf_settings=vfs,
            unsupported=memory.unsupported(),
            cleaned={one.device_id: one.round for one in memory.cleaned().values()},
        )

    def _vf_settings(self, desired: Desired, inventory: Inventory) -> dict[PciAddress, VfSettings]:
        """Read the VFs of running guests, one question a PF; what cannot be read is left out."""
        running = {guest.id for guest in inventory.guests if guest.power == "running"}
        of_pf: dict[PciAddress, dict[int, PciAddress]] = {}
        for server in desired.servers:
            for nic in server.nics if server.id in running else ():
                address = PciAddress.parse(nic.device.address)
                try:
                    pf, index = vf_of(self._machine, address)
                except (NotFound, HostFault):
                    continue
                of_pf.setdefault(pf, {})[index] = address
        found: dict[PciAddress, VfSettings] = {}
        for pf, wanted in of_pf.items():
            try:
                settings = self._machine.all_vf_settings(pf)
            except (NotFound, HostFault):
                continue
            found |= {wanted[index]: one for index, one in settings.items() if index in wanted}
        return found


class Memory:
    """What only a living process remembers; losing it costs a repetition. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._cleaned: dict[str, CleaningState] = {}
        self._unsupported: dict[PciAddress, frozenset[str]] = {}

    def cleaned(self) -> dict[str, CleaningState]:
        with self._lock:
            return dict(self._cleaned)

    def unsupported(self) -> dict[PciAddress, frozenset[str]]:
        with self._lock:
            return dict(self._unsupported)

    def add_cleaned(self, state: CleaningState) -> None:
        with self._lock:
            self._cleaned[state.device_id] = state

    def add_unsupported(self, settings: dict[PciAddress, frozenset[str]]) -> None:
        with self._lock:
            self._unsupported |= settings

    def keep_cleaned(self, device_ids: frozenset[str]) -> None:
        """Forget all but *device_ids*."""
        with self._lock:
            self._cleaned = {key: one for key, one in self._cleaned.items() if key in device_ids}
