"""The program in a lab host, many times: one process there has loaded it, and forks for each start.

What it does is what it does as a program of its own; only that an emulated processor does not load
it each time, which takes it longer than what it was started for: most of a minute for an agent.
"""

from __future__ import annotations

import json
import os
import select
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from threading import Thread
from typing import IO

from lanekeeper.domain.errors import Error
from lanekeeper.lab.channel import Channel, Done
from lanekeeper.lab.folder import LabFolder

COMMAND_WITHIN_S = 600.0
# Background processes of the tool may keep what it prints to open: files, not pipes, which end.
SERVER = """
import gc, importlib, json, os, pkgutil, sys, traceback
import httpcore, pyroute2  # which httpx and Lanekeeper load when they first need them
import lanekeeper.main
import lanekeeper.cli.agent
import lanekeeper.hypervisor.libvirt as libvirt
import lanekeeper.cli.host as nouns
for package in (nouns, libvirt):
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(found.name)
gc.freeze()

def perform(request, said):
    os.setsid()
    for number, file in enumerate((os.open(os.devnull, os.O_RDONLY), *said)):
        os.dup2(file, number)
    os.environ.update(request["environment"])
    code = 70
    try:
        code = lanekeeper.main.main(request["arguments"])
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

def start(request, said):
    child = os.fork()
    if child == 0:
        perform(request, said)
    return child

def run(request):
    said = [os.memfd_create("said") for _ in "oe"]
    ended = os.waitstatus_to_exitcode(os.waitpid(start(request, said), 0)[1])
    texts = [os.pread(file, os.fstat(file).st_size, 0).decode() for file in said]
    for file in said:
        os.close(file)
    return [ended, *texts]

def spawn(request):
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    child = start(request, (log, log))
    os.close(log)
    return [child, "", ""]

def reap():
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass

for line in sys.stdin:
    reap()
    request = json.loads(line)
    answer = spawn(request) if request["log"] else run(request)
    print(json.dumps(answer), flush=True)
"""


@dataclass(slots=True)
class _Server:
    """The process in the lab host, since one boot of it."""

    qemu: int
    requests: IO[bytes]
    answers: IO[bytes]


class ForkedTool:
    """``lanekeeper ARGUMENTS…`` in the lab host in *folder*; started when first asked for."""

    def __init__(self, folder: LabFolder) -> None:
        self._folder = folder
        self._server: _Server | None = None

    def run(self, arguments: Sequence[str]) -> Done:
        """Run it to its end. Raises Unavailable where the lab host ends first."""
        code, out, err = self._ask(arguments, {}, "")
        return Done(code, out.encode(), err.encode())

    def spawn(self, arguments: Sequence[str], log: str, environment: Mapping[str, str]) -> int:
        """Start it in the background, what it says added to *log*; returns its process id there.

        With *environment* beside what is there. Raises Unavailable where the lab host ends first.
        """
        process_id, _, _ = self._ask(arguments, environment, log)
        return process_id

    def _ask(
        self, arguments: Sequence[str], environment: Mapping[str, str], log: str
    ) -> tuple[int, str, str]:
        server = self._there()
        asked = {"arguments": list(arguments), "environment": dict(environment), "log": log}
        line = b""
        with suppress(BrokenPipeError):  # the lab host has ended
            server.requests.write(json.dumps(asked).encode() + b"\n")
            if not select.select([server.answers], [], [], COMMAND_WITHIN_S)[0]:
                self.close()
                raise TimeoutError(f"no answer within {COMMAND_WITHIN_S:.0f} s: {arguments}")
            line = server.answers.readline()
        if not line:
            self.close()
            Channel(self._folder.path).ask("status")  # says why, if the lab host has ended
        assert line, "the forking program has ended in the lab host"
        number, out, err = json.loads(line)
        return number, out, err

    def close(self) -> None:
        """End the process; it would end with the lab host, too."""
        if self._server is not None:
            with suppress(OSError):  # its reader is gone
                self._server.requests.close()
            self._server.answers.close()
            self._server = None

    def _there(self) -> _Server:
        running = self._folder.running()
        assert running is not None, "it got ready"
        if self._server is not None and self._server.qemu != running.pid:
            self.close()
        if self._server is None:
            self._server = _start(self._folder, running.pid)
        return self._server


def _start(folder: LabFolder, qemu: int) -> _Server:
    (theirs_in, ours_in), (ours_out, theirs_out) = os.pipe(), os.pipe()
    stdin, output = os.fdopen(theirs_in, "rb", 0), os.fdopen(theirs_out, "wb", 0)

    def carry() -> None:
        with stdin, output, suppress(Error, OSError):
            argv = [sys.executable, "-c", SERVER]
            Channel(folder.path).run(argv, stdin=stdin, output=output, timeout_s=None)

    Thread(target=carry, daemon=True).start()
    return _Server(qemu, os.fdopen(ours_in, "wb", 0), os.fdopen(ours_out, "rb"))
