"""What travels over a lab host's command port: frames of a kind, a length and a payload.

The port is a byte stream that outlives its users: one may be killed in the middle of a frame, and
the next finds the rest of it. So every user starts with a hello that carries a random token, and
both sides skip whatever comes before it.

    outside                          inside
    HELLO token               ──►
                              ◄──    HELLO token
    REQUEST json              ──►
    INPUT bytes … INPUT empty ──►
                              ◄──    OUTPUT bytes, ERROR bytes …
                              ◄──    RESULT json

Both ends are this file, on the same root file system: there are no versions to negotiate.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from lanekeeper.domain.errors import Invalid

CONTROLLER_ADDRESS = "10.0.2.100"  # where a lab host finds the outer machine's controller
HOST_ADDRESS = "10.0.2.15"  # its own, on the management network
PORTS = 8  # commands that may run in one lab host at the same time
PORT_NAME = "lanekeeper."
PAYLOAD_BYTES_MAX = 1 << 20
CHUNK_BYTES = 1 << 16
HEADER_BYTES = 5
TOKEN_BYTES = 16
MAGIC = bytes.fromhex("6c616e656b6565706572e2869200f00d")


class Kind(Enum):
    """The first byte of a frame."""

    HELLO = b"H"
    REQUEST = b"R"
    INPUT = b"I"
    OUTPUT = b"O"
    ERROR = b"E"
    RESULT = b"X"


@dataclass(frozen=True, slots=True)
class Frame:
    """One message."""

    kind: Kind
    payload: bytes = b""

    def document(self) -> dict[str, Any]:
        """Read the payload as a JSON object. Raises Invalid."""
        try:
            document = json.loads(self.payload)
        except ValueError as error:
            raise Invalid(f"a {self.kind.name} frame carries no JSON") from error
        if not isinstance(document, dict):
            raise Invalid(f"a {self.kind.name} frame carries {type(document).__name__}, no object")
        return document


def encode(frame: Frame) -> bytes:
    """Write *frame*. Raises Invalid when it is too long; ``chunks`` splits what is streamed."""
    if len(frame.payload) > PAYLOAD_BYTES_MAX:
        raise Invalid(f"a frame holds {PAYLOAD_BYTES_MAX} bytes at most, not {len(frame.payload)}")
    return frame.kind.value + len(frame.payload).to_bytes(4, "big") + frame.payload


def encode_document(kind: Kind, document: Mapping[str, Any]) -> bytes:
    """Write a frame that carries a JSON object. Raises Invalid."""
    return encode(Frame(kind, json.dumps(document).encode()))


def encode_hello(token: bytes) -> bytes:
    """Write the frame that starts a conversation."""
    return encode(Frame(Kind.HELLO, MAGIC + token))


class Decoder:
    """Turns received bytes into frames, however they were cut."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Add what was received."""
        self._buffer += data

    def hello(self) -> bytes | None:
        """Skip to the next hello and return its token; None when there is none yet."""
        start = encode_hello(bytes(TOKEN_BYTES))[:-TOKEN_BYTES]
        found = self._buffer.find(start)
        if found < 0:
            # A hello may have arrived in part: keep what could be its beginning.
            del self._buffer[: max(0, len(self._buffer) - len(start) + 1)]
            return None
        end = found + len(start) + TOKEN_BYTES
        if len(self._buffer) < end:
            return None
        token = bytes(self._buffer[end - TOKEN_BYTES : end])
        del self._buffer[:end]
        return token

    def frame(self) -> Frame | None:
        """Take the next whole frame; None when it has not arrived yet.

        Raises:
            Invalid: what follows is no frame.
        """
        if len(self._buffer) < HEADER_BYTES:
            return None
        length = int.from_bytes(self._buffer[1:HEADER_BYTES], "big")
        try:
            kind = Kind(bytes(self._buffer[:1]))
        except ValueError as error:
            raise Invalid(f"no frame starts with {bytes(self._buffer[:1])!r}") from error
        if length > PAYLOAD_BYTES_MAX:
            raise Invalid(f"a frame of {length} bytes is longer than {PAYLOAD_BYTES_MAX}")
        end = HEADER_BYTES + length
        if len(self._buffer) < end:
            return None
        payload = bytes(self._buffer[HEADER_BYTES:end])
        del self._buffer[:end]
        return Frame(kind, payload)
