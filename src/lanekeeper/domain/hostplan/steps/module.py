"""Steps that load kernel modules, and say with which options from the next time on."""

from __future__ import annotations

from collections.abc import Iterator

from lanekeeper.domain.hostplan import persistence
from lanekeeper.domain.hostplan.action import LoadModule
from lanekeeper.domain.hostplan.choice import Chosen
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.policy.pf import MIGRATION_DRIVER
from lanekeeper.domain.hostplan.policy.policy import Policy
from lanekeeper.domain.hostplan.step import Impact, Step
from lanekeeper.domain.hostplan.steps.files import file_steps

_VFIO_MODULE = "vfio_pci"
_HEAD = "# Written by `lanekeeper host apply`; `lanekeeper host rollback` removes it.\n"


def module_steps(host: HostFacts, chosen: Chosen) -> Iterator[Step]:
    """Load the VFIO drivers that wanted VFs need, where they are missing and there."""
    if any(entry.vfs for entry, _ in chosen):
        yield from _load(host, _VFIO_MODULE, "guests get devices through vfio-pci")
    if any(entry.vfs and entry.live_migration for entry, _ in chosen):
        yield from _load(host, MIGRATION_DRIVER, "it moves the VFs' state with a running guest")


def _load(host: HostFacts, module: str, why: str) -> Iterator[Step]:
    if module not in host.modules and module in host.loadable:
        # No undo: a loaded module does no harm, and others may use it by then.
        name = "vfio-pci" if module == _VFIO_MODULE else module
        yield Step(LoadModule(name), (), why)


def option_steps(policy: Policy, host: HostFacts) -> Iterator[Step]:
    """Write the options; loaded modules keep theirs until they are loaded anew."""
    if policy.module_options:
        lines = (
            f"options {each.module} {' '.join(each.options)}\n" for each in policy.module_options
        )
        text = _HEAD + "".join(lines)
        why = "modules get their options from there"
        yield from file_steps(host, persistence.MODPROBE_FILE, text, why, Impact.REBOOT)
        if (host.initramfs_update or ("",))[0] == "dracut":
            why = "unless it is told, dracut leaves the options out of images for any host"
            text = persistence.DRACUT_TEXT
            yield from file_steps(host, persistence.DRACUT_FILE, text, why, Impact.REBOOT)
