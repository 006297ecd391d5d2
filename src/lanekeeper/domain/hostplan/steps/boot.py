"""Steps that bring kernel arguments into the boot loader's settings."""

from __future__ import annotations

from collections.abc import Iterator

from lanekeeper.domain.hostplan import persistence
from lanekeeper.domain.hostplan.action import UpdateBootLoader
from lanekeeper.domain.hostplan.observed import HostFacts, argument_holds
from lanekeeper.domain.hostplan.policy.policy import Policy
from lanekeeper.domain.hostplan.step import Impact, Refusal, Step
from lanekeeper.domain.hostplan.steps.files import file_steps, file_undo


def boot_steps(policy: Policy, host: HostFacts) -> Iterator[Step]:
    """Write the arguments that the next kernel would lack, and have the menu made anew."""
    missing = _missing_arguments(policy, host)
    if not missing or host.configured_cmdline is None:
        return
    path = persistence.GRUB_FILE
    kept = _dropped_in(host.files.get(path))
    arguments = (*(word for word in kept if word not in missing), *missing)
    text = persistence.grub_text(arguments)
    why = f"the boot loader does not give {' '.join(missing)}"
    yield from file_steps(host, path, text, why, Impact.REBOOT)
    if host.can_update_boot_loader:
        why = "the boot menu is made from these files"
        undo = (file_undo(path, host.files.get(path)), UpdateBootLoader())
        yield Step(UpdateBootLoader(), undo, why, Impact.REBOOT)


def _missing_arguments(policy: Policy, host: HostFacts) -> tuple[str, ...]:
    configured = host.configured_cmdline or ()
    return tuple(a for a in policy.kernel_arguments if not argument_holds(a, configured))


def _dropped_in(text: str | None) -> list[str]:
    """Return the arguments that an earlier plan wrote."""
    words = (text or "").rpartition("$GRUB_CMDLINE_LINUX_DEFAULT ")[2]
    return words.partition('"')[0].split()


def boot_refusals(policy: Policy, host: HostFacts) -> Iterator[Refusal]:
    """Refuse arguments that no boot loader known here would give."""
    absent = [a for a in policy.kernel_arguments if not argument_holds(a, host.cmdline)]
    if absent and host.configured_cmdline is None:
        looked = ", ".join(f"/{name}" for name in host.boot_loader_files)
        reason = f"no boot loader that is known sets the kernel arguments (looked at {looked})"
        fix = f"add {' '.join(absent)} to the kernel command line by hand"
        yield Refusal("boot-loader-unknown", "kernel_arguments", reason, fix)


def boot_pending(policy: Policy, host: HostFacts) -> Iterator[str]:
    """Say which arguments wait for a reboot."""
    for argument in policy.kernel_arguments:
        if not argument_holds(argument, host.cmdline):
            yield f"kernel argument {argument} takes effect after a reboot"
