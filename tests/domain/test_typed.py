"""Several threads may read the first document of a class at the same time."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest

from lanekeeper.domain import typed

RACE = """
import sys, threading
from lanekeeper import protocol
from lanekeeper.domain import typed
text = b'{"generation": 1, "mark": "a", "cleaning": [{"device": {}, "round": 1}]}'
go = threading.Event()
def reader():
    go.wait()
    for _ in range(3000):
        try:
            typed.decode(text, protocol.Desired)
        except ValueError:
            pass
sys.setswitchinterval(1e-7)
threads = [threading.Thread(target=reader) for _ in range(6)]
for thread in threads: thread.start()
go.set()
for thread in threads: thread.join()
"""
TIMES = 8  # msgspec alone ends the process in about every second run


def test_threads_that_begin_together_all_read() -> None:
    for _ in range(TIMES):
        subprocess.run([sys.executable, "-c", RACE], check=True, timeout=60)


def test_documents_are_read_as_their_kind() -> None:
    class Pair(msgspec.Struct):
        name: str
        count: int = 1

    assert typed.decode(b'{"name": "a"}', Pair) == Pair("a")
    assert typed.convert({"name": "a", "count": "2"}, Pair, strict=False) == Pair("a", 2)
    assert typed.decoder(Pair) is typed.decoder(Pair)
    assert typed.decode(b"[1]") == [1]
    with pytest.raises(msgspec.ValidationError, match="count"):
        typed.convert({"name": "a", "count": "2"}, Pair)
