"""One command in the lab host: its output streams to the caller while it runs."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, Any

from lanekeeper.domain.errors import Invalid
from lanekeeper.lab.inside.port import HungUp, Port
from lanekeeper.lab.wire import CHUNK_BYTES, Frame, Kind, encode

TICK_S = 0.2  # how late a command's end is seen when something else holds its output open


@dataclass(frozen=True, slots=True)
class Command:
    """What to run; *timeout_s* None is for ever."""

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: str = "/"
    timeout_s: float | None = None

    @staticmethod
    def parse(request: Mapping[str, Any]) -> Command:
        """Read a request. Raises Invalid."""
        argv = request.get("argv")
        if not isinstance(argv, list) or not argv or not all(isinstance(w, str) for w in argv):
            raise Invalid("argv: a list of at least one word is needed")
        return Command(
            tuple(argv),
            {str(name): str(value) for name, value in request.get("environment", {}).items()},
            str(request.get("folder", "/")),
            request.get("timeout_s"),
        )

    def run(self, port: Port) -> dict[str, Any]:
        """Run to the end and return the result; the caller's hanging up ends the command.

        Raises:
            OSError: it could not be started.
            HungUp: the caller is gone; so is the command, with all that it started.
        """
        process = subprocess.Popen(
            self.argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.folder,
            env={**os.environ, **self.environment},
            start_new_session=True,
            bufsize=0,
        )
        with _Conversation(port, process, self.timeout_s) as conversation:
            try:
                conversation.pump()
            except (HungUp, Invalid):
                conversation.kill()
                raise
            return {"returncode": process.returncode, "timed_out": conversation.timed_out}


class _Conversation:
    """Carries bytes between a port and a process until the process ends."""

    def __init__(
        self, port: Port, process: subprocess.Popen[bytes], timeout_s: float | None
    ) -> None:
        self._port, self._process = port, process
        self._deadline = time.monotonic() + timeout_s if timeout_s is not None else None
        self._poll = select.poll()
        self._outputs: dict[int, Kind] = {}
        self._pending = bytearray()  # input that the process has not taken yet
        self._input_ended = False
        self.timed_out = False

    def __enter__(self) -> _Conversation:
        self._poll.register(self._port, select.POLLIN)
        pairs = ((self._process.stdout, Kind.OUTPUT), (self._process.stderr, Kind.ERROR))
        for stream, kind in pairs:
            descriptor = _unblocked(stream)
            self._outputs[descriptor] = kind
            self._poll.register(descriptor, select.POLLIN)
        self._input = _unblocked(self._process.stdin)
        return self

    def __exit__(self, *_: object) -> None:
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert stream is not None
            stream.close()

    def kill(self) -> None:
        """End the process and its group now."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def pump(self) -> None:
        """Carry until the process ended. Raises HungUp, Invalid."""
        self._take_input()  # what came together with the request: no poll would tell of it
        while self._process.poll() is None:
            for descriptor, _events in self._poll.poll(TICK_S * 1000):
                self._handle(descriptor)
            if self._deadline is not None and time.monotonic() > self._deadline:
                self.timed_out = True
                self.kill()
        # What it wrote last; a program left running may hold the pipe open, and is not waited for.
        for descriptor in list(self._outputs):
            while self._forward(descriptor):
                pass

    def _handle(self, descriptor: int) -> None:
        if descriptor in self._outputs:
            self._forward(descriptor)
        elif descriptor == self._port.fileno():
            self._receive()
        else:
            self._feed()

    def _forward(self, descriptor: int) -> bool:
        try:
            data = os.read(descriptor, CHUNK_BYTES)
        except BlockingIOError:
            return False
        if not data:
            self._poll.unregister(descriptor)
            del self._outputs[descriptor]
            return False
        self._port.write(encode(Frame(self._outputs[descriptor], data)))
        return True

    def _receive(self) -> None:
        self._port.receive()
        self._take_input()

    def _take_input(self) -> None:
        while (frame := self._port.take_frame()) is not None:
            if frame.kind is Kind.INPUT:
                self._pending += frame.payload
                self._input_ended = self._input_ended or not frame.payload
        self._feed()

    def _feed(self) -> None:
        """Write input while the process takes it; no more is received until it has taken all."""
        try:
            while self._pending:
                del self._pending[: os.write(self._input, self._pending)]
        except BlockingIOError:
            self._poll.register(self._input, select.POLLOUT)
            self._poll.modify(self._port, 0)  # still says when the caller hangs up
            return
        except OSError:  # it reads no more
            self._pending.clear()
        with suppress(KeyError):
            self._poll.unregister(self._input)
        self._poll.modify(self._port, select.POLLIN)
        if self._input_ended:
            assert self._process.stdin is not None
            self._process.stdin.close()


def _unblocked(stream: IO[bytes] | None) -> int:
    assert stream is not None, "every stream is a pipe"
    os.set_blocking(stream.fileno(), False)
    return stream.fileno()
