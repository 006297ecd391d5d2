"""What an earlier policy asked for and this one does not speak of: it stays until a reboot."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from lanekeeper.domain.hostplan.boot_loader import Loader
from lanekeeper.domain.hostplan.choice import choose
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.policy.policy import Policy


def dropped(
    policy: Policy, before: Policy | None, made: Collection[str], host: HostFacts
) -> Iterator[str]:
    """Name PFs that keep their VFs, and devices that keep their driver, and say what helps.

    Args:
        policy: what is wanted now.
        before: the last policy that was applied; None for none.
        made: PFs whose VFs are the work of changes that stand.
        host: as it is.
    """
    now = choose(policy, host)
    then = None if before is None else choose(before, host)
    kept = {pf.address for _, pf in now.pfs} | {device.address for _, device in now.devices}
    asked = {str(pf.address) for entry, pf in then.pfs if entry.vfs} if then else set()
    for pf in host.pfs:
        if pf.address not in kept and pf.num_vfs and str(pf.address) in asked | {*made}:
            vfs = "1 VF" if pf.num_vfs == 1 else f"{pf.num_vfs} VFs"
            stay = f"{pf.address} has {vfs} of an earlier policy, which this one does not speak of"
            entry = f'{{pf: "{pf.address}", vfs: 0}}'
            yield f"{stay}: they stay until a reboot; {entry} in pfs removes them now"
    for whole, device in then.devices if then else ():
        if device.address not in kept and device.driver == whole.driver:
            stay = f"{device.address} is on {whole.driver} by an earlier policy"
            back = f'{{device: "{device.address}", driver: NAME}} in devices gives it back now'
            yield f"{stay}, this one does not speak of it: it stays until a reboot; {back}"


def dropped_arguments(policy: Policy, before: Iterable[Policy], host: HostFacts) -> Iterator[str]:
    """Name kernel arguments of earlier policies that stay where they cannot be told from others.

    Settings of GRUB have those of a policy apart from the operator's; a plan removes them there.
    """
    how = {
        Loader.GRUBBY: "`grubby --update-kernel=ALL --remove-args={}` takes it out",
        Loader.ENTRIES: "take it out of the entry files and of /etc/kernel/cmdline by hand",
    }
    remedy = how.get(host.boot.loader) if host.boot.loader else None
    earlier = dict.fromkeys(word for each in before for word in each.kernel_arguments)
    for argument in earlier if remedy else ():
        there = any(argument in given for given in host.boot.entries.values())
        if argument not in policy.kernel_arguments and there:
            stays = f"kernel argument {argument} is of an earlier policy, and this one has it not"
            why = "boot entries do not tell whose it is, so it stays"
            yield f"{stays}: {why}; {str(remedy).format(argument)}"
