"""From a policy and an observed host to ordered steps, each with its undo. Pure and complete.

Whoever executes a plan makes no choice: what could go wrong by choice is a refusal here, and a
plan with a refusal is not executed at all, because half a policy is no policy. Each noun of a
policy has its module in ``steps``; the order in which the kernel wants them is here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from lanekeeper.domain.hostplan.boot_loader import lacking
from lanekeeper.domain.hostplan.caution import policy_cautions
from lanekeeper.domain.hostplan.choice import Choice, choose
from lanekeeper.domain.hostplan.management import aside_cautions, management_refusals
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.other_owner import count_cautions
from lanekeeper.domain.hostplan.policy.policy import Policy
from lanekeeper.domain.hostplan.step import Plan, Refusal, State, Step
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
    overruling = overruling_arguments(policy, host, choice.pfs)
    if choice.is_partial and policy.persist:
        overruling += own_overruling(host)
    booted = replace(policy, kernel_arguments=(*policy.kernel_arguments, *overruling))
    once = each_once([*_steps(policy, booted, host, choice)])
    judged = (
        *_refusals(policy, booted, host, choice),
        *management_refusals(policy, once, host, choice),
        *obstacle_refusals(once, host),
        *foreign_refusals(once, host),
    )
    refusals = tuple(dict.fromkeys(judged))
    return Plan(
        () if refusals else once,
        refusals,
        tuple(_pending(policy, booted, host, choice)),
        tuple(_states(policy, booted, host, choice)),
        (
            *choice.unmet,
            *policy_cautions(policy, host),
            *count_cautions(policy, host, choice.pfs),
            *aside_cautions(host),
        ),
    )


def _refusals(policy: Policy, booted: Policy, host: HostFacts, choice: Choice) -> Iterator[Refusal]:
    chosen = choice.pfs
    yield from choice.refusals
    yield from pf_refusals(host, chosen)
    yield from mac_refusals(chosen)
    yield from switch_refusals(host, chosen)
    yield from device_refusals(policy, host, choice.devices)
    yield from purpose_refusals(choice)
    yield from huge_page_refusals(policy, host)
    yield from module_refusals(host, choice)
    yield from fit_refusals(host, choice)
    yield from blacklist_refusals(policy, host, choice)
    yield from boot_refusals(booted, host)
    yield from boot_taking_refusals(booted, host)


def _steps(policy: Policy, booted: Policy, host: HostFacts, choice: Choice) -> Iterator[Step]:
    """Yield the steps in order; *booted* is the policy with all of its kernel arguments."""
    chosen = choice.pfs
    options, counts = [*option_steps(policy, host, choice)], [*max_vfs_steps(policy, host, chosen)]
    yield from options
    yield from module_steps(host, choice)
    yield from huge_page_steps(policy, host)
    for pf_entry, pf in chosen:
        yield from pf_steps(pf_entry, pf, host)
    for entry, one in choice.devices:
        yield from device_steps(entry, one, host)
    yield from switch_steps(policy, host, chosen)
    yield from counts
    yield from module_load_steps(policy, host)
    yield from rule_steps(policy, host, choice)
    yield from initramfs_steps(host, [*options, *counts])
    yield from persist_steps(policy, host)
    yield from boot_steps(booted, host)


def _pending(policy: Policy, booted: Policy, host: HostFacts, choice: Choice) -> Iterator[str]:
    yield from max_vfs_pending(policy, host, choice.pfs)
    yield from boot_pending(booted, host)
    for pf_entry, pf in choice.pfs:
        yield from pf_pending(pf_entry, pf, host)
    for entry, one in choice.devices:
        yield from device_pending(entry, one, host)
    yield from switch_pending(policy, host, choice.pfs)


def _states(policy: Policy, booted: Policy, host: HostFacts, choice: Choice) -> Iterator[State]:
    for pf_entry, pf in choice.pfs:
        yield from pf_states(pf_entry, pf, host)
    for entry, one in choice.devices:
        yield from device_states(entry, one)
    yield from huge_page_states(policy, host)
    yield from argument_states(booted, host)


def argument_states(policy: Policy, host: HostFacts) -> Iterator[State]:
    """Say of each kernel argument whether it is active, or will be."""
    for argument in policy.kernel_arguments:
        active = argument not in lacking(policy.kernel_arguments, host.cmdline)
        configured = argument not in lacking(policy.kernel_arguments, host.configured_cmdline or ())
        yield State(
            subject="kernel",
            setting=argument,
            requested="yes",
            active="yes" if active else "no",
            after_reboot="yes" if configured and not active else "",
        )
