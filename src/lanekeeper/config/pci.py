"""Which PCI devices guests may have: ``[pci]``, with Nova's names."""

from __future__ import annotations

from typing import Annotated

from lanekeeper.config.option import Option, Section
from lanekeeper.domain.pci.alias import Alias
from lanekeeper.domain.pci.device_spec import DeviceSpec


class Pci(Section, frozen=True):
    """PCI devices: which of them guests may have, and under which names."""

    device_spec: Annotated[
        tuple[DeviceSpec, ...],
        Option(
            "pci",
            "device_spec",
            "Devices that guests may have: a JSON object or a list of them; repeatable; the first "
            "entry that selects a device wins, for its tags too.",
            old=(("pci", "passthrough_whitelist"), ("DEFAULT", "pci_passthrough_whitelist")),
            multiple=True,
            of_agent=True,
        ),
    ] = ()
    alias: Annotated[
        tuple[Alias, ...],
        Option(
            "pci",
            "alias",
            "A name under which flavors ask for devices, a JSON object; repeatable; several of "
            "one name are alternatives, the first preferred.",
            old=(("DEFAULT", "pci_alias"),),
            multiple=True,
        ),
    ] = ()
    report_in_placement: Annotated[
        bool,
        Option("pci", "report_in_placement", "Read; Placement always shows devices."),
    ] = True
    pci_in_placement: Annotated[
        bool,
        Option("filter_scheduler", "pci_in_placement", "Read; devices are always scheduled."),
    ] = True
