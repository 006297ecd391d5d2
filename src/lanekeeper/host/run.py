"""Running a program to its end: within a time, with bounded output, and nothing left at a failure.

When its time is over, or it fails, everything that it started is killed and waited for: what
comes next may take back what it did.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from lanekeeper.domain.errors import HostFault

_TICK_S = 0.05  # how late an end is seen when something else holds the output open
_END_S = 10.0  # what waits for a disk that does not answer cannot be killed
_CHUNK = 2**20  # all that a pipe can hold
_MARK = "LANEKEEPER_HOOK"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How a program is run.

    Attributes:
        output_bytes: the most that it may print; with *is_cut* the last of it is kept instead.
        environment: None is ours.
        data: what it reads.
        joins_errors: whether standard error is part of its output.
        is_confined: whether nothing that it started outlives it, what it makes is its owner's
            alone, and it is started in ``/``.
    """

    timeout_s: float
    output_bytes: int
    is_cut: bool = False
    environment: Mapping[str, str] | None = None
    data: bytes = b""
    joins_errors: bool = False
    is_confined: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended: *code* is negative when a signal ended it."""

    code: int
    output: bytes
    errors: bytes


def run(arguments: Sequence[str], name: str, terms: Terms) -> Ended:
    """Run a program, called *name* where something is wrong with it, to its own end.

    A daemon that it leaves is not waited for.

    Raises:
        OSError: it could not be started.
        HostFault: it took too long, or printed too much; nothing of it runs any more, unless the
            fault says that it cannot be killed.
    """
    mark = uuid.uuid4().hex
    environment = os.environ if terms.environment is None else terms.environment
    with _read_from(terms.data) as source:
        process = subprocess.Popen(
            arguments,
            stdin=source,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if terms.joins_errors else subprocess.PIPE,
            cwd="/" if terms.is_confined else None,
            env={**environment, _MARK: mark},
            umask=0o077 if terms.is_confined else -1,
            start_new_session=True,  # the terminal's Ctrl-C is for us, who let a step end
            bufsize=0,
        )
    is_good = False
    try:
        output, errors = _gather(process, name, terms)
        is_good = not process.returncode
    finally:
        is_ended = (is_good and not terms.is_confined) or _end(process, mark)
        for pipe in filter(None, (process.stdout, process.stderr)):
            pipe.close()
        if not is_ended:
            message = f"{name} cannot be killed: it waits for a device that does not answer"
            raise HostFault(message, hint="see `ps` and the kernel log; it ends with that wait")
    return Ended(process.returncode, output, errors)


@contextmanager
def _read_from(data: bytes) -> Iterator[int]:
    """Yield what a program reads *data* from, however slowly it does."""
    if not data:
        yield subprocess.DEVNULL
        return
    with closing(os.fdopen(os.memfd_create("input"), "wb+")) as file:
        file.write(data)
        file.seek(0)
        yield file.fileno()


def _gather(process: subprocess.Popen[bytes], name: str, terms: Terms) -> tuple[bytes, bytes]:
    """Read until the program ends. Raises HostFault when that is too late or too much."""
    pipes = [pipe.fileno() for pipe in (process.stdout, process.stderr) if pipe is not None]
    said = {pipe: bytearray() for pipe in pipes}
    poll = select.poll()
    for pipe in pipes:
        poll.register(pipe, select.POLLIN)
    deadline = time.monotonic() + terms.timeout_s
    is_over = False
    while not is_over:
        is_over = process.poll() is not None
        for pipe, _ in poll.poll(0 if is_over else 1000 * _TICK_S):
            chunk = os.read(pipe, _CHUNK)
            if not chunk:
                poll.unregister(pipe)
                pipes.remove(pipe)
            said[pipe] += chunk
            _bound(said[pipe], name, terms)
        if not is_over and time.monotonic() > deadline:
            raise HostFault(f"{name} did not end within {terms.timeout_s:g} s")
        if not pipes and not is_over:  # at its end, or it has closed its output and goes on
            with suppress(subprocess.TimeoutExpired):
                process.wait(_TICK_S)
    output, errors = (*said.values(), b"")[:2]
    return bytes(output), bytes(errors)


def _bound(said: bytearray, name: str, terms: Terms) -> None:
    if len(said) <= terms.output_bytes:
        return
    if not terms.is_cut:
        raise HostFault(f"{name} printed more than {terms.output_bytes // 1024} KiB")
    del said[: -terms.output_bytes]


def _end(process: subprocess.Popen[bytes], mark: str) -> bool:
    """Kill its group, and what has left that and still carries the mark, until none is left.

    What waits for a device that does not answer is not waited for longer than ``_END_S``.

    Returns:
        Whether none is left.
    """
    deadline = time.monotonic() + _END_S
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        return False
    while sum(_killed(one, process.pid, mark) for one in Path("/proc").iterdir()):
        if time.monotonic() > deadline:
            return False
        time.sleep(_TICK_S / 10)
    return True


def _killed(directory: Path, group: int, mark: str) -> bool:
    """Kill that process if it belongs to the program; whether it does, and is not gone yet."""
    if not directory.name.isdigit():
        return False
    try:
        state, _, its_group = (
            (directory / "stat").read_text("latin-1").rpartition(")")[2].split()[:3]
        )
        environment = b"" if int(its_group) == group else (directory / "environ").read_bytes()
    except (OSError, ValueError):  # gone, or not ours to read
        return False
    is_its = int(its_group) == group or f"{_MARK}={mark}".encode() in environment.split(b"\0")
    if state in "ZX" or not is_its:
        return False
    with suppress(ProcessLookupError, PermissionError):
        os.kill(int(directory.name), signal.SIGKILL)
    return True
