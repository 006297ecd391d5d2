"""The part of a policy that an image can carry: files now, the rest at its first boot.

Which devices there will be only the machine knows that boots the image, so PFs, VFs and huge
pages are left to the unit; so is every command, since none of the image's can run here.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import replace

from lanekeeper.domain.hostplan.action import Change, UpdateBootLoader
from lanekeeper.domain.hostplan.boot_loader import lacking
from lanekeeper.domain.hostplan.caution import policy_cautions
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.policy.policy import Policy
from lanekeeper.domain.hostplan.step import Impact, Plan, Step
from lanekeeper.domain.hostplan.steps.binding import module_load_steps
from lanekeeper.domain.hostplan.steps.boot.argument import boot_refusals, boot_steps
from lanekeeper.domain.hostplan.steps.boot.contradiction import contradiction_pending
from lanekeeper.domain.hostplan.steps.boot.grub import own_overruling
from lanekeeper.domain.hostplan.steps.files import (
    each_once,
    foreign_refusals,
    obstacle_refusals,
)
from lanekeeper.domain.hostplan.steps.max_vfs import max_vfs_of_image
from lanekeeper.domain.hostplan.steps.module import blacklist_refusals, option_steps
from lanekeeper.domain.hostplan.steps.persist import persist_steps
from lanekeeper.domain.hostplan.steps.purpose import purpose_refusals_of_image

_MENU = ("etc/default/grub", "etc/grub.d/")
_BY_HAND = "do it in the image (chroot)"
_INITRAMFS = ("etc/modprobe.d/", "etc/dracut.conf.d/")


def offline_plan(policy: Policy, host: HostFacts) -> Plan:
    """Return the steps that give the image *host* the files of *policy*, and what is left."""
    overruling = own_overruling(host) if policy.persist else ()
    booted = replace(policy, kernel_arguments=(*policy.kernel_arguments, *overruling))
    steps = each_once(
        [
            *option_steps(policy, host, None),
            *module_load_steps(policy, host),
            *persist_steps(policy, host),
            *boot_steps(booted, host),
        ]
    )
    files, rest = Plan(tuple(map(_in_image, steps))).file_part()
    refusals = (
        *boot_refusals(policy, host),
        *blacklist_refusals(policy, host, None),
        *purpose_refusals_of_image(policy),
        *obstacle_refusals(files, host),
        *foreign_refusals(files, host),
    )
    pending = tuple(_pending(policy, host, files, rest))
    cautions = tuple(policy_cautions(policy, host))
    return Plan(() if refusals else files, refusals, pending, warnings=cautions)


def _in_image(step: Step) -> Step:
    return replace(step, impact=Impact.IMAGE) if step.impact is Impact.REBOOT else step


def commands_after(changes: Iterable[Change], host: HostFacts) -> tuple[tuple[str, ...], ...]:
    """Return the commands that read the files of *changes*, once they were made or taken back."""
    paths = [getattr(change, "path", "") for change in changes]
    found = []
    if host.boot.update and any(path.startswith(_MENU) for path in paths):
        found.append(host.boot.update)
    if host.initramfs_update and any(path.startswith(_INITRAMFS) for path in paths):
        found.append(host.initramfs_update)
    return tuple(found)


def _pending(
    policy: Policy, host: HostFacts, files: tuple[Step, ...], rest: tuple[Step, ...]
) -> Iterator[str]:
    by_unit = policy.persist and host.has_systemd
    when = "the unit does it at the first boot" if by_unit else _BY_HAND
    for step in rest:
        is_menu = isinstance(step.do, UpdateBootLoader)
        is_told = not is_menu or lacking(policy.kernel_arguments, host.boot.menu or ())
        yield f"{step.do}: {step.why}; {when if is_told else _BY_HAND}"
    yield from contradiction_pending(policy, host)
    for command in commands_after((step.do for step in files), host):
        if UpdateBootLoader(command) not in [step.do for step in rest]:
            # Nothing at the first boot can tell that this one is missing.
            yield f"run {shlex.join(command)} in the image (chroot): it reads files of this plan"
    boots = [step for step in rest if step.impact is Impact.IMAGE]
    for argument in policy.kernel_arguments if boots else ():
        later = "from the second boot of this image on" if by_unit else "when this image boots"
        yield f"kernel argument {argument} is active {later}"
    wanted = {
        "PFs and their VFs": policy.pfs,
        "whole devices": policy.devices,
        "huge pages": policy.huge_pages,
        "Open vSwitch": policy.ovs.settings,
    }
    for source in max_vfs_of_image(host) if policy.pfs else ():
        does = (
            "whose cards they are only the machine knows that boots it, so it stays in the image; "
            "the unit has the policy's counts hold instead, for the drivers of its PFs"
        )
        when = f"{does}, from the second boot on" if by_unit else "take it out"
        yield f"{source} makes VFs on every card of the driver at boot: {when}"
    left = " and ".join(name for name, value in wanted.items() if value)
    if left and by_unit:
        yield f"{left}: the unit sets them at each boot, from the first on"
    elif left:
        why = "persist is false" if not policy.persist else "there is no systemd in the image"
        yield f"{left}: nothing sets them at boot, since {why}"
