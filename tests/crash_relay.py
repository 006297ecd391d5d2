"""A wire between an agent and its controller that can lose answers."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

_CHUNK_BYTES = 65536


class Relay:
    """Passes TCP connections on to a port of this machine.

    While ``losing`` is set, a connection is cut once the controller has answered a request whose
    first line holds it: what was asked is done, only the agent never hears of it.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.losing = b""
        self.lost = 0
        """How many answers the agent never heard."""
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, name="relay", daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _close(self._listener, *self._open)

    def _accept(self) -> None:
        while True:
            try:
                agent, _ = self._listener.accept()
            except OSError:
                return  # closed
            try:
                controller = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                _close(agent)
                continue
            self._open += [agent, controller]
            doomed = threading.Event()
            for pump in (self._ask, self._answer):
                threading.Thread(target=pump, args=(agent, controller, doomed), daemon=True).start()

    def _ask(
        self, agent: socket.socket, controller: socket.socket, doomed: threading.Event
    ) -> None:
        with suppress(OSError):  # either end has gone; so does the other
            while data := agent.recv(_CHUNK_BYTES):
                if self._is_doomed(data):
                    doomed.set()
                controller.sendall(data)
        _close(agent, controller)

    def _answer(
        self, agent: socket.socket, controller: socket.socket, doomed: threading.Event
    ) -> None:
        with suppress(OSError):
            while data := controller.recv(_CHUNK_BYTES):
                if doomed.is_set():
                    self.lost += 1
                    break
                agent.sendall(data)
        _close(agent, controller)

    def _is_doomed(self, data: bytes) -> bool:
        """Whether a request begins here whose answer is to be lost."""
        line = data.partition(b"\r\n")[0]
        return bool(self.losing) and line.endswith(b"HTTP/1.1") and self.losing in line


def _close(*ends: socket.socket) -> None:
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)  # wakes whoever waits for it, which close() does not
        end.close()
