"""Ports of virtual switches that are guarded: their flows are as wanted, or nothing passes.

A guarded port is plugged in sealed, so that the bridge itself gives it nothing; what it has, it has
by flows. They are compared each time the agent looks, and written again when something lost or
changed them. Flows of ports that are gone go with the next look.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from threading import Lock

import msgspec
import structlog

from lanekeeper.agent.observe import View
from lanekeeper.domain import typed
from lanekeeper.domain.errors import Error, HostFault
from lanekeeper.domain.network.guard.bridge import bridge_flows
from lanekeeper.domain.network.guard.guarded import Beside, Guarded, Guards
from lanekeeper.host.flow_table import FlowTable, SwitchPort
from lanekeeper.hypervisor.durable_file import write_durably
from lanekeeper.protocol import Desired, TapWanted

_ZONE_FIRST, _ZONE_LAST = 30000, 65000
"""Conntrack zones of ports; the kernel's own is 0, others count up from 1."""

log = structlog.get_logger()


class PortGuards:
    """Keeps the flows of this host's guarded ports; any thread may call.

    *path* remembers the conntrack zone of each port, so that connections outlive the agent.
    """

    def __init__(self, table: FlowTable, path: Path) -> None:
        self._table = table
        self._path = path
        self._lock = Lock()
        self._desired: Desired | None = None
        self._carrying: frozenset[str] = frozenset()
        self._guarded: frozenset[str] = frozenset()
        self._spelled: dict[str, Mapping[int, tuple[str, ...]]] = {}
        self._complaints: frozenset[str] = frozenset()

    def heed(self, desired: Desired, carrying: frozenset[str] = frozenset()) -> None:
        """Go by *desired* from now on.

        Cards that stand by for a VF are given nothing but while they are *carrying*, by port: what
        is sent to their MAC is the VF's else.
        """
        self._desired, self._carrying = desired, carrying

    def settle(self, view: View) -> tuple[str, ...]:
        """Bring all bridges to what is wanted; returns what could not be done, a sentence each."""
        with self._lock:
            problems = tuple(self._settle(view))
        for problem in frozenset(problems) - self._complaints:
            log.warning("port guards", outcome="failed", error=problem)
        self._complaints = frozenset(problems)
        return problems

    def require(self, taps: Sequence[TapWanted], view: View) -> None:
        """Have what guards *taps* in place, and read back, before this returns.

        Raises:
            HostFault: it cannot be; nothing passes them.
        """
        needed = {tap.port_id for tap in taps if tap.guard is not None and not tap.failover}
        if not needed:
            return
        problems = self.settle(view)
        if missing := needed - self._guarded:
            said = "; ".join(problems) or "no bridge has a port of that name that is to be guarded"
            raise HostFault(f"port {', '.join(sorted(missing))} is not guarded: {said}")

    def _settle(self, view: View) -> Iterator[str]:
        desired = self._desired
        if desired is None:
            return
        taps = {tap.port_id: tap for server in desired.servers for tap in server.taps}
        try:
            zones = self._load()
            if not zones and all(tap.guard is None for tap in taps.values()):
                return  # where nothing is guarded, no switch is asked
            there: set[str] = set()
            unknown: set[str] = set()
            for bridge in sorted({one.name for one in view.switching.bridges.values()}):
                try:
                    there |= self._settle_bridge(bridge, taps, desired.members, zones)
                except Error as error:
                    unknown |= zones.keys()  # whose ports are there nobody knows now
                    yield f"ports of bridge {bridge} are not guarded as wanted: {error}"
            self._guarded = frozenset(there)
            kept = there | unknown
            self._save({port_id: zone for port_id, zone in zones.items() if port_id in kept})
        except (OSError, msgspec.MsgspecError) as error:
            yield f"ports of virtual switches are not guarded as wanted: {self._path}: {error}"

    def _settle_bridge(
        self,
        bridge: str,
        taps: Mapping[str, TapWanted],
        members: Mapping[str, Sequence[str]],
        zones: dict[str, int],
    ) -> set[str]:
        """Settle one bridge; returns the ids of its guarded ports, which have zones then."""
        ports = self._table.ports(bridge)
        ours = {port: tap for port in ports if (tap := taps.get(port.port_id)) is not None}
        sealed = {port: tap for port, tap in ours.items() if tap.guard is not None}
        guarded = {
            port: tap
            for port, tap in sealed.items()
            if not tap.failover or tap.port_id in self._carrying
        }
        for port in sealed:
            if not port.is_sealed:
                self._table.place(port, None)
        for port in guarded:
            if port.port_id not in zones:
                zones[port.port_id] = self._new_zone(zones)
        self._save(zones)
        wanted = Guards(
            ports=tuple(_guarded(port, tap, zones) for port, tap in guarded.items()),
            beside=tuple(beside(port) for port in ports if _is_open(port, sealed)),
            members={group: tuple(prefixes) for group, prefixes in members.items()},
        )
        self._write(bridge, wanted)
        for port, tap in ours.items():
            if tap.guard is None and port.is_sealed:  # its port security was taken away
                self._table.place(port, tap.vlan)
        return {port.port_id for port in guarded}

    def _new_zone(self, zones: dict[str, int]) -> int:
        """A zone that nobody has, and empty."""
        taken = set(zones.values())
        zone = next(one for one in range(_ZONE_FIRST, _ZONE_LAST) if one not in taken)
        self._table.forget(zone)
        return zone

    def _write(self, bridge: str, guards: Guards) -> None:
        wanted = {flow.cookie: flow for flow in bridge_flows(guards)}
        found = self._table.flows(bridge)
        spelled = self._spelled.get(bridge, {})
        changed = {one for one, texts in found.items() if spelled.get(one, texts) != texts}
        gone = (found.keys() - wanted.keys()) | changed
        new = [flow for cookie, flow in wanted.items() if cookie not in found or cookie in changed]
        if gone or new:
            self._table.change(bridge, sorted(gone), new)
            found = self._table.flows(bridge)
            log.info("port guards", bridge=bridge, outcome="done", gone=len(gone), new=len(new))
        if found.keys() != wanted.keys():
            lacking = len(wanted.keys() - found.keys())
            raise HostFault(
                f"{lacking} of {len(wanted)} flows are not there after all were written"
            )
        self._spelled[bridge] = found

    def _load(self) -> dict[str, int]:
        if not self._path.exists():
            return {}
        return typed.decode(self._path.read_bytes(), dict[str, int])

    def _save(self, zones: Mapping[str, int]) -> None:
        if zones != self._load():
            write_durably(self._path, msgspec.json.encode(zones))


def _guarded(port: SwitchPort, tap: TapWanted, zones: Mapping[str, int]) -> Guarded:
    assert tap.guard is not None
    return Guarded(
        number=port.number,
        zone=zones[port.port_id],
        vlan=tap.vlan,
        mac=tap.mac,
        sources=tuple(tap.guard.sources),
        rules=tuple(tap.guard.rules),
    )


def _is_open(port: SwitchPort, guarded: Mapping[SwitchPort, TapWanted]) -> bool:
    return port not in guarded and not port.is_sealed


def beside(port: SwitchPort) -> Beside:
    """What a port takes by its record. Source: ovs-vswitchd.conf.db(5), Port, vlan_mode."""
    carried = port.trunks or None
    if port.mode == "dot1q-tunnel" or (port.tag is not None and port.mode in ("", "access")):
        return Beside(number=port.number, untagged=port.tag or 0, tagged=frozenset())
    if port.mode in ("native-tagged", "native-untagged"):
        return Beside(number=port.number, untagged=port.tag or 0, tagged=carried)
    takes_untagged = carried is None or 0 in carried
    return Beside(number=port.number, untagged=0 if takes_untagged else None, tagged=carried)
