"""GRUB's programs, of a simulated machine: what they keep in its environment block."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from lanekeeper.domain.errors import HostFault

PROGRAMS = frozenset(
    f"{tool}-{verb}" for tool in ("grub", "grub2") for verb in ("set-default", "editenv")
)
_HEAD = "# GRUB Environment Block\n"
_BYTES = 1024  # the boot loader writes there without knowing of file systems
_SAVED = "saved_entry"


def run(root: Path, arguments: Sequence[str]) -> None:
    """Do what *arguments* say of the entry that is saved.

    Raises:
        HostFault: GRUB's program is not asked for anything else here.
        OSError: the directory takes nothing.

    Source: GRUB 2.06 util/grub-set-default.in, util/grub-editenv.c.
    """
    directory = root / "boot" / arguments[0].partition("-")[0]
    match list(arguments):
        case [("grub-set-default" | "grub2-set-default"), entry]:
            _keep(directory, f"{_SAVED}={entry}")
        case [("grub-editenv" | "grub2-editenv"), "-", "unset", name] if name == _SAVED:
            _keep(directory)
        case _:
            raise HostFault(f"a simulated machine does not run {shlex.join(arguments)}")


def _keep(directory: Path, *saved: str) -> None:
    """Write the block anew, with all other variables as they were."""
    directory.mkdir(parents=True, exist_ok=True)
    block = directory / "grubenv"
    lines = block.read_text().splitlines() if block.exists() else []
    kept = [line for line in lines if "=" in line and not line.startswith((f"{_SAVED}=", "#"))]
    text = _HEAD + "".join(f"{line}\n" for line in (*kept, *saved))
    block.write_text(text.ljust(_BYTES, "#"))
