"""Leads this process's rtnetlink sockets to ``bench.vf_kernel``, and asks it what was asked.

Only the standard library: it runs in Neutron's environment, too.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import Any

NETLINK_USERSOCK = 2
BEGIN, TELL = 0xFFF0, 0xFFF1
_TOLD_BYTES = 1 << 20
_plain = socket.socket


def lead(port: int) -> None:
    """Let every socket that is made for rtnetlink from now on be one to *port*.

    It has its own address from the start, so binding it to any does nothing more.
    """

    class Led(_plain):
        def __init__(
            self, family: int = -1, kind: int = -1, proto: int = -1, fileno: int | None = None
        ) -> None:
            is_route = family == socket.AF_NETLINK and proto == socket.NETLINK_ROUTE
            super().__init__(family, kind, NETLINK_USERSOCK if is_route else proto, fileno)
            if is_route:
                self.connect((port, 0))

        def bind(self, address: Any, /) -> None:
            if self.family != socket.AF_NETLINK:
                super().bind(address)

    socket.socket = Led  # type: ignore[misc, assignment]


def ask(port: int, kind: int) -> dict[str, Any]:
    """Send one of the two messages that no kernel knows."""
    with _plain(socket.AF_NETLINK, socket.SOCK_DGRAM, NETLINK_USERSOCK) as wire:
        wire.bind((0, 0))
        wire.sendto(struct.pack("=IHHII", 16, kind, 0, 0, 0), (port, 0))
        told: dict[str, Any] = json.loads(wire.recv(_TOLD_BYTES))
        return told


def serve(port: int, prepare: Callable[[], None], apply: Callable[[], None], look: Any) -> None:
    """Do a round for each line of the input, and say as JSON what it took.

    Args:
        port: of the stand-in.
        prepare: forgets what was known of before; is not measured.
        apply: sets every VF as its port wants it, as at an agent's start.
        look: what the agent does at each later look at a host where nothing has changed.
    """
    print("ready", flush=True)
    for _ in sys.stdin:
        prepare()
        ask(port, BEGIN)
        applied = _measured(apply)
        before = ask(port, TELL)
        looked = _measured(look)
        after = ask(port, TELL)
        more = {name: after["asked"][name] - one for name, one in before["asked"].items()}
        told = {
            "apply": applied | {"asked": before["asked"]},
            "look": looked | {"asked": more},
            "vfs": after["vfs"],
        }
        print(json.dumps(told), flush=True)


def _measured(work: Callable[[], None]) -> dict[str, Any]:
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return {
        "cpu": 1000 * (time.process_time() - cpu),
        "wall": 1000 * (time.perf_counter() - wall),
    }
