"""What only programs say: asked on this machine, kept as text in a captured one.

A captured tree has the answers below ``captured``, a file for each question.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from shutil import which

from lanekeeper.domain.errors import HostFault
from lanekeeper.host.attribute import read_text
from lanekeeper.host.run import Terms, run

Run = Callable[[Sequence[str]], None]
"""Runs a program to its end. Raises HostFault when it fails."""

DIRECTORY = "captured"
_OUTPUT_BYTES = 64 * 2**20  # a bridge of thousands of flows has much to tell
_SECONDS = 10  # mstconfig asks the card's firmware; everything else answers at once


def answer(root: Path, question: str, *commands: tuple[str, ...]) -> str | None:
    """Return what the first of *commands* that is installed prints, or what was captured of it.

    Returns:
        None when none is installed, or the captured machine had none.

    Raises:
        HostFault: the program failed, or did not answer in time.
    """
    if root.resolve() != Path("/"):
        return read_text(str(root / DIRECTORY / question))
    command = next((command for command in commands if which(command[0])), None)
    if command is None:
        return None
    return ask(command).strip()


def ask(command: Sequence[str], text: str = "", *, seconds: float = _SECONDS) -> str:
    """Run a program of this machine, which reads *text*, and return what it prints.

    Raises:
        HostFault: it failed, or did not answer in time.
    """
    said = shlex.join(command)
    terms = Terms(timeout_s=seconds, output_bytes=_OUTPUT_BYTES, data=text.encode())
    try:
        ended = run(command, f"`{said}`", terms)
    except OSError as error:
        raise HostFault(f"`{said}` did not answer: {error}") from error
    if ended.code:
        reason = ended.errors.decode("utf-8", "replace").strip().partition("\n")[0]
        raise HostFault(f"`{said}` failed: {reason[:200] or f'exit code {ended.code}'}")
    return ended.output.decode("utf-8", "replace")
