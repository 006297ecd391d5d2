"""Steps that load kernel modules, and say with which options from the next time on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches

from lanekeeper.domain.hostplan import persistence
from lanekeeper.domain.hostplan.action import LoadModule
from lanekeeper.domain.hostplan.choice import Choice, Chosen
from lanekeeper.domain.hostplan.driver_fit import (
    Kind,
    fits,
    fitting,
    kind_of,
    kind_of_vfs,
    vf_modules,
)
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.policy.device import VFIO, DevicePolicy
from lanekeeper.domain.hostplan.policy.pf import MIGRATION_DRIVER, PfPolicy
from lanekeeper.domain.hostplan.policy.policy import Policy
from lanekeeper.domain.hostplan.policy.reading import VERY_NEAR
from lanekeeper.domain.hostplan.step import Impact, Refusal, Step
from lanekeeper.domain.hostplan.steps.files import own_file_steps

_ORDER = "softdep "


@dataclass(frozen=True, slots=True)
class _Need:
    """A driver that the entry at *path* names by *key*; *why* it is loaded."""

    driver: str
    path: str
    key: str
    why: str


def module_steps(host: HostFacts, chosen: Choice) -> Iterator[Step]:
    """Load the drivers that wanted VFs and devices need, where they are missing and there."""
    if any(entry.vfs for entry, _ in chosen.pfs):
        yield from _load(host, VFIO, "guests get devices through vfio-pci")
    for need in _needs(chosen):
        yield from _load(host, need.driver, need.why)


def module_refusals(host: HostFacts, chosen: Choice) -> Iterator[Refusal]:
    """Refuse drivers that this kernel does not have, before anything is given to them."""
    for need in _needs(chosen):
        driver = need.driver
        if is_missing(driver, host):
            kernel = f"kernel {host.release}" if host.release else "the kernel"
            reason = f"{need.key} is {driver}, and {kernel} has no such module"
            there = sorted({*host.drivers, *(_driver(name) for name in host.loadable)})
            near = get_close_matches(driver, there, n=1, cutoff=VERY_NEAR)
            meant = f"did you mean {near[0]}? " if near else ""
            fix = f"{meant}install the kernel's package that has it, or name another driver"
            code = f"{need.key.replace('_', '-')}-missing"
            yield Refusal(code, need.path, reason, fix)


def fit_refusals(host: HostFacts, chosen: Choice) -> Iterator[Refusal]:
    """Refuse drivers that cannot drive what they are named for."""
    for entry, pf in chosen.pfs:
        has = {vf.driver for vf in host.vfs_of(pf.address)}
        kind = kind_of_vfs(pf, host)
        names = [VFIO, *filter(None, has), *fitting(kind, host)]
        for driver, _ in _named([entry]):
            migrates = entry.live_migration and driver == MIGRATION_DRIVER  # has its own refusal
            if driver not in has and not migrates and not _can_be(driver, kind, host):
                need = _Need(driver, entry.path, "vf_driver", str(kind))
                yield _misfit(need, names)
    for whole, device in chosen.devices:
        kind = kind_of(device)
        names = [VFIO, *filter(None, [device.driver]), *fitting(kind, host)]
        if whole.driver != device.driver and not _can_be(whole.driver, kind, host):
            place = f"{whole.path} ({device.address})"
            yield _misfit(_Need(whole.driver, place, "driver", str(kind)), names)


def _can_be(driver: str, kind: Kind, host: HostFacts) -> bool:
    return is_missing(driver, host) or fits(driver, kind, host)


def _misfit(need: _Need, names: Iterable[str]) -> Refusal:
    reason = f"{need.key} is {need.driver}, which does not drive {need.why}"
    others = (name for name in dict.fromkeys(names) if name != need.driver)
    fix = f"name one that does: {', '.join(others)}"
    return Refusal(f"{need.key.replace('_', '-')}-misfit", need.path, reason, fix)


def wanted_modules(policy: Policy, host: HostFacts) -> tuple[str, ...]:
    """Return the drivers that guests of this policy need, where the kernel has them.

    Of those that VFs are for only VFIO's: the kernel loads the others when VFs appear.
    """
    found = [VFIO] if any(entry.vfs for entry in policy.pfs) else []
    found += [driver for driver, _ in _named(policy.pfs) if "vfio" in driver]
    found += [entry.driver for entry in policy.devices]
    return tuple(name for name in dict.fromkeys(found) if not is_missing(name, host))


def is_missing(driver: str, host: HostFacts) -> bool:
    """Whether it is certain that this kernel does not have *driver*."""
    if _is_there(driver, host) or _module(driver) in host.loadable:
        return False
    return host.loadable_whole or ("vfio" in driver and bool(host.loadable))


def _named(entries: Iterable[PfPolicy]) -> Iterator[tuple[str, PfPolicy]]:
    """Yield each driver that is named for some VF, with the first entry that names it."""
    found: dict[str, PfPolicy] = {}
    for entry in entries:
        for wish in entry.wishes if entry.vfs else ():
            if wish.named_driver:
                found.setdefault(wish.named_driver, entry)
    yield from found.items()


def _needs(chosen: Choice) -> Iterator[_Need]:
    yield from _needs_of([pf for pf, _ in chosen.pfs], [whole for whole, _ in chosen.devices])


def _needs_of(pfs: Iterable[PfPolicy], devices: Iterable[DevicePolicy]) -> Iterator[_Need]:
    """Yield each driver that is named, with the first entry that names it."""
    found: dict[str, _Need] = {}
    for driver, entry in _named(pfs):
        migrates = entry.live_migration and driver == MIGRATION_DRIVER
        why = "it moves the VFs' state with a running guest"
        why = why if migrates else f"{entry.path} names it as vf_driver"
        found[driver] = _Need(driver, entry.path, "vf_driver", why)
    for whole in devices:
        why = f"{whole.path} is for it"
        found.setdefault(whole.driver, _Need(whole.driver, whole.path, "driver", why))
    yield from found.values()


def _is_there(driver: str, host: HostFacts) -> bool:
    return (
        driver in host.drivers
        or _module(driver) in host.modules
        or any(device.driver == driver for device in host.devices)
    )


def _load(host: HostFacts, driver: str, why: str) -> Iterator[Step]:
    # vfio-pci, which no step may need, is left out where nothing says that it is there.
    unsure = driver == VFIO and _module(driver) not in host.loadable
    if not (_is_there(driver, host) or is_missing(driver, host) or unsure):
        # No undo: a loaded module does no harm, and others may use it by then.
        yield Step(LoadModule(driver), (), why)


def _module(driver: str) -> str:
    return driver.replace("-", "_")


def _driver(module: str) -> str:
    return VFIO if module == _module(VFIO) else module


def option_steps(policy: Policy, host: HostFacts, chosen: Choice | None) -> Iterator[Step]:
    """Write what modprobe is to know; loaded modules keep their options until loaded anew.

    *chosen* is None for an image, which has no devices: what their drivers need stays as it is.
    """
    wanted = [
        *(f"options {each.module} {' '.join(each.options)}\n" for each in policy.module_options),
        *(f"blacklist {module}\n" for module in policy.blacklist),
    ]
    there = (host.files.get(persistence.MODPROBE_FILE) or "").splitlines(keepends=True)
    orders = [line for line in there if line.startswith(_ORDER)]
    others = [line for line in there if not line.startswith((_ORDER, "#"))]
    impact, why = Impact.REBOOT, "modules get their options from there"
    if wanted == others:
        impact, why = Impact.NONE, "VFIO drivers are there before VFs are"
    if chosen is not None:
        before = orders if chosen.is_partial else []
        orders = [*_order(chosen.pfs, before)] if policy.persist else []
    text = "".join([*wanted, *orders])
    yield from own_file_steps(host, persistence.MODPROBE_FILE, text, why, impact)
    was_told = host.files.get(persistence.DRACUT_FILE) is not None
    if was_told or _is_dracut(host.initramfs_update):
        why = "unless it is told, dracut leaves the options out of images for any host"
        text = persistence.DRACUT_LINE if wanted else ""
        yield from own_file_steps(host, persistence.DRACUT_FILE, text, why, Impact.REBOOT)


def _is_dracut(command: tuple[str, ...] | None) -> bool:
    return command is not None and command[0] == "dracut"


def _order(chosen: Chosen, before: Iterable[str]) -> Iterator[str]:
    """Have the driver of a PF wait for those that its VFs are for; *before* are lines that stay."""
    found: dict[str, list[str]] = {}
    for line in before:
        own, _, earlier = line.removeprefix(_ORDER).partition(" pre: ")
        found[own] = earlier.split()
    for entry, pf in chosen:
        for driver, _ in _named([entry]):
            if "vfio" in driver and pf.driver:
                found.setdefault(pf.driver, []).append(driver)
    for own, drivers in found.items():
        yield f"{_ORDER}{own} pre: {' '.join(dict.fromkeys(drivers))}\n"


def blacklist_refusals(policy: Policy, host: HostFacts, chosen: Choice | None) -> Iterator[Refusal]:
    """Refuse to keep from loading what the policy itself needs.

    *chosen* is None for an image, which has no devices: what drives them only their host knows.
    """
    needed = {
        _module(pf.driver): f"it drives {pf.address} of {entry.path}"
        for entry, pf in (chosen.pfs if chosen is not None else ())
        if pf.driver
    }
    entries = policy.pfs if chosen is None else [entry for entry, _ in chosen.pfs]
    whole = policy.devices if chosen is None else [each for each, _ in chosen.devices]
    needed |= {
        _module(need.driver): f"{need.path} names it as {need.key}"
        for need in _needs_of(entries, whole)
    }
    needed |= {_module(name): "guests need it" for name in wanted_modules(policy, host)}
    if chosen is not None:
        needed = _taken_by_kernel(policy, host, chosen.pfs) | needed
    for subject, module in _kept_from_loading(policy):
        if _module(module) in needed:
            reason = f"{module} would not load at boot, and {needed[_module(module)]}"
            yield Refusal("blacklist-needed", subject, reason, f"take {module} out")


def _taken_by_kernel(policy: Policy, host: HostFacts, chosen: Chosen) -> dict[str, str]:
    """Return what ``vf_driver: auto`` comes to and why, where no module is left that could."""
    kept = {_module(module) for _, module in _kept_from_loading(policy)}
    found: dict[str, str] = {}
    for entry, pf in chosen:
        modules = vf_modules(pf, host) if entry.vfs and entry.autoprobe else frozenset()
        if modules <= kept:
            why = f"it drives VFs of {pf.address}, which {entry.path} leaves to the kernel (auto)"
            found |= dict.fromkeys(sorted(modules), why)
    return found


def _kept_from_loading(policy: Policy) -> Iterator[tuple[str, str]]:
    """Yield each module that is not to load, and the place that says so.

    Source: Linux ``Documentation/admin-guide/kernel-parameters.txt``, module_blacklist;
    modprobe(8) reads modprobe.blacklist, as ``blacklist`` in modprobe.d.
    """
    for at, module in enumerate(policy.blacklist):
        yield f"blacklist[{at}]", module
    for at, argument in enumerate(policy.kernel_arguments):
        key, _, modules = argument.partition("=")
        if key in ("module_blacklist", "modprobe.blacklist"):
            for module in filter(None, modules.split(",")):
                yield f"kernel_arguments[{at}] ({argument})", module
