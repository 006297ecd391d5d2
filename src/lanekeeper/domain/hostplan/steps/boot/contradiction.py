"""What the operator's own lines to the boot loader say against the policy, with file and line.

Source: Linux drivers/iommu/irq_remapping.c, setup_irqremap(): of ``intremap``'s ``on`` and ``off``
the last counts; ``iommu_argument`` has the others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from lanekeeper.domain.hostplan import persistence
from lanekeeper.domain.hostplan.boot_loader import Loader, argument_key, lacking, with_arguments
from lanekeeper.domain.hostplan.grub_variables import grub_arguments, read_variables
from lanekeeper.domain.hostplan.huge_page_argument import is_huge
from lanekeeper.domain.hostplan.iommu_argument import ever_off, last_off, values
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.policy.policy import Policy
from lanekeeper.domain.hostplan.step import Refusal
from lanekeeper.domain.hostplan.steps.boot.grub import dropped_in, own_arguments, own_text, quoted

_IOMMU = ("iommu", "intel_iommu", "amd_iommu", "iommu.passthrough")
_SAVED = "saved"
_UNMAPPED = "nointremap"


def contradiction_refusals(policy: Policy, host: HostFacts) -> Iterator[Refusal]:
    """Refuse arguments that would be written for nothing."""
    if policy.kernel_arguments and host.boot.loader is Loader.GRUB_DROP_IN:
        yield from _overridden(policy, host)
    yield from _too_late(policy, host)
    if not _wants_iommu(policy):
        return
    for words in _next_command_lines(policy, host):
        argument = _switched_off(words, policy, host)
        if argument is not None:
            place = _place(argument, host)
            reason = f"{place} has {argument}, and nothing behind it switches the IOMMU on again"
            fix = f"take {argument} out there"
            if argument_key(argument) == "intel_iommu":
                fix = f"{fix}, or ask for intel_iommu=on, which behind it counts"
            yield Refusal("iommu-switched-off", "kernel_arguments", reason, fix)
            return


def contradiction_pending(policy: Policy, host: HostFacts) -> Iterator[str]:
    """Say what stays off beside the IOMMU that is asked for."""
    lines = _next_command_lines(policy, host) if _wants_iommu(policy) else []
    off = next(filter(None, map(_unmapped, lines)), None)
    if off is not None:
        yield (
            f"{_place(off, host)} has {off}: without interrupt remapping VFIO refuses devices "
            "(unless vfio_iommu_type1.allow_unsafe_interrupts=1); take it out, or ask for "
            "intremap=on, which behind it counts"
        )


def _too_late(policy: Policy, host: HostFacts) -> Iterator[Refusal]:
    """Refuse huge pages that GRUB's settings ask for, too: the kernel takes the first of a size."""
    huge = tuple(filter(is_huge, policy.kernel_arguments))
    if not huge or host.boot.loader not in (Loader.GRUB_DROP_IN, Loader.GRUB_SETTINGS):
        return
    given, own = host.configured_cmdline or (), dropped_in(own_text(host))
    at = len(given) - len(own)
    others = given[:at] if given[at:] == own else given
    if lacking(huge, (*others, *own_arguments(policy.kernel_arguments, host))):
        before = [word for word in others if is_huge(word)]
        reason = (
            f"{_place(before[0], host)} has {' '.join(before)}, and of each size of huge pages "
            "the kernel takes the first count"
        )
        yield Refusal("boot-argument-overridden", "kernel_arguments", reason, "take that out there")


def _overridden(policy: Policy, host: HostFacts) -> Iterator[Refusal]:
    wanted = policy.kernel_arguments
    if policy.separate_entry:
        own = persistence.grub_lines((), saved=True)
        if host.boot.default == _SAVED or not lacking(wanted, host.configured_cmdline or ()):
            return
        what = "GRUB_DEFAULT=saved"
        found = _behind(own, host, lambda given: given.get("GRUB_DEFAULT") == _SAVED)
    else:
        missing = lacking(wanted, host.configured_cmdline or ())
        own = persistence.grub_lines(own_arguments(wanted, host))
        what = quoted(missing)
        found = _behind(own, host, lambda given: not lacking(wanted, grub_arguments(given)))
        found = found if missing else None
    if found is not None:
        place, line = found
        name = persistence.GRUB_FILE.rpartition("/")[2]
        reason = (
            f"{place} has {line.strip()}, behind /{persistence.GRUB_FILE}: {what} would not hold"
        )
        fix = f"have it add to what is there, or give the file a name that sorts before {name}"
        yield Refusal("boot-argument-overridden", "kernel_arguments", reason, fix)


def _behind(
    own: str, host: HostFacts, holds: Callable[[dict[str, str]], bool]
) -> tuple[str, str] | None:
    """Return the line behind Lanekeeper's drop-in from which on *own* does not hold any more."""
    texts = {**host.boot.texts, persistence.GRUB_FILE: own}
    names = sorted(texts, key=lambda name: ("/grub.d/" in name, name))
    at = names.index(persistence.GRUB_FILE) + 1
    read = [texts[name] for name in names[:at]]
    for name in names[at:]:
        lines = texts[name].splitlines(keepends=True)
        if not holds(read_variables([*read, texts[name]])):
            for number in range(1, len(lines) + 1):
                if not holds(read_variables([*read, "".join(lines[:number])])):
                    return f"/{name}:{number}", lines[number - 1]
        read.append(texts[name])
    return None


def _wants_iommu(policy: Policy) -> bool:
    wanted = policy.kernel_arguments
    return any(argument_key(a) in _IOMMU and "off" not in values(a) for a in wanted)


def _next_command_lines(policy: Policy, host: HostFacts) -> list[tuple[str, ...]]:
    """Return what the next kernel will be given, for each entry that may start it."""
    wanted, configured = policy.kernel_arguments, host.configured_cmdline
    if configured is None:
        return [host.cmdline]
    if host.boot.loader in (Loader.GRUBBY, Loader.ENTRIES):
        entries = host.boot.entries.values()
        return [with_arguments(given, lacking(wanted, given)) for given in entries]
    return [(*configured, *lacking(wanted, configured))]


def _switched_off(words: tuple[str, ...], policy: Policy, host: HostFacts) -> str | None:
    """Return the argument that keeps the IOMMU off whatever else is said."""
    is_arm = "asimd" in host.cpu_flags  # where iommu= is no argument
    is_intel = host.dma_table == "DMAR" or "vmx" in host.cpu_flags
    is_amd = not is_intel and (host.dma_table == "IVRS" or "svm" in host.cpu_flags)
    asked = {argument_key(argument) for argument in policy.kernel_arguments}
    if not is_arm and (off := ever_off("iommu", words)):
        return off
    if not (is_arm or is_intel or "intel_iommu" in asked) and (off := ever_off("amd_iommu", words)):
        return off
    return None if is_arm or is_amd else last_off("intel_iommu", words)


def _unmapped(words: tuple[str, ...]) -> str | None:
    plain = tuple("intremap=off" if word == _UNMAPPED else word for word in words)
    off = last_off("intremap", plain)
    return _UNMAPPED if off is not None and off not in words else off


def _place(argument: str, host: HostFacts) -> str:
    """Return the file and line that *argument* stands in, as far as that is known."""
    word = re.compile(rf"(?<![^\s\"'=]){re.escape(argument)}(?![^\s\"'])")
    for path, text in host.boot.texts.items():
        for number, line in enumerate(text.splitlines(), 1):
            if not line.lstrip().startswith("#") and word.search(line):
                return f"/{path}:{number}"
    return "/proc/cmdline" if argument in host.cmdline else "the boot loader's environment"
