"""What a program asked of the kernel, read from strace's log: order of calls, and files rebuilt.

A log line is ``PID call(fd<what>, "bytes", …) = result``; a call during which another thread's was
seen is split into ``<unfinished ...>`` and ``<... call resumed>``. Its place is where it began for
what it carries, and where it ended for what it promises. Of a call that a kill cut off the log does
not tell the end (``= ?``, or nothing): bytes may have gone out, but nothing was promised.
"""

from __future__ import annotations

import ast
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

CALLS = "pwrite64,fdatasync,fsync,ftruncate,unlink,recvfrom,sendto"
_BYTES_MAX = 70000
_BEGUN = re.compile(r"(?P<pid>\d+) +(?P<name>\w+)\((?P<rest>.*)")
_RESUMED = re.compile(r"(?P<pid>\d+) +<\.\.\. (?P<name>\w+) resumed>(?P<rest>.*)")
_SPLIT = " <unfinished ...>"
_FD = re.compile(r"\d+<(?P<what>[^>]*(?:>\d[^>]*)?)>")
_TEXT = re.compile(r'"(?P<text>(?:[^"\\]|\\.)*)"')
_RESULT = re.compile(r"= (?P<number>-?\d+|\?)")
_PROMISES = ("fdatasync", "fsync")


@dataclass(frozen=True, slots=True)
class Call:
    """One call that succeeded, or may have.

    Attributes:
        began, ended: places in the log.
        what: the file or socket, as strace names it.
        data: the bytes written, sent or received.
        number: offset of a write, length of a truncation.
    """

    name: str
    began: int
    ended: int
    what: str
    data: bytes = b""
    number: int = 0


def command(log: Path) -> list[str]:
    """What to put before a program so that its calls are written to *log*."""
    return ["strace", "-f", "--seccomp-bpf", "-yy", "-s", str(_BYTES_MAX), "-o", str(log),
            "-e", f"trace={CALLS}"]  # fmt: skip


def can_trace() -> bool:
    """Whether strace is here and may be used: containers often forbid it."""
    if shutil.which("strace") is None:
        return False
    tried = subprocess.run(
        ["strace", "-f", "-o", "/dev/null", "true"], capture_output=True, check=False, timeout=60
    )
    return tried.returncode == 0


def read(log: Path) -> list[Call]:
    """Read a log; calls in the order in which they began."""
    return sorted(_calls(log), key=lambda call: call.began)


def _calls(log: Path) -> Iterator[Call]:
    open_: dict[tuple[str, str], tuple[int, str]] = {}
    with log.open(encoding="latin-1") as lines:
        for place, line in enumerate(lines):
            if resumed := _RESUMED.match(line):
                began, start = open_.pop((resumed["pid"], resumed["name"]), (place, ""))
                call = _parse(resumed["name"], start + resumed["rest"], began, place)
            elif (begun := _BEGUN.match(line)) is None:
                continue
            elif _SPLIT in line:
                start = begun["rest"].rpartition(_SPLIT)[0]
                open_[begun["pid"], begun["name"]] = (place, start)
                continue
            else:
                call = _parse(begun["name"], begun["rest"], place, place)
            if call is not None:
                yield call
    for (_, name), (place, start) in open_.items():
        if (call := _parse(name, f"{start}) = ?", place, sys.maxsize)) is not None:
            yield call


def _parse(name: str, rest: str, began: int, ended: int) -> Call | None:
    arguments, _, result = rest.rpartition(")")
    told = _RESULT.search(result)
    if told is None or told["number"].startswith("-"):
        return None
    if told["number"] == "?":
        if name in _PROMISES:
            return None
        ended = sys.maxsize
    fd, text = _FD.match(arguments), _TEXT.search(arguments)
    data = _bytes(text["text"]) if text else b""
    if name == "unlink":
        return Call(name, began, ended, data.decode())
    if fd is None:
        return None
    number = 0
    if name in ("pwrite64", "ftruncate"):
        number = int(arguments.rpartition(",")[2])
    return Call(name, began, ended, fd["what"], data, number)


def _bytes(text: str) -> bytes:
    """C's escapes as strace writes them are Python's, too."""
    read: bytes = ast.literal_eval(f'b"{text}"')
    return read


@dataclass(slots=True)
class Disk:
    """What a power loss at one moment leaves of some files.

    What was synced is there. Of what was written since, any part may be: that is drawn.
    """

    calls: Sequence[Call]
    dice: random.Random

    def content(self, path: str, moment: int) -> bytes:
        """What is in the file *path* for a loss at the place *moment* of the log."""
        mine = [call for call in self.calls if call.what == path and call.began < moment]
        synced = max(
            (c.began for c in mine if c.name in _PROMISES and c.ended < moment),
            default=-1,
        )
        content = bytearray()
        for call in mine:
            if call.ended >= synced and not self.dice.getrandbits(1):
                continue  # never reached the disk
            if call.name == "pwrite64":
                _write(content, self._torn(call, synced))
            elif call.name == "ftruncate":
                del content[call.number :]
            elif call.name == "unlink":
                content.clear()
        return bytes(content)

    def _torn(self, call: Call, synced: int) -> Call:
        """A write that was not synced may have come half: a disk is sure of 512 bytes only."""
        if call.ended < synced or self.dice.getrandbits(1):
            return call
        kept = 512 * self.dice.randint(0, len(call.data) // 512)
        return replace(call, data=call.data[:kept])


def _write(content: bytearray, call: Call) -> None:
    end = call.number + len(call.data)
    if len(content) < end:
        content.extend(bytes(end - len(content)))
    content[call.number : end] = call.data
