"""The ``lanekeeper`` program, loaded once; each start of it is a process of its own.

To load it takes two thirds of the processor time that a start takes. So one process loads it and
forks for each start: what runs there is the program's entry point, with the arguments, environment
and files of that start, in a session of its own, and it ends as the interpreter ends. That the
installed program starts by itself too is for tests to show (``tests/services/test_up.py``).
"""

from __future__ import annotations

import atexit
import functools
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import NoReturn

_MESSAGE_BYTES_MAX = 2**18
"""As much as the arguments and the environment of a start may have, and more than they do."""


class Started:
    """One start of the program: as much of ``subprocess.Popen`` as tests need."""

    def __init__(self, arguments: Sequence[str], told: int) -> None:
        """Take *told*, a pipe from which come its process id and later its exit code."""
        self._arguments = list(arguments)
        self._told = os.fdopen(told, "rb", buffering=0)
        self.pid = int(self._told.read(16))
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return its exit code, negative for a signal, or None while it runs."""
        if self.returncode is None and select.select([self._told], [], [], 0)[0]:
            self._end()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return its exit code.

        Raises:
            TimeoutExpired: it still runs after *timeout* seconds.
        """
        if self.returncode is None and not select.select([self._told], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired(self._arguments, timeout or 0)
        return self._end()

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def _end(self) -> int:
        if self.returncode is None:
            self.returncode = int(self._told.read(16))
            self._told.close()
        return self.returncode

    def __del__(self) -> None:
        self._told.close()


class LoadedProgram:
    """The process that has loaded the program; it ends with this one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _MESSAGE_BYTES_MAX)
        # One thread: a process that forks must not have others, which numpy would start.
        settings = {"PYTHONUNBUFFERED": "1", "OPENBLAS_NUM_THREADS": "1"}
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env={**os.environ, **settings},
                start_new_session=True,  # a Ctrl-C meant for the tests is not meant for it
            )

    def start(
        self, arguments: Sequence[str], environment: Mapping[str, str], out: int, err: int
    ) -> Started:
        """Start it with its output in the files *out* and *err*; returns once it has a number."""
        asked = {
            "arguments": list(arguments),
            "environment": dict(environment),
            "directory": str(Path.cwd()),
        }
        told, theirs = os.pipe()
        try:
            with self._lock:
                socket.send_fds(self._socket, [json.dumps(asked).encode()], [out, err, theirs])
        finally:
            os.close(theirs)
        return Started(arguments, told)

    def close(self) -> None:
        self._socket.close()
        self._process.wait(10)


@functools.cache
def loaded_program() -> LoadedProgram:
    """The one of this process, started when it is first asked for."""
    made = LoadedProgram()
    atexit.register(made.close)
    return made


def _serve(connection: socket.socket) -> int:
    """Fork for each start that is asked for; in a fork, be the program and return its exit code."""
    from lanekeeper import main

    for module in main._NOUNS.values():
        import_module(module)
    gc.collect()
    gc.freeze()
    while True:
        asked, files, _, _ = socket.recv_fds(connection, _MESSAGE_BYTES_MAX, 3)
        _bury()
        if not asked:
            return 0
        if os.fork() == 0:
            connection.close()
            _become(**json.loads(asked), files=files)
            return main.main()
        for file in files:
            os.close(file)


def _bury() -> None:
    """Wait for those who waited for programs that have ended, so that their time is counted."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _become(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    directory: str,
    files: Sequence[int],
) -> None:
    """Fork once more: this process tells how that one ends, in which alone this returns."""
    out, err, told = files
    if pid := os.fork():
        _tell_of(pid, told)
    os.setsid()
    os.chdir(directory)
    os.dup2(out, 1)
    os.dup2(err, 2)
    for file in files:
        os.close(file)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = list(arguments)


def _tell_of(pid: int, told: int) -> NoReturn:
    os.write(told, str(pid).encode())
    _, status = os.waitpid(pid, 0)
    with suppress(BrokenPipeError):  # nobody wants to know any more
        os.write(told, str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


if __name__ == "__main__":
    del sys.path[0]  # the tests' modules are none of the program's
    with socket.socket(fileno=int(sys.argv[1])) as _theirs:
        _code = _serve(_theirs)
    sys.exit(_code)
