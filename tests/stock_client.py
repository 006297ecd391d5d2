"""The stock ``openstack`` client, loaded once; each command in a process of its own.

Loading it takes nine tenths of the processor time of a command. So one process loads it, with all
that it finds by entry points, and forks for each command: what runs there is the client's own entry
point, with the command's arguments, environment and standard streams, and its exit code is the
client's. That the installed program starts by itself too is for a test to show
(``tests/clients/test_version.py``).
"""

from __future__ import annotations

import atexit
import functools
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import distributions
from itertools import chain
from pathlib import Path
from typing import NoReturn

_FOUND_BY_NAME = ("openstack.", "keystoneauth1.plugin", "cliff.formatter.")
"""How the groups of entry points begin whose modules each command would load."""
_MESSAGE_BYTES_MAX = 2**18
"""As much as the arguments and the environment of a command may have, and more than they do."""


class StockClient:
    """The process that has loaded the client; it ends with this one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._home = tempfile.TemporaryDirectory(prefix="lanekeeper-client-")
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _MESSAGE_BYTES_MAX)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env={**os.environ, "HOME": self._home.name},
                start_new_session=True,  # a Ctrl-C meant for the tests is not meant for it
            )

    def run(
        self, arguments: Sequence[str], environment: Mapping[str, str], stdin: int, within_s: float
    ) -> subprocess.CompletedProcess[str]:
        """Run ``openstack ARGUMENTS``; *stdin* is a file descriptor or ``subprocess.DEVNULL``.

        Raises:
            TimeoutError: it had not ended after *within_s* seconds.
        """
        asked = json.dumps({"arguments": list(arguments), "environment": dict(environment)})
        with (
            self._lock,
            tempfile.TemporaryFile() as out,
            tempfile.TemporaryFile() as err,
            Path(os.devnull).open("rb") as nothing,
        ):
            given = nothing.fileno() if stdin == subprocess.DEVNULL else stdin
            self._socket.settimeout(within_s)
            streams = [given, out.fileno(), err.fileno()]
            socket.send_fds(self._socket, [asked.encode()], streams)
            try:
                code = self._socket.recv(16)
            except TimeoutError:
                self.close()  # its answer, when it came, would be taken for the next command's
                stock_client.cache_clear()
                raise
            assert code, "the process that had loaded the client has ended"
            texts = []
            for stream in (out, err):
                stream.seek(0)
                texts.append(stream.read().decode())
        return subprocess.CompletedProcess(["openstack", *arguments], int(code), *texts)

    def close(self) -> None:
        """End it, and the command that it is at."""
        self._socket.close()
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._home.cleanup()


@functools.cache
def stock_client() -> StockClient:
    """The one of this process, started when it is first asked for."""
    made = StockClient()
    atexit.register(made.close)
    return made


def _serve(connection: socket.socket) -> None:
    sys.argv = ["openstack"]  # the client calls itself so as soon as it is loaded
    _load()
    gc.freeze()
    while True:
        asked, streams, _, _ = socket.recv_fds(connection, _MESSAGE_BYTES_MAX, 3)
        if not asked:
            return
        pid = os.fork()
        if pid == 0:
            connection.close()
            _command(**json.loads(asked), streams=streams)
        for stream in streams:
            os.close(stream)
        _, status = os.waitpid(pid, 0)
        connection.send(str(os.waitstatus_to_exitcode(status)).encode())


def _load() -> None:
    """Have the modules here that commands would load, and what cliff looks up only once."""
    import openstackclient.shell  # noqa: F401
    from cliff import command

    for found in chain.from_iterable(one.entry_points for one in distributions()):
        if found.group.startswith(_FOUND_BY_NAME):
            with suppress(ImportError):  # an extra that is not installed; the client says so too
                found.load()
    command._get_distributions_by_modules()


def _command(
    arguments: Sequence[str], environment: Mapping[str, str], streams: Sequence[int]
) -> NoReturn:
    """Be ``openstack ARGUMENTS``."""
    from openstackclient.shell import main

    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["openstack", *arguments]
    code: object = 1
    try:
        code = main()
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        traceback.print_exc()
    if isinstance(code, str):
        print(code, file=sys.stderr)
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(int(code or 0))  # type: ignore[call-overload]  # sys.exit() takes anything


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as _theirs:
        _serve(_theirs)
