"""One virtio-serial port, read and written as frames.

Source: Linux ``drivers/char/virtio_console.c``: reading gives nothing, and poll says HUP, while
nobody outside is connected; who waits gets an edge when that changes.
"""

from __future__ import annotations

import os
import select
from pathlib import Path

from lanekeeper.lab.wire import CHUNK_BYTES, TOKEN_BYTES, Decoder, Frame, Kind

# Edges wake a waiting reader at once; this is only how long a lost one would go unnoticed.
PATIENCE_S = 5.0


class HungUp(Exception):
    """Nobody is connected outside any more."""


class Port:
    """A port that stays open for the machine's life."""

    def __init__(self, device: Path) -> None:
        self._fd = os.open(device, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._decoder = Decoder()
        self._next_caller: bytes | None = None
        self._edges = select.epoll()
        self._edges.register(self._fd, select.EPOLLIN | select.EPOLLHUP | select.EPOLLET)

    def fileno(self) -> int:
        return self._fd

    def read_hello(self) -> bytes:
        """Wait for the next caller, however long, and return its token."""
        if (token := self._next_caller) is not None:
            self._next_caller = None
            return token
        while True:
            if (token := self._decoder.hello()) is not None:
                return token
            if not self._receive():
                self._edges.poll(PATIENCE_S)

    def read_frame(self) -> Frame:
        """Wait for the next frame. Raises HungUp, Invalid."""
        while True:
            if (frame := self.take_frame()) is not None:
                return frame
            self.wait()
            self.receive()

    def take_frame(self) -> Frame | None:
        """Take a frame that has arrived.

        Raises:
            HungUp: it is a hello: the caller left and the next came before anybody saw it.
            Invalid: it is no frame.
        """
        frame = self._decoder.frame()
        if frame is not None and frame.kind is Kind.HELLO:
            self._next_caller = frame.payload[-TOKEN_BYTES:]
            raise HungUp
        return frame

    def receive(self) -> None:
        """Read what has arrived. Raises HungUp."""
        if not self._receive() and self.hung_up():
            raise HungUp

    def _receive(self) -> bool:
        try:
            data = os.read(self._fd, CHUNK_BYTES)
        except BlockingIOError:
            return False
        self._decoder.feed(data)
        return bool(data)

    def wait(self) -> None:
        """Wait until there is something to read or the caller hung up."""
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        poll.poll()

    def hung_up(self) -> bool:
        """Say whether nobody is connected outside."""
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        return any(events & select.POLLHUP for _, events in poll.poll(0))

    def write(self, data: bytes) -> None:
        """Write all of *data*, however slowly it is taken. Raises HungUp."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._fd, rest[:CHUNK_BYTES]) :]
            except BlockingIOError:
                self._wait_writable()

    def _wait_writable(self) -> None:
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        if any(events & select.POLLHUP for _, events in poll.poll()):
            raise HungUp
