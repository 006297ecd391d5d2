"""Kernel arguments of a policy: which are missing where, and which loader's steps bring them."""

from __future__ import annotations

from collections.abc import Iterator

from lanekeeper.domain.hostplan.boot_loader import Loader, lacking
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.policy.policy import Policy
from lanekeeper.domain.hostplan.step import Refusal, Step
from lanekeeper.domain.hostplan.steps.boot.contradiction import (
    contradiction_pending,
    contradiction_refusals,
)
from lanekeeper.domain.hostplan.steps.boot.entry import entry_steps
from lanekeeper.domain.hostplan.steps.boot.grub import grub_steps
from lanekeeper.domain.hostplan.steps.boot.grubby import disagreement, grubby_steps
from lanekeeper.domain.hostplan.steps.boot.separate import (
    has_separate,
    script_removal,
    separate_steps,
    unsaved,
)

_GRUB = (Loader.GRUB_DROP_IN, Loader.GRUB_SETTINGS)


def boot_steps(policy: Policy, host: HostFacts) -> Iterator[Step]:
    """Give the next kernel the arguments that it would lack, and none that are wanted no more.

    Entry files and grubby do not tell Lanekeeper's from the operator's, so there these stay.
    """
    wanted = policy.kernel_arguments
    if host.configured_cmdline is None:
        return
    match host.boot.loader:
        case Loader.GRUBBY:
            yield from grubby_steps(wanted, host)
        case Loader.ENTRIES:
            yield from entry_steps(wanted, host)
        case _ if policy.separate_entry and wanted:
            yield from separate_steps(wanted, host)
        case _:
            removed = [*script_removal(host)]
            yield from grub_steps(wanted, host, removed)
            yield from unsaved(host) if removed else ()


def boot_refusals(policy: Policy, host: HostFacts) -> Iterator[Refusal]:
    """Refuse what no boot loader known here would do."""
    wanted = policy.kernel_arguments
    absent = lacking(wanted, host.cmdline)
    looked = ", ".join(f"/{name}" for name in host.boot_loader_files)
    if absent and host.configured_cmdline is None:
        code = "boot-loader-ambiguous" if host.boot.doubt else "boot-loader-unknown"
        why = host.boot.doubt or "no boot loader that is known sets the kernel arguments"
        first = "settle that, or " if host.boot.doubt else ""
        fix = f"{first}add {' '.join(absent)} to the kernel command line by hand"
        yield Refusal(code, "kernel_arguments", f"{why} (looked at {looked})", fix)
    yield from contradiction_refusals(policy, host)
    if host.configured_cmdline is None or not wanted:
        return
    if policy.separate_entry and not (host.boot.loader in _GRUB and host.boot.has_scripts):
        reason = (
            f"a separate entry is made in /etc/grub.d, and the boot loader here is {_name(host)}"
        )
        fix = "leave boot: {entry: separate} out; every entry gets the arguments then"
        yield Refusal("boot-entry-unsupported", "boot.entry", reason, fix)
    if host.boot.loader is Loader.GRUBBY:
        for reason in disagreement(wanted, host):
            fix = "make them agree: grubby --update-kernel=ALL --args=… or --remove-args=…"
            yield Refusal("boot-entries-differ", "kernel_arguments", reason, fix)


def _name(host: HostFacts) -> str:
    without = "" if host.boot.has_scripts else " without /etc/grub.d/10_linux"
    return f"{host.boot.loader}{without if host.boot.loader in _GRUB else ''}"


def boot_pending(policy: Policy, host: HostFacts) -> Iterator[str]:
    """Say which arguments wait for a reboot, and that they are set by then."""
    for argument in lacking(policy.kernel_arguments, host.cmdline):
        which = " into the separate entry" if has_separate(host) else ""
        yield f"kernel argument {argument} takes effect after a reboot{which}"
    yield from contradiction_pending(policy, host)
