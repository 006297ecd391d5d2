"""Reading one host: its devices in the light of its policy, its guests, their VFs."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import suppress

from lanekeeper.agent.facts import facts, health
from lanekeeper.agent.macvtap import has_fallen
from lanekeeper.agent.observe import View, view
from lanekeeper.agent.pairs import has_left
from lanekeeper.agent.plan import Observed
from lanekeeper.agent.policy import Policy
from lanekeeper.agent.relay import Relayed
from lanekeeper.agent.switches import Switches
from lanekeeper.agent.vf_readings import VfReadings
from lanekeeper.agent.vf_settings import drift, vf_of
from lanekeeper.domain.errors import HostFault, Invalid, NotFound, Unavailable
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import PciDevice
from lanekeeper.domain.pci.devname import Pins, pin
from lanekeeper.domain.pci.listing import list_devices
from lanekeeper.domain.pci.vf_settings import VfSettings
from lanekeeper.host.machine import Machine
from lanekeeper.host.scan import Scan
from lanekeeper.hypervisor.driver import Hypervisor, Inventory
from lanekeeper.hypervisor.guest_files import GuestDirectories
from lanekeeper.protocol import Desired, HostFacts, HostHealth, NicWanted

Interfaces = Callable[[], frozenset[str]]
"""Names the interfaces that carry management traffic now."""


def no_interfaces() -> frozenset[str]:
    """A host that nobody has asked for them."""
    return frozenset()


def refuse_contradictions(
    machine: Machine, policy: Policy, hypervisor: Hypervisor | None = None
) -> None:
    """Check the configuration against this host's devices before anything is served.

    Guests that hold something of a card that is listed twice are named where *hypervisor* is given
    and answers.

    Raises:
        Invalid: a PF and its VFs are both listed, or the like; names the lines.
    """
    devices = machine.scan().devices
    clashes = list_devices(policy.specs, devices).clashes
    if not clashes:
        return
    inventory = Inventory()
    if hypervisor is not None:
        with suppress(Unavailable, HostFault):  # what is wrong is wrong without it
            inventory = hypervisor.inventory()
    raise Invalid("; ".join(f"{one}{_held(one.card, devices, inventory)}" for one in clashes))


def _held(card: PciAddress | None, devices: Iterable[PciDevice], inventory: Inventory) -> str:
    """Who holds the PF at *card*, or VFs of it; each device by its guest."""
    mine = [
        one.address for one in devices if card is not None and card in (one.address, one.parent)
    ]
    held = [f"{one} by {name}" for one in mine if (name := inventory.holder(one))]
    return f"; held by guests now: {', '.join(held)}" if held else ""


class Senses:
    """What this host's agent reads.

    Attributes:
        vfs: what the VFs of running guests were last seen set to.
    """

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
        self._before: Policy | None = None
        self._management = management
        self._pins: Pins = {}
        self._switches = Switches(machine)
        self.vfs = VfReadings()

    def facts_with(self, host_name: str, policy: Policy) -> HostFacts:
        """What would be told of this host if it obeyed *policy*.

        Raises:
            Invalid, HostFault: as ``refuse_contradictions`` of this machine.
            Unavailable: the hypervisor does not tell the host's size.
        """
        refuse_contradictions(self._machine, policy, self._hypervisor)
        scan = self._machine.scan()
        pins = pin(policy.specs, scan.devices, self._pins)
        return self.facts(host_name, self._view(scan, policy, pins))

    def _view(self, scan: Scan, policy: Policy, pins: Pins) -> View:
        known = self._switches.look(policy)
        return view(scan, policy, self._management(), pins, known)

    def obey(self, policy: Policy) -> None:
        """See with *policy* from the next look on."""
        if policy != self._policy:
            self._before = self._policy
        self._policy = policy

    def go_back(self) -> bool:
        """See with the policy of before again; whether there was another one."""
        if self._before is None:
            return False
        self._policy, self._before = self._before, None
        return True

    def view(self) -> View:
        """Scan the bus. Raises HostFault."""
        scan = self._machine.scan()
        self._pins = pin(self._policy.specs, scan.devices, self._pins)
        return self._view(scan, self._policy, self._pins)

    def facts(self, host_name: str, seen: View) -> HostFacts:
        """Raises Unavailable, HostFault: hypervisor or kernel do not tell the host's size."""
        return facts(
            host_name,
            self._hypervisor.capacity(),
            seen,
            self._machine.nodes(),
            self._machine.host_driver,
        )

    def health(self, seen: View) -> HostHealth:
        """Read how well the devices are; one that cannot be read now is left out."""
        return health(seen, self._machine.health)

    def observe(
        self,
        desired: Desired | None,
        cleaned: Mapping[str, int],
        in_hand: frozenset[str],
        *,
        settings: bool,
        inventory: Inventory | None = None,
        relay: Relayed | None = None,
    ) -> Observed:
        """Look at the guests, and with *settings* also at what their VFs are set to now.

        Args:
            desired: what is wanted; None while that is not known.
            cleaned: the round in which a device was last cleaned, by device id.
            in_hand: ids and addresses that are being worked on, so that a reading would be of the
                moment; the last one counts on.
            settings: whether to read; otherwise the last reading is told.
            inventory: the guests, where they have been listed just now.
            relay: what uplinks make of what is wanted; None where nothing is.

        Raises:
            Unavailable, HostFault: the hypervisor does not answer.
        """
        inventory = inventory or self.inventory()
        if settings and desired is not None:
            self._read_vfs(desired, inventory, in_hand)
        return Observed(
            inventory=inventory,
            files=self._directories.ids(),
            vf_settings=self.vfs.settings(),
            unsupported=self.vfs.unsupported(),
            away=relay.away if relay is not None else frozenset(),
            unsure=relay.unsure if relay is not None else frozenset(),
            fallen=self.vfs.fallen(),
            settled=self.vfs.settled(),
            cleaned=cleaned,
        )

    def inventory(self) -> Inventory:
        """List the guests. Raises Unavailable, HostFault: the hypervisor does not answer."""
        return self._hypervisor.inventory()

    def _read_vfs(self, desired: Desired, inventory: Inventory, in_hand: frozenset[str]) -> None:
        """Read the VFs of running guests, one question a PF."""
        running = {guest.id: guest for guest in inventory.guests if guest.power == "running"}
        unread: set[PciAddress] = set()
        of_pf: dict[PciAddress, dict[int, PciAddress]] = {}
        for server in desired.servers:
            guest = running.get(server.id)
            for nic in server.nics if guest is not None else ():
                if guest is not None and has_left(nic, guest):
                    continue  # nobody has it now
                address = PciAddress.parse(nic.device.address)
                try:
                    pf, index = vf_of(self._machine, address)
                except (NotFound, HostFault):
                    continue
                unread.add(address)
                if nic.device.address not in in_hand:
                    of_pf.setdefault(pf, {})[index] = address
        found: dict[PciAddress, VfSettings] = {}
        for pf, asked in of_pf.items():
            try:
                settings = self._machine.all_vf_settings(pf)
            except (NotFound, HostFault):
                continue
            found |= {asked[index]: one for index, one in settings.items() if index in asked}
        nics = [nic for server in desired.servers for nic in server.nics]
        wanted = frozenset(nic.device.address for nic in nics)
        self.vfs.renew(
            found,
            unread=frozenset(unread - found.keys()),
            wanted=wanted,
            fallen=frozenset(self._fallen(nics, found)),
        )
        unsupported = self.vfs.unsupported()
        for nic in nics:
            address = PciAddress.parse(nic.device.address)
            one = found.get(address)
            if one is not None and not drift(nic, one, unsupported.get(address, frozenset())):
                self.vfs.settle([nic])
        self.vfs.keep(frozenset(nic.port_id for nic in nics))

    def _fallen(
        self, nics: Iterable[NicWanted], found: Container[PciAddress]
    ) -> Iterator[PciAddress]:
        """Those VFs of *found* whose interface does not carry its macvtap as it should."""
        for nic in nics:
            address = PciAddress.parse(nic.device.address)
            if nic.macvtap is None or address not in found:
                continue
            try:
                if has_fallen(nic, self._machine.interface(address)):
                    yield address
            except NotFound:
                yield address
            except HostFault:
                continue
