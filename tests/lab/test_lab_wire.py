"""Frames survive any cutting, and a conversation starts whatever was said before it."""

from __future__ import annotations

import itertools
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanekeeper.domain.errors import Invalid
from lanekeeper.lab.wire import (
    PAYLOAD_BYTES_MAX,
    TOKEN_BYTES,
    Decoder,
    Frame,
    Kind,
    encode,
    encode_document,
    encode_hello,
)

FRAMES = st.builds(Frame, st.sampled_from(Kind), st.binary(max_size=300))


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in itertools.pairwise(edges)]


@given(st.lists(FRAMES, max_size=6), st.lists(st.integers(0, 5000), max_size=12))
def test_frames_come_out_as_they_went_in(frames: list[Frame], cuts: list[int]) -> None:
    decoder, found = Decoder(), []
    for piece in pieces(b"".join(map(encode, frames)), cuts):
        decoder.feed(piece)
        while (frame := decoder.frame()) is not None:
            found.append(frame)
    assert found == frames


@given(st.binary(max_size=200), st.lists(st.integers(0, 500), max_size=6))
def test_a_hello_is_found_behind_any_rest(rest: bytes, cuts: list[int]) -> None:
    token = os.urandom(TOKEN_BYTES)
    request = encode_document(Kind.REQUEST, {"verb": "status"})
    decoder, found = Decoder(), None
    for piece in pieces(rest + encode_hello(token) + request, cuts):
        decoder.feed(piece)
        found = found or decoder.hello()
    assert found == token
    frame = decoder.frame()
    assert frame is not None
    assert frame.document() == {"verb": "status"}


def test_a_hello_that_never_comes_takes_no_memory() -> None:
    decoder = Decoder()
    for _ in range(100):
        decoder.feed(bytes(10_000))
        assert decoder.hello() is None
    assert len(decoder._buffer) < 100


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"Z\x00\x00\x00\x00", "no frame starts with b'Z'"),
        (b"O\xff\xff\xff\xff", "longer than"),
    ],
)
def test_what_is_no_frame_is_refused(data: bytes, reason: str) -> None:
    decoder = Decoder()
    decoder.feed(data)
    with pytest.raises(Invalid, match=reason):
        decoder.frame()


def test_a_frame_has_a_limit() -> None:
    with pytest.raises(Invalid, match="at most"):
        encode(Frame(Kind.OUTPUT, bytes(PAYLOAD_BYTES_MAX + 1)))


@pytest.mark.parametrize("payload", [b"\xff", b"[1]", b""])
def test_a_document_has_to_be_an_object(payload: bytes) -> None:
    with pytest.raises(Invalid, match="carries"):
        Frame(Kind.REQUEST, payload).document()
