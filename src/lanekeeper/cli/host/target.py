"""Which machine a command is about: this one, a captured one, or a simulated one."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lanekeeper.cli.host.captured import machine_at
from lanekeeper.domain.errors import Forbidden, Invalid


@dataclass(frozen=True, slots=True)
class Target:
    """The machine that a command is about.

    Attributes:
        is_captured: it can be looked at, not changed.
        is_simulated: it is a directory that behaves like a machine.
    """

    root: Path
    is_captured: bool = False
    is_simulated: bool = False


def where_arguments(parser: argparse.ArgumentParser) -> None:
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--root",
        type=Path,
        default=Path("/"),
        metavar="DIR_OR_FILE",
        help="a captured machine in place of this one; it can be looked at, not changed",
    )
    where.add_argument(
        "--simulate",
        type=Path,
        metavar="DIR",
        help="a simulated machine kept in DIR; made there if DIR is empty or missing",
    )


@contextmanager
def target_of(arguments: argparse.Namespace) -> Iterator[Target]:
    if arguments.simulate is not None:
        yield Target(_simulated(arguments.simulate), is_simulated=True)
        return
    with machine_at(arguments.root) as root:
        yield Target(root, is_captured=root.resolve() != Path("/"))


def _simulated(directory: Path) -> Path:
    from lanekeeper.host.simulated import machine_tree
    from lanekeeper.host.tree import plant

    try:
        if not directory.is_dir() or not any(directory.iterdir()):
            return plant(machine_tree(), directory)
        is_kept = (directory / "sys/bus/pci/devices").is_dir()
        is_real = (directory / "sys").is_mount()
    except OSError as error:
        raise Invalid(f"--simulate {directory}: {error.strerror}") from error
    if is_real or not is_kept:
        what = "a real machine" if is_real else "something else"
        hint = "name a directory that is empty or not there yet"
        raise Invalid(f"--simulate {directory}: it holds {what}", hint=hint)
    return directory


def require_changeable(target: Target) -> None:
    if target.is_captured:
        hint = "leave --root out to change this machine; `host plan` works on captures"
        raise Invalid("--root is a captured machine, which cannot be changed", hint=hint)
    if not target.is_simulated and os.geteuid() != 0:
        raise Forbidden("changing this machine needs root", hint="sudo lanekeeper host …")
