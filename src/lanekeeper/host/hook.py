"""Running a program so that it can neither hang, flood nor outstay its welcome.

Its environment is what it is given and nothing of ours, it reads nothing, what it prints is
bounded, and when it ends, or its time does, everything that it started is killed with it.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile

from lanekeeper.domain.errors import HostFault

OUTPUT_BYTES = 64 * 1024
_TICK_S = 0.05  # how late an end is seen when something else holds the output open
_MARK = "LANEKEEPER_HOOK"
_ROUNDS = 20
_TOLD = 200


def run_hook(arguments: Sequence[str], environment: Mapping[str, str], timeout_s: float) -> str:
    """Run a program of the operator's; returns the last line that it printed, cut at 200.

    Raises as ``run_bounded``.
    """
    return _last_line(run_bounded(arguments, environment, timeout_s))


def run_bounded(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    timeout_s: float,
    *,
    errors_apart: bool = False,
) -> bytes:
    """Run a program to its end; returns what it printed.

    *errors_apart* leaves out what it says on standard error, unless it fails.

    Raises:
        HostFault: it could not be started, failed, took too long, or printed too much.
    """
    if not errors_apart:
        return _run(arguments, environment, timeout_s, subprocess.STDOUT, lambda output: output)
    with TemporaryFile() as errors:

        def told(_output: bytes) -> bytes:
            errors.seek(0)
            return errors.read(OUTPUT_BYTES)

        return _run(arguments, environment, timeout_s, errors.fileno(), told)


def _run(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    timeout_s: float,
    stderr: int,
    complaint: Callable[[bytes], bytes],
) -> bytes:
    name, mark = arguments[0], uuid.uuid4().hex
    try:
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            cwd="/",
            env={**environment, _MARK: mark},
            umask=0o077,
            start_new_session=True,
            bufsize=0,
        )
    except OSError as error:
        reason = error.strerror or str(error)
        raise HostFault(f"{name} could not be started: {reason}") from error
    try:
        output = _output(process, name, timeout_s)
    finally:
        _end(process, mark)
    if process.returncode:
        code = process.returncode
        how = f"exit code {code}" if code > 0 else f"signal {-code}"
        last = _last_line(complaint(output))
        raise HostFault(f"{name} failed with {how}: {last or 'it printed nothing'}")
    return output


def _last_line(output: bytes) -> str:
    return output.decode("utf-8", "replace").strip().rpartition("\n")[2][:_TOLD]


def _output(process: subprocess.Popen[bytes], name: str, timeout_s: float) -> bytes:
    """Read until the program ends. Raises HostFault when that is too late or too much."""
    assert process.stdout is not None
    source, output = process.stdout.fileno(), bytearray()
    deadline = time.monotonic() + timeout_s
    while True:
        over = process.poll() is not None
        ready, _, _ = select.select([source], [], [], 0 if over else _TICK_S)
        chunk = os.read(source, 4096) if ready else b""
        output += chunk
        if len(output) > OUTPUT_BYTES:
            raise HostFault(f"{name} printed more than {OUTPUT_BYTES // 1024} KiB")
        if over and not chunk:
            return bytes(output)
        if time.monotonic() > deadline:
            raise HostFault(f"{name} did not end within {timeout_s:g} s")
        if ready and not chunk:  # it has closed its output and goes on
            time.sleep(_TICK_S)


def _end(process: subprocess.Popen[bytes], mark: str) -> None:
    """Kill what is left: its group, and what has left that and still carries the mark."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()
    for _ in range(_ROUNDS):  # one that forks meanwhile is found in the next round
        found = sum(_kill_marked(one, mark) for one in Path("/proc").iterdir())
        if not found:
            return


def _kill_marked(directory: Path, mark: str) -> bool:
    if not directory.name.isdigit():
        return False
    try:
        environment = (directory / "environ").read_bytes()
    except OSError:  # gone, or not ours to read
        return False
    if f"{_MARK}={mark}".encode() not in environment.split(b"\0"):
        return False
    with suppress(ProcessLookupError):
        os.kill(int(directory.name), signal.SIGKILL)
    return True
