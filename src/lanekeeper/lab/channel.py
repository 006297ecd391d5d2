"""The outer end of a lab host's command ports."""

from __future__ import annotations

import fcntl
import os
import select
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from lanekeeper.domain.errors import Error, HostFault, Unavailable
from lanekeeper.lab.ending import Gone, told
from lanekeeper.lab.folder import LabFolder
from lanekeeper.lab.wire import (
    CHUNK_BYTES,
    PORTS,
    TOKEN_BYTES,
    Decoder,
    Frame,
    Kind,
    encode,
    encode_document,
    encode_hello,
)

HELLO_PATIENCE_S = 1.0  # after that the hello is said again: a half frame may have eaten it
FREE_PORT_TIMEOUT_S = 300.0


@dataclass(frozen=True, slots=True)
class Done:
    """How a command in the lab host ended.

    Attributes:
        returncode: as subprocess has it: negative when a signal ended it.
        stdout, stderr: empty when they were streamed somewhere else.
    """

    returncode: int
    stdout: bytes = b""
    stderr: bytes = b""
    timed_out: bool = False

    @property
    def text(self) -> str:
        """Standard output as text, without the last line's end."""
        return self.stdout.decode(errors="replace").rstrip("\n")


class Channel:
    """Commands for the lab host whose sockets lie in *folder*. Threads may share it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes | IO[bytes] = b"",
        environment: Mapping[str, str] | None = None,
        timeout_s: float | None = 300,
        output: IO[bytes] | None = None,
        errors: IO[bytes] | None = None,
    ) -> Done:
        """Run *argv* in the lab host to its end.

        With *output* or *errors* given, that stream goes there as it comes instead of into the
        result. Ending this call early (an exception, a killed process) ends the command too.

        Raises:
            Unavailable: the lab host does not answer, or all its ports are taken.
            HostFault: the command could not be started.
        """
        request = {
            "verb": "run",
            "argv": list(argv),
            "environment": dict(environment or {}),
            "timeout_s": timeout_s,
        }
        with self._conversation() as conversation:
            conversation.send(encode_document(Kind.REQUEST, request))
            return conversation.carry(stdin, output, errors)

    def ask(self, verb: str, *, timeout_s: float = 30, **arguments: object) -> dict[str, Any]:
        """Ask for something other than a command: ``status``, ``spawn``, ``libvirt``.

        Raises:
            Unavailable: no answer within *timeout_s*.
            HostFault: the lab host refused; carries its words.
        """
        with self._conversation(timeout_s) as conversation:
            conversation.send(encode_document(Kind.REQUEST, {"verb": verb, **arguments}))
            result = conversation.frame(time.monotonic() + timeout_s).document()
        if "error" in result:
            raise HostFault(f"the lab host says: {result['error']}")
        return result

    def write(self, path: str, content: bytes, *, mode: int = 0o644) -> None:
        """Write a file in the lab host, making its folder. Raises as ``run``."""
        script = 'mkdir -p "$(dirname "$1")" && cat >"$1" && chmod "$2" "$1"'
        done = self.run(["sh", "-c", script, "sh", path, f"{mode:o}"], stdin=content)
        if done.returncode:
            raise HostFault(f"cannot write {path} in the lab host: {done.stderr.decode()}")

    def read(self, path: str) -> bytes:
        """Read a file of the lab host. Raises as ``run``, HostFault when it cannot be read."""
        done = self.run(["cat", "--", path])
        if done.returncode:
            raise HostFault(f"cannot read {path} in the lab host: {done.stderr.decode()}")
        return done.stdout

    @contextmanager
    def _conversation(self, timeout_s: float = 30) -> Iterator[_Conversation]:
        folder = LabFolder(self._folder.name, self._folder.parent)
        with told(folder), ExitStack() as stack:
            path = stack.enter_context(self._free_port())
            line = stack.enter_context(socket.socket(socket.AF_UNIX))
            try:
                line.connect(str(path))
            except OSError as error:
                raise Unavailable(f"the lab host at {self._folder} does not run") from error
            conversation = _Conversation(line)
            conversation.hello(time.monotonic() + timeout_s)
            yield conversation

    @contextmanager
    def _free_port(self) -> Iterator[Path]:
        """Hold a port that no other process uses; the lock falls with whoever holds it."""
        deadline = time.monotonic() + FREE_PORT_TIMEOUT_S
        while time.monotonic() < deadline:
            for index in range(PORTS):
                path = self._folder / f"port{index}"
                with _locked(path.with_suffix(".lock")) as held:
                    if held:
                        yield path
                        return
            time.sleep(0.05)
        raise Unavailable(f"all {PORTS} command ports of the lab host are taken")


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    try:
        lock = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Unavailable(f"there is no lab at {path.parent}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        held = True
    except BlockingIOError:
        held = False
    try:
        yield held
    finally:
        os.close(lock)


class _Conversation:
    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._decoder = Decoder()

    def hello(self, deadline: float) -> None:
        """Find the other side, whatever was said before. Raises Unavailable."""
        while time.monotonic() < deadline:
            token = os.urandom(TOKEN_BYTES)
            self.send(encode_hello(token))
            until = time.monotonic() + HELLO_PATIENCE_S
            while self._readable(until):
                self._receive()
                while (answer := self._decoder.hello()) is not None:
                    if answer == token:
                        return
        raise Unavailable("the lab host does not answer on its command port")

    def send(self, data: bytes) -> None:
        try:
            self._line.sendall(data)
        except OSError as error:
            raise Gone("the lab host went away") from error

    def frame(self, deadline: float) -> Frame:
        """Wait for a frame. Raises Unavailable."""
        while (frame := self._decoder.frame()) is None:
            if not self._readable(deadline):
                raise Unavailable("the lab host did not answer in time")
            self._receive()
        return frame

    def carry(
        self, stdin: bytes | IO[bytes], output: IO[bytes] | None, errors: IO[bytes] | None
    ) -> Done:
        """Feed *stdin* and collect or pass on what the command says, until its result."""
        source = _Source(stdin)
        collected = _Collected(output, errors)
        outgoing = bytearray()
        while True:
            while (frame := self._decoder.frame()) is not None:
                if frame.kind is Kind.RESULT:
                    return collected.done(frame)
                collected.add(frame)
            if not outgoing and source.ready():
                outgoing += encode(Frame(Kind.INPUT, source.take()))
            waiting = [] if outgoing else source.waiting()
            # Never write without reading: both sides would fill their buffers and wait for ever.
            watched: list[socket.socket | IO[bytes]] = [self._line, *waiting]
            readable, writable, _ = select.select(watched, [self._line] if outgoing else [], [])
            if self._line in readable:
                self._receive()
            if writable:
                self._send_some(outgoing)
            if any(stream in readable for stream in waiting):
                outgoing += encode(Frame(Kind.INPUT, source.take()))

    def _send_some(self, outgoing: bytearray) -> None:
        try:
            sent = self._line.send(outgoing[:CHUNK_BYTES], socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError as error:
            raise Gone("the lab host went away") from error
        del outgoing[:sent]

    def _readable(self, deadline: float) -> bool:
        left = max(0.0, deadline - time.monotonic())
        return bool(select.select([self._line], [], [], left)[0])

    def _receive(self) -> None:
        try:
            data = self._line.recv(CHUNK_BYTES)
        except OSError as error:
            raise Gone("the lab host went away") from error
        if not data:
            raise Gone("the lab host went away")
        self._decoder.feed(data)


class _Source:
    """A command's standard input: bytes at hand, or a stream to wait for."""

    def __init__(self, stdin: bytes | IO[bytes]) -> None:
        self._bytes = memoryview(stdin) if isinstance(stdin, bytes) else memoryview(b"")
        self._stream = None if isinstance(stdin, bytes) else stdin
        self._ended = False

    def ready(self) -> bool:
        return self._stream is None and not self._ended

    def waiting(self) -> list[IO[bytes]]:
        return [self._stream] if self._stream is not None and not self._ended else []

    def take(self) -> bytes:
        """Give the next piece; an empty one is the end."""
        if self._stream is not None:
            piece = os.read(self._stream.fileno(), CHUNK_BYTES)
        else:
            piece = bytes(self._bytes[:CHUNK_BYTES])
            self._bytes = self._bytes[CHUNK_BYTES:]
        self._ended = not piece
        return piece


class _Collected:
    """What a command says: kept, or passed on as it comes."""

    def __init__(self, output: IO[bytes] | None, errors: IO[bytes] | None) -> None:
        self._sinks = {Kind.OUTPUT: output, Kind.ERROR: errors}
        self._kept = {Kind.OUTPUT: bytearray(), Kind.ERROR: bytearray()}

    def add(self, frame: Frame) -> None:
        if sink := self._sinks[frame.kind]:
            sink.write(frame.payload)
            sink.flush()
        else:
            self._kept[frame.kind] += frame.payload

    def done(self, frame: Frame) -> Done:
        result = frame.document()
        if "error" in result:
            raise HostFault(f"the lab host says: {result['error']}")
        return Done(
            int(result["returncode"]),
            bytes(self._kept[Kind.OUTPUT]),
            bytes(self._kept[Kind.ERROR]),
            bool(result["timed_out"]),
        )


def answers(channel: Channel, timeout_s: float) -> dict[str, Any] | None:
    """Ask the lab host for its status; None when it does not answer (yet)."""
    try:
        return channel.ask("status", timeout_s=timeout_s)
    except Error:
        return None
