"""How a lab ended that nobody ended: what its emulator said last, and whether that is known.

With multi-threaded TCG, QEMU 10 has a race: one virtual CPU maps memory anew, such as the BARs of
VFs, while another one uses a device's registers, which it then finds by a place in the wrong
table. QEMU sees that and ends itself (`abort`), or the access is lost, or goes to another device.
What that cost is started over (docs/decisions/0117 and 0120).
"""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lanekeeper.domain.errors import Unavailable
from lanekeeper.lab import process
from lanekeeper.lab.folder import DEFAULT_STATE, LabFolder

RACE = "iotlb_to_section: Assertion"  # in QEMU's system/physmem.c
RACE_TOLD = "the emulator ended itself (a known race in QEMU's TCG)"
TAIL_CHARACTERS = 600
_LOG_BYTES = 2**18  # of its end: a panic has its trace behind it, an abort what QEMU's children say
_PANIC = re.compile(r"Kernel panic - not syncing: (.*)")  # Linux kernel/panic.c
END_PATIENCE_S = 2.0
POLL_S = 0.05


class Gone(Unavailable):
    """The line to the lab host broke: its QEMU has ended, or is about to."""


def tail(path: Path) -> str:
    """The end of a log; empty when there is none."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    return text[-TAIL_CHARACTERS:].strip()


def _long_tail(path: Path) -> str:
    try:
        return path.read_bytes()[-_LOG_BYTES:].decode("utf-8", "replace")
    except FileNotFoundError:
        return ""


def last_words(folder: LabFolder) -> str:
    """The last line that QEMU itself wrote; empty when it never wrote any."""
    return next(reversed(tail(folder.qemu_log).splitlines()), "")


def panic(folder: LabFolder) -> str:
    """What the lab host's kernel panicked for, by its console; empty when it did not."""
    found = _PANIC.findall(_long_tail(folder.console))
    return found[0].strip() or "it does not say why" if found else ""


def panic_told(folder: LabFolder) -> str:
    """A sentence for whoever waits for a lab host whose kernel panicked; empty when it did not."""
    words = panic(folder)
    return f"its kernel panicked: {words}; all of it is in {folder.console}" if words else ""


def ended_itself(folder: LabFolder) -> bool:
    """Say whether QEMU fell over its own race, as its log has it."""
    return RACE in _long_tail(folder.qemu_log)


def fell(folder: LabFolder) -> str:
    """Say what befell a lab that nobody ended; empty for one that runs, and for none."""
    if ended_itself(folder):
        return RACE_TOLD
    if panic(folder):
        return panic_told(folder)
    if not has_ended(folder):
        return ""
    words = last_words(folder)
    return f"the emulator ended{f'; its last words: {words}' if words else ' without a word'}"


def has_ended(folder: LabFolder, patience_s: float = 0.0) -> bool:
    """Say whether the lab is there without its QEMU; a QEMU that is ending has *patience_s*."""
    deadline = time.monotonic() + patience_s
    while _runs(folder):
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_S)
    return folder.path.exists()


def _runs(folder: LabFolder) -> bool:
    running, found = folder.running(), set(process.marked(folder.path))
    if running:
        return running.pid in found
    return bool(found) or not folder.qemu_log.exists()  # it is being started


def account(folder: LabFolder) -> Unavailable:
    """Tell of a lab whose QEMU has ended or hangs, and what helps."""
    words = last_words(folder)
    said = f"; its last words: {words}" if words else ""
    name = f"--name {folder.name}"
    if folder.path.parent != DEFAULT_STATE:
        name += f" --state-dir {shlex.quote(str(folder.path.parent))}"
    again = f"lanekeeper lab reboot {name} starts it with what is on its disk"
    over = f"lanekeeper lab down {name} && lanekeeper lab up {name} starts over; {again}"
    what = "does not answer" if _runs(folder) else "has ended"
    panicked = panic_told(folder)
    said += f"; {panicked}" if panicked else ""
    return Unavailable(
        f"the emulator of lab {folder.name} {what}{said}",
        hint=f"{RACE_TOLD}; {over}" if ended_itself(folder) else over,
    )


@contextmanager
def told(folder: LabFolder) -> Iterator[None]:
    """Whoever talks to the lab and gets no answer is told how it ended, if it did."""
    try:
        yield
    except Unavailable as error:
        if has_ended(folder, END_PATIENCE_S if isinstance(error, Gone) else 0):
            raise account(folder) from error
        raise
