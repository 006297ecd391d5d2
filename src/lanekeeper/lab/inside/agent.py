"""Serves the lab host's command ports: runs what the outer machine asks for.

Whoever can write to a port is root in here. The ports lead to Unix sockets in a folder that only
the outer machine's root may enter, and nowhere else.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

from lanekeeper.domain.errors import Error, Invalid
from lanekeeper.lab.acceleration import probe
from lanekeeper.lab.inside.command import Command
from lanekeeper.lab.inside.libvirt import start_libvirt
from lanekeeper.lab.inside.port import HungUp, Port
from lanekeeper.lab.inside.reboot import reboot
from lanekeeper.lab.wire import PORT_NAME, Frame, Kind, encode_document, encode_hello

Document = dict[str, Any]


class Agent:
    """One thread for each command port; *cache* is the lab's, read-only in here."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._settled = Event()
        self._threads: list[Thread] = []
        self._answers: dict[str, Callable[[Document], Document]] = {
            "status": self._status,
            "spawn": spawn,
            "libvirt": self._libvirt,
            "reboot": reboot,
        }

    def start(self) -> None:
        """Open every command port of this machine."""
        for device in find_ports():
            thread = Thread(target=self._serve, args=(Port(device),), daemon=True)
            thread.start()
            self._threads.append(thread)

    def settled(self) -> None:
        """From now on the machine counts as ready."""
        self._settled.set()

    def join(self) -> None:
        """Serve for ever."""
        for thread in self._threads:
            thread.join()

    def _serve(self, port: Port) -> None:
        while True:
            # A caller that hangs up or talks nonsense ends its conversation, not the service.
            with suppress(HungUp, Invalid):
                self._converse(port)

    def _converse(self, port: Port) -> None:
        port.write(encode_hello(port.read_hello()))
        while True:
            frame = port.read_frame()
            if frame.kind is Kind.REQUEST:
                self._answer(port, frame)

    def _answer(self, port: Port, frame: Frame) -> None:
        request = frame.document()
        try:
            result = self._result(port, request)
        except (Error, OSError) as error:
            result = {"error": str(error)}
        port.write(encode_document(Kind.RESULT, result))

    def _result(self, port: Port, request: Document) -> Document:
        verb = request.get("verb")
        if verb == "run":
            return Command.parse(request).run(port)
        if verb in self._answers:
            return self._answers[verb](request)
        raise Invalid(f"no such verb: {verb!r}")

    def _status(self, _request: Document) -> Document:
        runs, nests = probe(Path("/dev/kvm"))
        uptime = float(Path("/proc/uptime").read_text().split()[0])
        ready = self._settled.is_set()
        return {"ready": ready, "uptime_s": uptime, "kvm": runs, "kvm_nested": nests}

    def _libvirt(self, request: Document) -> Document:
        return start_libvirt(self._cache / "capabilities" / str(request["key"]))


def find_ports() -> list[Path]:
    """Find the command ports among the machine's virtio ports."""
    names = Path("/sys/class/virtio-ports").glob("*/name")
    mine = [path for path in names if path.read_text().startswith(PORT_NAME)]
    return sorted(Path("/dev") / path.parent.name for path in mine)


def spawn(request: Document) -> Document:
    """Start a program that outlives the conversation; its output goes to a file."""
    command = Command.parse(request)
    log = Path(str(request["log"]))
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        child = subprocess.Popen(
            command.argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=command.folder,
            env={**os.environ, **command.environment},
            start_new_session=True,
        )
    Thread(target=child.wait, daemon=True).start()  # else it stays a zombie once it ended
    return {"pid": child.pid, "log": str(log)}
