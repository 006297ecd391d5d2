"""Making a device as if nobody had ever held it.

VF settings back to rest, the function reset, an NVMe drive erased, the driver that it had before,
everything read back, and the operator's own programs, if there are some for it. A device that
cannot be shown to be clean is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

import structlog

from lanekeeper.agent.driver_record import DriverRecord, function_of
from lanekeeper.agent.macvtap import check_bare
from lanekeeper.agent.neighbour import Neighbours
from lanekeeper.agent.observe import View
from lanekeeper.agent.vf_settings import write_missing
from lanekeeper.clock import Stopwatch
from lanekeeper.crash import reached
from lanekeeper.domain.errors import Conflict, Error, Forbidden, HostFault, Unavailable
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.cleaning_hook import environment_of
from lanekeeper.domain.pci.device import PciDevice
from lanekeeper.domain.pci.driver import is_vfio, keeps_group
from lanekeeper.domain.pci.nvme import NVME
from lanekeeper.domain.pci.vf_change import AT_REST, differences
from lanekeeper.host.bus_reset import ResetBus
from lanekeeper.host.machine import Machine
from lanekeeper.hypervisor.driver import Hypervisor
from lanekeeper.protocol import CleaningState, CleaningWanted, DeviceWanted

_NETWORK = 0x02  # base class; PCI Code and ID Assignment Specification

RunHook = Callable[[Sequence[str], Mapping[str, str], float], str]
"""``host.hook.run_hook``."""
EraseNvme = Callable[[PciDevice, Callable[[], float]], Iterator[str]]
"""``host.nvme.NvmeEraser.erase``."""

log = structlog.get_logger()


class CleaningFailed(HostFault):
    """A step of a cleaning went wrong; ``steps`` are those that were done before it."""

    def __init__(self, error: Error, steps: list[str]) -> None:
        super().__init__(str(error), hint=error.hint)
        self.steps = steps


class CleaningWaits(Unavailable):
    """A guest of ours has to let go of something first; whoever asks asks again, for ever."""


class Cleaner:
    """Cleans devices of one host."""

    def __init__(
        self,
        machine: Machine,
        hypervisor: Hypervisor,
        drivers: DriverRecord,
        stopwatch: Stopwatch,
        *,
        run_hook: RunHook | None = None,
        erase_nvme: EraseNvme | None = None,
        reset_bus: ResetBus | None = None,
    ) -> None:
        """Without *run_hook* and *erase_nvme* (a simulated machine) what they do is only noted;
        without *reset_bus* a function has to have a reset of its own.
        """
        self._machine = machine
        self._hypervisor = hypervisor
        self._drivers = drivers
        self._stopwatch = stopwatch
        self._run_hook = run_hook
        self._erase_nvme = erase_nvme
        self._reset_bus = reset_bus
        self._neighbours = Neighbours(machine, drivers)

    def clean(self, wanted: CleaningWanted, view: View) -> CleaningState:
        """Clean one device; a second time does no harm.

        Raises:
            CleaningFailed: with the reason; the device must not be handed out.
            CleaningWaits: a server's guest has it, or a function that is its guest's with it.
        """
        started, steps = self._stopwatch(), list[str]()
        address = PciAddress.parse(wanted.device.address)
        with _telling(steps):
            self._check(address, wanted, view)
            reached("agent.clean.before")
            for step in self._steps(address, started, view):
                steps.append(step)
                self._check_time(address, started, view)
                reached("agent.clean.step")
            for step in self._hooks(address, started, view):
                steps.append(step)
                reached("agent.clean.step")
        reached("agent.clean.after")
        self._drivers.give_back(function_of(self._machine, self._machine.device(address)))
        return CleaningState(
            device_id=wanted.device.device_id,
            round=wanted.round,
            clean=True,
            steps=steps,
            seconds=round(self._stopwatch() - started, 3),
        )

    def _check_time(self, address: PciAddress, started: float, view: View) -> float:
        """Return the seconds that are left. Raises HostFault once it has taken too long."""
        took_s, most_s = self._stopwatch() - started, view.policy.cleaning_timeout_s
        if took_s > most_s:
            raise HostFault(
                f"cleaning {address} took {took_s:.0f} s, longer than {most_s:g} s",
                hint="[lanekeeper] cleaning_timeout_s of this host's agent says how long it may",
            )
        return most_s - took_s

    def _check(self, address: PciAddress, wanted: CleaningWanted, view: View) -> None:
        if not view.may_touch(address):
            raise Forbidden(
                f"{address} is not listed in device_spec of this host, so it is not touched",
                hint="list it again, or have the device removed from the inventory",
            )
        places = (address, *self._machine.iommu_group(address))
        self._check_hands(address, places, "shares its IOMMU group with")
        device = self._machine.device(address)
        check_identity(self._machine, device, wanted.device)
        check_bare(self._machine, device)

    def _check_hands(self, address: PciAddress, places: Iterable[PciAddress], because: str) -> None:
        """Make sure that no guest has one of *places* in hand, which hang together with *address*.

        A server's guest is waited for: it lets go of what was taken from its server. Of an IOMMU
        group that it has in part the rest must not go back to a driver of the host.

        Raises:
            CleaningWaits: a server's has. Conflict: a stranger's has, who obeys nobody here.
        """
        inventory = self._hypervisor.inventory()
        for place in places:
            holder = inventory.holder(place)
            if holder is None:
                continue
            named = f"{address}" if place == address else f"{address} {because} {place}, which"
            problem = f"{named} is in the hands of guest {holder}"
            if inventory.guest(holder) is None:
                raise Conflict(problem)
            raise CleaningWaits(problem, hint="it is cleaned once that is off, or has let go of it")

    def _steps(self, address: PciAddress, started: float, view: View) -> Iterator[str]:
        """Carry out the steps; yields what each has done."""
        device = self._machine.device(address)
        driver = self._driver_before(device)
        # What the host's driver knows of the VF, its MAC among it, goes with the interface.
        is_interface = device.parent is not None and device.netdev is not None
        if device.driver is not None and (device.driver != driver or is_interface):
            self._machine.bind(address, None)
            yield f"taken from {device.driver}"
        yield from self._rest_vf(device)
        yield from self._reset(device, view)
        yield from self._rest_vf(device)  # a reset may bring back what firmware remembers
        if device.class_code >> 8 == NVME and view.policy.erase_nvme:
            # Whoever goes on after an end in between finds the driver that is only for this.
            self._drivers.remember({function_of(self._machine, device): driver})
            yield from self._erase(address, partial(self._check_time, address, started, view))
        self._machine.bind(address, driver)
        found = self._machine.device(address).driver
        if found != driver:
            raise HostFault(f"{address} is on driver {found or 'none'}, not on {driver or 'none'}")
        yield f"driver {driver or 'none'}"

    def _reset(self, device: PciDevice, view: View) -> Iterator[str]:
        """Reset the function; with its bus where the kernel knows no other way.

        What is beside it there is of its unit (``domain.pci.unit``), so nobody else has it now. A
        driver that has its function back already is spared the reset.
        """
        if device.has_reset or self._reset_bus is None:
            self._machine.reset(device.address)
            yield "function reset"
            return
        beside = self._beside(device, view)
        self._reset_bus.check(device.address)
        with self._neighbours.set_free(beside):
            self._reset_bus(device.address)
        names = ", ".join(str(one.address) for one in beside)
        yield f"bus reset, with {names}" if names else "bus reset"

    def _beside(self, device: PciDevice, view: View) -> list[PciDevice]:
        """What a reset of its bus strikes, too: functions on the bus, and VFs of those.

        Raises:
            HostFault: the host's own is among it. CleaningWaits, Conflict: a guest has some of it.
        """
        bus = (device.address.domain, device.address.bus)
        found = [
            one
            for one in self._machine.scan().devices
            for root in (one.parent or one.address,)
            if one.address != device.address and (root.domain, root.bus) == bus
        ]
        places = [one.address for one in found]
        self._check_hands(device.address, places, "is only reset together with")
        for one in found:
            if not view.may_touch(one.address) and keeps_group(one.driver):
                raise HostFault(
                    f"{device.address} is only reset with its bus, where the host itself uses "
                    f"{one.address} ({one.driver})",
                    hint="list that in device_spec, too, or bind it to vfio-pci",
                )
        return found

    def _erase(self, address: PciAddress, left: Callable[[], float]) -> Iterator[str]:
        """Erase the drive behind a function, which its kernel's driver has for so long."""
        if self._erase_nvme is None:
            yield "nvme: not erased on a simulated machine"
            return
        yield from self._erase_nvme(self._machine.device(address), left)

    def _hooks(self, address: PciAddress, started: float, view: View) -> Iterator[str]:
        """Run the operator's programs for the device, each within its time and what is left."""
        device = self._machine.device(address)
        for hook in view.policy.cleaning_hooks:
            if not hook.covers(device):
                continue
            name = hook.command[0]
            if self._run_hook is None:
                yield f"hook {name}: not run on a simulated machine"
                continue
            limit_s = min(hook.timeout_s, self._check_time(address, started, view))
            told = self._run_hook(hook.arguments(device), environment_of(device), limit_s)
            yield f"hook {name}" + (f": {told}" if told else "")

    def _driver_before(self, device: PciDevice) -> str | None:
        """Return what to give the function back to.

        One that is back already keeps what it has, and so does one of which nothing is known,
        except VFIO: that driver came with a guest.
        """
        before = self._drivers.driver(function_of(self._machine, device))
        if before is not None:
            return device.driver if before.is_back else before.driver
        return None if is_vfio(device.driver) else device.driver

    def _rest_vf(self, device: PciDevice) -> Iterator[str]:
        if device.parent is None or device.vf_index is None:
            return
        pf, index = device.parent, device.vf_index
        holder = self._machine.device(pf)
        if holder.class_code >> 16 != _NETWORK and holder.netdev is None:
            return  # not a network card: such a PF holds no settings for its VFs
        if holder.netdev is None:
            raise HostFault(
                f"{pf} has no network interface here, so nobody can tell or reset what it holds "
                f"for its VF {index}",
                hint=f"load the driver of {pf}, or bring its interface back to this namespace",
            )
        unknown = write_missing(self._machine, pf, index, AT_REST)
        left = set(differences(AT_REST, self._machine.vf_settings(pf, index))) - unknown
        if left:
            raise HostFault(f"VF {index} of {pf} keeps its {', '.join(sorted(left))}")
        yield "VF settings at rest"


def check_identity(machine: Machine, device: PciDevice, wanted: DeviceWanted) -> None:
    """Raises HostFault when another device sits there than the controller believes.

    A serial number that is not told, by either, says nothing.
    """
    hint = "the cards were moved; the next report of this host says what is there now"
    found = f"{device.vendor_id:04x}:{device.product_id:04x}"
    if found != f"{wanted.vendor_id}:{wanted.product_id}":
        raise HostFault(
            f"{device.address} is {found}, not {wanted.vendor_id}:{wanted.product_id}", hint=hint
        )
    if wanted.card_serial is None:
        return
    card = device if device.parent is None else machine.device(device.parent)
    if card.serial not in (None, wanted.card_serial):
        raise HostFault(
            f"{device.address} is of the card with serial {card.serial}, not {wanted.card_serial}",
            hint=hint,
        )


@contextmanager
def _telling(steps: list[str]) -> Iterator[None]:
    try:
        yield
    except CleaningWaits:
        raise
    except Error as error:
        raise CleaningFailed(error, steps) from error
