"""Which kernel arguments of a host its policy takes over, in which spelling, and at which risk."""

from __future__ import annotations

from collections.abc import Iterator

from lanekeeper.domain.hostplan.adoption.note import Note
from lanekeeper.domain.hostplan.adoption.own_file import own_arguments
from lanekeeper.domain.hostplan.boot_loader import argument_holds
from lanekeeper.domain.hostplan.huge_page_argument import taken, without_pools
from lanekeeper.domain.hostplan.iommu_argument import MEANT, switches_off
from lanekeeper.domain.hostplan.kernel_risk import RISKY_KEYS, plain_key, risk
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.policy.kernel import ARGUMENT, last_words
from lanekeeper.domain.hostplan.survey import Survey

ARGUMENTS = RISKY_KEYS | frozenset(
    (
        *("intel_iommu", "amd_iommu", "iommu", "iommu.passthrough"),
        *("pci", "hugepagesz", "hugepages", "default_hugepagesz"),
    )
)
"""Keys of kernel arguments that decide what can be given to guests."""

_SOFT = "iommu=soft"


def adopted_arguments(host: HostFacts) -> tuple[tuple[str, ...], tuple[Note, ...]]:
    """Return the arguments for the policy, and what is to be known of them.

    None is left out without a word, and none is taken that a plan for the policy would refuse.
    """
    kept: list[str] = []
    about: dict[str, str] = {}
    left: list[Note] = []
    ours = own_arguments(host)
    for argument in last_words(taken((*without_pools(ours, host.cmdline), *ours))):
        subject = f"kernel argument {argument}"
        if plain_key(argument) not in ARGUMENTS and argument not in ours:
            continue
        if argument == _SOFT or switches_off(argument):
            says = "left out: it keeps the IOMMU off, without which no guest can have a device"
            left.append(Note(subject, says))
        elif not ARGUMENT.fullmatch(argument):
            says = "left out: it has characters that a policy does not take; it stays where it is"
            left.append(Note(subject, says))
        elif argument in MEANT:
            meant = [a for a in MEANT[argument] if _can_be_set(a, host)]
            kept += meant
            about |= dict.fromkeys(meant, f"in place of {argument}, which the kernel passes over")
            if len(meant) < len(MEANT[argument]):
                left.append(Note(subject, _by_hand(argument)))
        else:
            kept.append(argument)
            about |= {argument: says} if (says := risk(argument)) else {}
    arguments = last_words(kept)
    notes = (
        Note(f"kernel argument {argument}", about[argument], f"kernel_arguments[{at}]")
        for at, argument in enumerate(arguments)
        if argument in about
    )
    return arguments, (*notes, *left)


def _can_be_set(argument: str, host: HostFacts) -> bool:
    return host.configured_cmdline is not None or argument_holds(argument, host.cmdline)


def _by_hand(argument: str) -> str:
    meant = " ".join(MEANT[argument])
    return (
        f"left out: the kernel passes over it; {meant} is meant, which has to be set by hand, "
        "since no boot loader that is known is here"
    )


def option_notes(survey: Survey) -> Iterator[Note]:
    """Tell the risk of module options, of files and of loaded modules; these stay as they are."""
    told = {plain_key(argument) for argument in survey.host.cmdline}
    for line in survey.modprobe:
        words = line.text.split()
        for option in words[2:] if words[0] == "options" else ():
            if says := risk(f"{words[1]}.{option}"):
                told.add(plain_key(f"{words[1]}.{option}"))
                yield Note(str(line), f"{says}; the file stays as it is")
    for name, value in survey.parameters.items():
        says = risk(f"{name}={value}")
        if says and plain_key(name) not in told:
            module, _, parameter = name.partition(".")
            yield Note(f"/sys/module/{module}/parameters/{parameter} is {value}", says)
