"""grubby and grub-mkconfig, of a simulated machine: the arguments that they give the next kernel.

They do what is said of them in their manuals for arguments, no more: GRUB's scripts are not run.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from lanekeeper.domain.errors import HostFault
from lanekeeper.domain.hostplan.boot_loader import argument_key, entry_kernel
from lanekeeper.domain.hostplan.grub_variables import grub_arguments, read_variables
from lanekeeper.host.boot import entry, grub

PROGRAMS = frozenset(("grub-mkconfig", "grub2-mkconfig", "grubby"))
_KERNEL = re.compile(r"^(\s*linux\S*\s+\S+)[ \t]*(.*)$", re.MULTILINE)
_OPTIONS = re.compile(r"^(options)[ \t]+(.*)$", re.MULTILINE)
_KERNELS = "--update-kernel="
_OF_THE_DISK = ("root", "ro", "rw")  # which GRUB's script finds out by itself


def run(root: Path, arguments: Sequence[str]) -> None:
    """Do what *arguments* say of the menu or of the entries.

    Raises:
        HostFault: the program is not asked for anything else here.
        OSError: the directory takes nothing.

    Source: GRUB 2.06 util/grub-mkconfig.in; grubby(8).
    """
    match list(arguments):
        case [("grub-mkconfig" | "grub2-mkconfig"), "-o", menu]:
            _make_menu(root, menu.lstrip("/"))
        case ["grubby", which, *options] if options and which.startswith(_KERNELS):
            kernel = which.removeprefix(_KERNELS)
            given = dict(option.removeprefix("--").split("=", 1) for option in options)
            added, gone = (given.get(key, "").split() for key in ("args", "remove-args"))
            for name in entry.entry_files(root):
                if kernel not in ("ALL", entry_kernel((root / name).read_text())):
                    continue
                _rewrite(root / name, _OPTIONS, lambda words: _updated(words, added, gone))
        case _:
            raise HostFault(f"a simulated machine does not run {shlex.join(arguments)}")


def _make_menu(root: Path, menu: str) -> None:
    files = grub.setting_files(root) if grub.reads_drop_ins(root) else (grub.SETTINGS,)
    texts = [(root / name).read_text() for name in files if (root / name).is_file()]
    given = grub_arguments(read_variables(texts))

    def words(before: list[str]) -> list[str]:
        return [*(word for word in before if argument_key(word) in _OF_THE_DISK), *given]

    _rewrite(root / menu, _KERNEL, words)


def _updated(words: list[str], added: Sequence[str], gone: Sequence[str]) -> list[str]:
    """A key takes every value away, and takes the place of its earlier value."""
    kept = [word for word in words if not {word, argument_key(word)} & {*gone}]
    return [*kept, *(word for word in added if word not in kept)]


def _rewrite(
    file: Path, pattern: re.Pattern[str], change: Callable[[list[str]], list[str]]
) -> None:
    text = file.read_text() if file.exists() else ""
    file.write_text(pattern.sub(lambda line: " ".join([line[1], *change(line[2].split())]), text))
