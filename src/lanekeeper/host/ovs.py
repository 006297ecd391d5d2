"""Bridges of Open vSwitch with their ports, as ``ovs-vsctl show`` lists them.

Source: Open vSwitch ``utilities/ovs-vsctl.c``, cmd_show_tables.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lanekeeper.domain.errors import HostFault
from lanekeeper.host.program import DIRECTORY, answer

BRIDGES = "ovs-show"
"""The question for them, by the name of its file in a captured machine."""
SHOW = ("ovs-vsctl", "--timeout=5", "show")

_SOCKET = "run/openvswitch/db.sock"
_DATAPATHS = ("ovs-system", "ovs-netdev")  # of the kernel, of user space: lib/dpif-netdev.c
_LINE = re.compile(
    r"""^\s*(?:(Bridge|Port|Interface)\s"?([^"\s]+)"?|options:\s\{.*\bpeer="?([^",}\s]+)"?.*\})$""",
    re.MULTILINE,
)


@dataclass(slots=True)
class Bridge:
    """One bridge.

    Attributes:
        ports: their names.
        interfaces: those that its ports are made of: of a bond several.
        peers: the ports of other bridges that its patch ports lead to.
    """

    name: str
    ports: tuple[str, ...] = ()
    interfaces: tuple[str, ...] = ()
    peers: tuple[str, ...] = field(default=())


def parse_bridges(shown: str) -> tuple[Bridge, ...]:
    """Read what ``ovs-vsctl show`` prints."""
    bridges: list[Bridge] = []
    for kind, name, peer in _LINE.findall(shown):
        if kind == "Bridge":
            bridges.append(Bridge(name))
        elif not bridges:
            continue
        elif kind == "Port":
            bridges[-1].ports += (name,)
        elif kind == "Interface":
            bridges[-1].interfaces += (name,)
        else:
            bridges[-1].peers += (peer,)
    return tuple(bridges)


def may_ask_ovs(root: Path) -> bool:
    """Ask only where it runs: ovs-vsctl waits for a database that is not there."""
    return root.resolve() != Path("/") or (root / _SOCKET).exists()


def has_datapath(root: Path) -> bool:
    """Whether the host below *root* has interfaces that Open vSwitch forwards between."""
    return any(os.path.lexists(root / "sys/class/net" / name) for name in _DATAPATHS)


def read_bridges(root: Path) -> Mapping[str, tuple[str, ...]]:
    """Return the bridges of Open vSwitch with their ports; none where it does not run.

    Raises:
        HostFault: it gives no answer.
    """
    shown = answer(root, BRIDGES, SHOW) if may_ask_ovs(root) else None
    return {bridge.name: bridge.ports for bridge in parse_bridges(shown or "")}


def ask_bridges(root: Path) -> tuple[Bridge, ...]:
    """Return the bridges of a host that has some. Raises HostFault: nobody says which."""
    if not may_ask_ovs(root):
        raise HostFault("its database has no socket")
    shown = answer(root, BRIDGES, SHOW)
    if shown is not None:
        return parse_bridges(shown)
    said = f"what `{' '.join(SHOW)}` prints"
    if root.resolve() == Path("/"):
        raise HostFault(f"{SHOW[0]} is not installed")
    raise HostFault(f"this tree lacks {DIRECTORY}/{BRIDGES}, which holds {said} on the host")
