"""What a policy may have and an operator should know before it is applied: dangers, and words
that do nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from lanekeeper.domain.hostplan.kernel_risk import risk
from lanekeeper.domain.hostplan.kernel_word import slip
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.policy.policy import Policy
from lanekeeper.domain.hostplan.policy.reading import VERY_NEAR
from lanekeeper.domain.hostplan.step import Caution
from lanekeeper.domain.hostplan.steps.module import is_missing

_FIX = "take it out, unless every guest that gets a device is trusted as the host is"


def policy_cautions(policy: Policy, host: HostFacts) -> Iterator[Caution]:
    """Warn of what is a danger, of arguments that nobody knows and modules that are not there."""
    for at, argument in enumerate(policy.kernel_arguments):
        if danger := risk(argument):
            reason = f"{argument}: {danger}"
            yield Caution("argument-risky", f"kernel_arguments[{at}]", reason, _FIX)
        if _hides_cards(argument):
            reason = f"{argument}: the kernel looks at no PCI bus: no card is found, no disk either"
            yield Caution("argument-risky", f"kernel_arguments[{at}]", reason, "take it out")
        if found := slip(argument):
            wrong, meant = found
            reason = f"the kernel knows no {wrong} and passes over it"
            subject = f"kernel_arguments[{at}]"
            yield Caution("argument-unknown", subject, reason, f"did you mean {meant}?")
    for each in policy.module_options:
        subject = f"module_options.{each.module}"
        for at, option in enumerate(each.options):
            if danger := risk(f"{each.module}.{option}"):
                yield Caution("option-risky", f"{subject}[{at}]", f"{option}: {danger}", _FIX)
        if is_missing(each.module, host):
            reason = f"kernel {host.release} has no module {each.module}: its options do nothing"
            near = _near(each.module, host)
            fix = f"did you mean {near}?" if near else "take it out, or install what has the module"
            yield Caution("module-unknown", subject, reason, fix)
    for at, module in enumerate(policy.blacklist):
        near = _near(module, host) if is_missing(module, host) else ""
        if near:  # a list for every kind of host names modules that some have not
            reason = f"kernel {host.release} has no module {module}: nothing is kept from loading"
            yield Caution("module-unknown", f"blacklist[{at}]", reason, f"did you mean {near}?")


def _hides_cards(argument: str) -> bool:
    """Source: Linux arch/x86/pci/common.c, pcibios_setup()."""
    key, _, value = argument.partition("=")
    return key == "pci" and "off" in value.split(",")


def _near(module: str, host: HostFacts) -> str:
    there = sorted({*host.modules, *host.loadable})
    return next(iter(get_close_matches(module.replace("-", "_"), there, 1, VERY_NEAR)), "")
