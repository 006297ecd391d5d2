"""Takes kernel arguments out of entries with grubby, by what each entry says now.

grubby keeps ``/etc/default/grub`` and ``/etc/kernel/cmdline`` in step where it is asked about all
kernels, so it is asked about single ones only where entries need different things.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from lanekeeper.domain.errors import Conflict, HostFault
from lanekeeper.domain.hostplan.action import GiveBackArguments, Respell
from lanekeeper.domain.hostplan.argument_undo import ArgumentUndo, argument_undo
from lanekeeper.domain.hostplan.boot_loader import BootSettings, entry_kernel
from lanekeeper.host.attribute import refusals
from lanekeeper.host.boot.entry import KERNEL_INSTALL
from lanekeeper.host.boot.entry_name import entry_place
from lanekeeper.host.boot.loader import read_boot_loader
from lanekeeper.host.program import Run

_ENTRIES = "/loader/entries/"
_NONE_HINT = (
    "mount what the entries lie on, as /boot, or settle which loader it is; then go back again"
)


def give_back(
    root: Path, action: GiveBackArguments, run: Run, respell: Callable[[Respell], None]
) -> None:
    """Do *action* below *root*; what was taken out already, or changed by others, stays so.

    Raises:
        HostFault: grubby failed, a file cannot be read or written, or no entry is to be seen, so
            that nothing can be taken out of any; nothing was done.
        Conflict: somebody set other values since; all the rest was done.
    """
    boot = read_boot_loader(root).settings
    if not boot.entries:
        raise HostFault(_why_none(boot), hint=_NONE_HINT)
    had = {entry_place(root, path): words for path, words in action.had}
    later = had.get(KERNEL_INSTALL) or _plain(had)  # a kernel of later is made from these
    undos = {
        path: argument_undo(action.put, had.get(path, later), given)
        for path, given in boot.entries.items()
    }
    for command in _commands(undos, boot):
        run(command)
    aside = tuple(dict.fromkeys((*action.put, *(word for words in had.values() for word in words))))
    for path, text in action.texts:
        with refusals(f"spell /{path} as it was"):
            respell(Respell(path, text, () if _ENTRIES in path else aside))
    _tell(undos)


def _why_none(boot: BootSettings) -> str:
    if boot.doubt:
        return f"what starts the next kernel is not clear: {boot.doubt}"
    if boot.loader is None:
        return "no boot loader that is known is there"
    return f"{boot.loader} starts the next kernel, and none of its entries is there"


def _plain(had: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    plain = (words for path, words in had.items() if "rescue" not in path)
    return next(plain, ())


def _commands(undos: dict[str, ArgumentUndo], boot: BootSettings) -> Iterator[tuple[str, ...]]:
    """Yield one command for all kernels where that does the same, else one for each."""
    gone = tuple(dict.fromkeys(word for undo in undos.values() for word in undo.gone))
    back = next((undo.back for undo in undos.values() if undo.back), ())
    if all(
        undo.back == back and {*boot.entries[path]} & {*gone} == {*undo.gone}
        for path, undo in undos.items()
    ):
        yield from _command("ALL", ArgumentUndo(gone, back))
        return
    kernels: dict[str, ArgumentUndo] = {}
    for path, undo in undos.items():
        kernel = entry_kernel(boot.texts[path])
        if kernels.setdefault(kernel, undo) != undo:
            raise Conflict(
                f"entries of {kernel} need different arguments, and grubby changes them together",
                hint=f"take {' '.join(gone)} out of /{path} by hand where it is not wanted",
            )
    for kernel, undo in kernels.items():
        yield from _command(kernel, undo)


def _command(kernel: str, undo: ArgumentUndo) -> Iterator[tuple[str, ...]]:
    options = {"remove-args": undo.gone, "args": undo.back}
    words = tuple(f"--{name}={' '.join(given)}" for name, given in options.items() if given)
    if words:
        yield ("grubby", f"--update-kernel={kernel}", *words)


def _tell(undos: dict[str, ArgumentUndo]) -> None:
    told = [f"/{path} has {' '.join(undo.others)}" for path, undo in undos.items() if undo.others]
    if told:
        hint = "take that out with grubby if it is not wanted any more"
        raise Conflict(f"somebody set it otherwise since: {', '.join(told)}", hint=hint)
