"""Steps that give every kernel its arguments with grubby, the tool of Red Hat and Fedora.

grubby changes entry files, GRUB's environment, ``/etc/default/grub`` and ``/etc/kernel/cmdline``,
in ways that differ between releases; so it is asked to take back what it was asked to add, where
that still stands there and was not there before, and files that say the same as before then get
their exact text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lanekeeper.domain.hostplan.action import GiveBackArguments, RunProgram
from lanekeeper.domain.hostplan.boot_loader import (
    SUMMED,
    argument_group,
    argument_key,
    displaced,
    entry_kernel,
    lacking,
    summands,
    with_arguments,
)
from lanekeeper.domain.hostplan.huge_page_argument import is_huge
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.step import Impact, Step
from lanekeeper.domain.hostplan.steps.boot.entry import KERNEL_INSTALL
from lanekeeper.domain.hostplan.steps.boot.grub import quoted

_ALL = ("grubby", "--update-kernel=ALL")


def grubby_steps(wanted: tuple[str, ...], host: HostFacts) -> Iterator[Step]:
    """Add what an entry lacks to all of them."""
    missing = _missing(wanted, host)
    if not missing:
        return
    old = _replaced(missing, host)
    given = _merged(missing, old)
    files = tuple(host.boot.texts)
    keys = _unique(argument_key(argument) for argument in old)
    do = RunProgram((*_ALL, *_option("remove-args", keys), *_option("args", given)), files)
    undo = GiveBackArguments(given, tuple(_had(missing, host)), tuple(host.boot.texts.items()))
    why = f"entries of the boot menu lack {quoted(missing)}"
    yield Step(do, (undo,), why, Impact.REBOOT)


def disagreement(wanted: tuple[str, ...], host: HostFacts) -> Iterator[str]:
    """Say where entries differ such that one command, or one undo, could not suit them all."""
    missing = _missing(wanted, host)
    said = {path: _other(missing, given) for path, given in host.boot.entries.items()}
    if len(set(said.values())) > 1:
        ways = (f"/{path} has {' '.join(old) or 'none of it'}" for path, old in said.items())
        keys = " and ".join(_unique(argument_key(argument) for argument in missing))
        yield f"entries differ about {keys}: {', '.join(ways)}"
        return
    had: dict[str, tuple[str, tuple[str, ...]]] = {}
    for path, words in _had(missing, host):
        if path not in host.boot.entries:
            continue
        kernel = entry_kernel(host.boot.texts[path])
        other, before = had.setdefault(kernel, (path, words))
        if before != words:
            two = ((other, before), (path, words))
            ways = (f"/{each} has {' '.join(old) or 'none of it'}" for each, old in two)
            yield f"entries of {kernel}, which grubby changes together, differ: {', '.join(ways)}"


def _had(missing: tuple[str, ...], host: HostFacts) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield what each entry says of the keys of *missing*, and what new kernels' are made from."""
    given = dict(host.boot.entries)
    if (kept := host.boot.texts.get(KERNEL_INSTALL)) is not None:
        given[KERNEL_INSTALL] = tuple(kept.split())
    keys = {argument_group(argument) for argument in missing}
    for path, words in given.items():
        yield path, tuple(word for word in words if argument_group(word) in keys)


def _missing(wanted: tuple[str, ...], host: HostFacts) -> tuple[str, ...]:
    entries = host.boot.entries.values()
    absent = [lacking(wanted, given) for given in entries]
    return tuple(word for word in wanted if any(word in each for each in absent))


def _replaced(missing: tuple[str, ...], host: HostFacts) -> tuple[str, ...]:
    entries = host.boot.entries.values()
    return next((_other(missing, given) for given in entries), ())  # all say the same


def _other(missing: tuple[str, ...], given: tuple[str, ...]) -> tuple[str, ...]:
    """Return what of an entry grubby would replace, which has one value of a key."""
    keys = {argument_group(argument) for argument in missing} & (SUMMED | {"hugepages"})
    return (*displaced(missing, given), *(a for a in given if argument_group(a) in keys))


def _merged(missing: tuple[str, ...], old: tuple[str, ...]) -> tuple[str, ...]:
    """Return *missing*, with what was there before in each list that adds up."""
    plain = _unique(
        f"{key}={','.join(_unique(summands(key, (*old, *missing))))}" if key in SUMMED else argument
        for argument, key in ((a, argument_key(a)) for a in missing)
        if not is_huge(argument)
    )
    ours = tuple(filter(is_huge, missing))
    return (*plain, *with_arguments(tuple(filter(is_huge, old)), ours)) if ours else plain


def _option(name: str, words: tuple[str, ...]) -> tuple[str, ...]:
    return (f"--{name}={' '.join(words)}",) if words else ()


def _unique(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words))
