"""From a policy and an observed host to ordered steps, each with its undo. Pure and complete.

Whoever executes a plan makes no choice: what could go wrong by choice is a refusal here, and a
plan with a refusal is not executed at all, because half a policy is no policy. Each noun of a
policy has its module in ``steps``; the order in which the kernel wants them is here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from lanekeeper.domain.hostplan.caution import policy_cautions
from lanekeeper.domain.hostplan.choice import choose
from lanekeeper.domain.hostplan.management import aside_cautions
from lanekeeper.domain.hostplan.observed import HostFacts, argument_holds
from lanekeeper.domain.hostplan.policy.policy import Policy
from lanekeeper.domain.hostplan.step import Plan, State
from lanekeeper.domain.hostplan.steps.binding import module_load_steps, rule_steps
from lanekeeper.domain.hostplan.steps.boot.argument import boot_pending, boot_refusals, boot_steps
from lanekeeper.domain.hostplan.steps.boot.grub import own_overruling
from lanekeeper.domain.hostplan.steps.boot_taking import boot_taking_refusals
from lanekeeper.domain.hostplan.steps.device import (
    device_pending,
    device_refusals,
    device_states,
    device_steps,
)
from lanekeeper.domain.hostplan.steps.files import (
    each_once,
    foreign_refusals,
    obstacle_refusals,
)
from lanekeeper.domain.hostplan.steps.huge_pages import (
    huge_page_refusals,
    huge_page_states,
    huge_page_steps,
)
from lanekeeper.domain.hostplan.steps.initramfs import initramfs_steps
from lanekeeper.domain.hostplan.steps.max_vfs import (
    max_vfs_pending,
    max_vfs_steps,
    overruling_arguments,
)
from lanekeeper.domain.hostplan.steps.module import (
    blacklist_refusals,
    fit_refusals,
    module_refusals,
    module_steps,
    option_steps,
)
from lanekeeper.domain.hostplan.steps.persist import persist_steps
from lanekeeper.domain.hostplan.steps.pf import (
    mac_refusals,
    pf_pending,
    pf_refusals,
    pf_states,
    pf_steps,
)
from lanekeeper.domain.hostplan.steps.purpose import purpose_refusals
from lanekeeper.domain.hostplan.steps.switch import switch_pending, switch_refusals, switch_steps


def plan(policy: Policy, host: HostFacts, without: Collection[str] = ()) -> Plan:
    """Return what turns *host* into what *policy* says; empty when it is so already.

    The entries at the paths *without* are left out of it.
    """
    choice = choose(policy, host, without)
    chosen = choice.pfs
    overruling = overruling_arguments(policy, host, chosen)
    if choice.is_partial and policy.persist:
        overruling += own_overruling(host)
    booted = replace(policy, kernel_arguments=(*policy.kernel_arguments, *overruling))
    refusals = [
        *choice.refusals,
        *pf_refusals(policy, host, chosen),
        *mac_refusals(chosen),
        *switch_refusals(host, chosen),
        *device_refusals(policy, host, choice.devices),
        *purpose_refusals(choice),
        *huge_page_refusals(policy, host),
        *module_refusals(host, choice),
        *fit_refusals(host, choice),
        *blacklist_refusals(policy, host, choice),
        *boot_refusals(booted, host),
        *boot_taking_refusals(booted, host),
    ]
    options, counts = [*option_steps(policy, host, choice)], [*max_vfs_steps(policy, host, chosen)]
    steps = [
        *options,
        *module_steps(host, choice),
        *huge_page_steps(policy, host),
        *(step for entry, pf in chosen for step in pf_steps(entry, pf, host)),
        *(step for entry, one in choice.devices for step in device_steps(entry, one, host)),
        *switch_steps(policy, host, chosen),
        *counts,
        *module_load_steps(policy, host),
        *rule_steps(policy, host, choice),
        *initramfs_steps(host, [*options, *counts]),
        *persist_steps(policy, host),
        *boot_steps(booted, host),
    ]
    once = each_once(steps)
    refusals += [*obstacle_refusals(once, host), *foreign_refusals(once, host)]
    pending = [
        *max_vfs_pending(policy, host, chosen),
        *boot_pending(booted, host),
        *(text for entry, pf in chosen for text in pf_pending(entry, pf, host)),
        *(text for entry, one in choice.devices for text in device_pending(entry, one, host)),
        *switch_pending(policy, host, chosen),
    ]
    states = [
        *(state for entry, pf in chosen for state in pf_states(entry, pf, host)),
        *(state for entry, one in choice.devices for state in device_states(entry, one)),
        *huge_page_states(policy, host),
        *argument_states(booted, host),
    ]
    return Plan(
        () if refusals else once,
        tuple(refusals),
        tuple(pending),
        tuple(states),
        (*choice.unmet, *policy_cautions(policy, host), *aside_cautions(host)),
    )


def argument_states(policy: Policy, host: HostFacts) -> Iterator[State]:
    """Say of each kernel argument whether it is active, or will be."""
    for argument in policy.kernel_arguments:
        active = argument_holds(argument, host.cmdline)
        configured = argument_holds(argument, host.configured_cmdline or ())
        yield State(
            subject="kernel",
            setting=argument,
            requested="yes",
            active="yes" if active else "no",
            after_reboot="yes" if configured and not active else "",
        )
