"""Ports and flows of Open vSwitch's bridges: read, and changed all at once.

ovs-vsctl says which ports there are; ovs-ofctl reads and writes flows. Only flows that bear our
mark (``domain.network.guard.flow``) are read, and only those taken away.

Source: ovs-ofctl(8), ``--bundle``; ovs-vswitchd.conf.db(5), Port and Interface.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import msgspec

from lanekeeper.domain import typed
from lanekeeper.domain.errors import HostFault
from lanekeeper.domain.network.guard.flow import MARK, MASK, Flow
from lanekeeper.host.program import ask

SEALED = 4095
"""The one VLAN that the record of a guarded port takes: nobody sends in it (IEEE 802.1Q reserves
it), so that the bridge itself gives the port nothing and takes nothing from it."""

Ask = Callable[[Sequence[str], str], str]
"""Runs a program with a text to read and returns what it prints. Raises HostFault."""

_VSCTL = ("ovs-vsctl", "--timeout=20", "--format=json")
_OFCTL = ("ovs-ofctl", "--timeout=20", "-O", "OpenFlow13,OpenFlow14,OpenFlow15")
_COLUMNS = {
    "Bridge": "name,ports",
    "Port": "_uuid,interfaces,tag,trunks,vlan_mode",
    "Interface": "_uuid,name,ofport,external_ids",
}
_COOKIE = re.compile(r"cookie=(0x[0-9a-f]+),?\s*")
_ASK: Ask = partial(ask, seconds=30)  # a bridge of thousands of flows takes its time


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchPort:
    """An interface of a bridge, as the database has it.

    Attributes:
        number: OpenFlow's.
        port_id: whose card it is; empty where nobody said.
        tag, trunks, mode: of the record of the port that it belongs to.
    """

    name: str
    number: int
    port_id: str = ""
    tag: int | None = None
    trunks: frozenset[int] = frozenset()
    mode: str = ""

    @property
    def is_sealed(self) -> bool:
        """Whether the bridge itself gives it nothing."""
        return self.tag is None and self.trunks == {SEALED} and self.mode in ("", "trunk")

    def is_access(self, vlan: int) -> bool:
        return self.tag == vlan and not self.trunks and self.mode in ("", "access")


class FlowTable(Protocol):
    """The bridges of a host, for who guards their ports."""

    def ports(self, bridge: str) -> tuple[SwitchPort, ...]:
        """List those of *bridge* that the switch has numbered. Raises HostFault."""

    def place(self, port: SwitchPort, vlan: int | None) -> None:
        """Make *port* an access port of *vlan*; None seals it. Raises HostFault."""

    def flows(self, bridge: str) -> Mapping[int, tuple[str, ...]]:
        """Read our flows by cookie, spelled as the switch does. Raises HostFault."""

    def change(self, bridge: str, gone: Iterable[int], new: Iterable[Flow]) -> None:
        """Take away the flows with cookies *gone* and add *new*: all, or nothing is changed.

        Raises:
            HostFault: the switch refused.
        """

    def forget(self, zone: int) -> None:
        """Forget the connections of a conntrack zone. Raises HostFault."""


class NoFlowTable:
    """Of a host whose agent tells no virtual switch anything. See ``FlowTable``."""

    def ports(self, bridge: str) -> tuple[SwitchPort, ...]:
        raise HostFault(f"nothing tells bridge {bridge} of this host what guards its ports")

    def place(self, port: SwitchPort, vlan: int | None) -> None:
        raise HostFault(f"nothing tells port {port.name} of this host that its VLAN is {vlan}")

    def flows(self, bridge: str) -> Mapping[int, tuple[str, ...]]:
        raise HostFault(f"nothing reads the flows of bridge {bridge} of this host")

    def change(self, bridge: str, gone: Iterable[int], new: Iterable[Flow]) -> None:
        raise HostFault(f"nothing writes flows of bridge {bridge} of this host")

    def forget(self, zone: int) -> None:
        raise HostFault(f"nothing tells conntrack of this host to forget zone {zone}")


class OvsFlowTable:
    """See ``FlowTable``; by programs that *run* runs."""

    def __init__(self, run: Ask = _ASK) -> None:
        self._ask = run

    def ports(self, bridge: str) -> tuple[SwitchPort, ...]:
        bridges, ports, interfaces = self._tables()
        mine = next((_set(one["ports"]) for one in bridges if one["name"] == bridge), None)
        if mine is None:
            raise HostFault(f"Open vSwitch has no bridge {bridge}")
        by_id = {_only(one["_uuid"]): one for one in interfaces}
        return tuple(
            _port(port, by_id[interface])
            for port in ports
            if _only(port["_uuid"]) in mine
            for interface in _set(port["interfaces"])
            if isinstance(by_id[interface]["ofport"], int) and by_id[interface]["ofport"] > 0
        )

    def place(self, port: SwitchPort, vlan: int | None) -> None:
        wanted = (
            (f"tag={vlan}", "trunks=[]") if vlan is not None else ("tag=[]", f"trunks={SEALED}")
        )
        self._ask([*_VSCTL, "set", "Port", port.name, *wanted, "vlan_mode=[]"], "")

    def flows(self, bridge: str) -> Mapping[int, tuple[str, ...]]:
        ours = f"cookie={MARK:#x}/{MASK:#x}"
        shown = self._ask([*_OFCTL, "--no-stats", "--no-names", "dump-flows", bridge, ours], "")
        found: dict[int, tuple[str, ...]] = {}
        for line in shown.splitlines():
            if cookie := _COOKIE.search(line):
                number = int(cookie[1], 16)
                found[number] = (*found.get(number, ()), line[cookie.end() :].strip())
        return found

    def change(self, bridge: str, gone: Iterable[int], new: Iterable[Flow]) -> None:
        lines = [
            *(f"delete cookie={one:#x}/-1" for one in gone),
            *(f"add {one.text}" for one in new),
        ]
        self._ask([*_OFCTL, "--bundle", "add-flows", bridge, "-"], "\n".join(lines) + "\n")

    def forget(self, zone: int) -> None:
        self._ask(["ovs-appctl", "--timeout=20", "dpctl/flush-conntrack", f"zone={zone}"], "")

    def _tables(self) -> list[list[dict[str, Any]]]:
        """Read the tables of ``_COLUMNS`` as they are at one moment."""
        lists = [["--", f"--columns={columns}", "list", name] for name, columns in _COLUMNS.items()]
        shown = self._ask([*_VSCTL, *(word for one in lists for word in one)], "").splitlines()
        try:
            told = [typed.decode(line, _Told) for line in shown if line]
        except msgspec.DecodeError as error:
            raise HostFault(f"ovs-vsctl list said what is no table: {error}") from error
        if len(told) != len(_COLUMNS):
            raise HostFault(f"ovs-vsctl list told {len(told)} tables of {', '.join(_COLUMNS)}")
        return [[dict(zip(one.headings, row, strict=True)) for row in one.data] for one in told]


class _Told(msgspec.Struct):
    """What ``--format=json`` prints. Source: RFC 7047, 5.1, for the values."""

    headings: list[str]
    data: list[list[Any]]


def _port(port: Mapping[str, Any], interface: Mapping[str, Any]) -> SwitchPort:
    tag, mode = port["tag"], port["vlan_mode"]
    names = dict(interface["external_ids"][1])
    return SwitchPort(
        name=interface["name"],
        number=interface["ofport"],
        port_id=names.get("iface-id", ""),
        tag=tag if isinstance(tag, int) else None,
        trunks=frozenset(_set(port["trunks"])),
        mode=mode if isinstance(mode, str) else "",
    )


def _set(value: Any) -> list[Any]:
    """What an OVSDB column that may have any number of values holds; one stands by itself."""
    is_set = isinstance(value, list) and value[0] == "set"
    return [_only(one) for one in (value[1] if is_set else [value])]


def _only(value: Any) -> Any:
    """The id in ``["uuid", id]``, or the value itself."""
    return value[1] if isinstance(value, list) and value[0] == "uuid" else value
