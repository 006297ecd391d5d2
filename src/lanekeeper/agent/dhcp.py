"""DHCP for this host's own guests: one dnsmasq for each network that has some here."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec
import structlog

from lanekeeper.agent.dhcp_files import DhcpFiles, dhcp_files, port_name, server_mac
from lanekeeper.agent.observe import Bridge, View
from lanekeeper.agent.shared_cards import Entry
from lanekeeper.domain import typed
from lanekeeper.domain.errors import Error, HostFault
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.host import dhcp_server
from lanekeeper.host.dhcp_server import DhcpPorts
from lanekeeper.hypervisor.durable_file import write_durably
from lanekeeper.protocol import Desired, DhcpGuest, DhcpWanted

PROGRAM = "dnsmasq"
_READABLE = 0o644
"""dnsmasq reads them again as a user of its own."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Service:
    """What is to be answered on one bridge.

    Attributes:
        guests: those of *wanted* that the bridge reaches.
    """

    wanted: DhcpWanted
    bridge: Bridge
    guests: tuple[DhcpGuest, ...]


def services(desired: Desired, view: View) -> tuple[Service, ...]:
    """What is to be served: networks whose bridge is here, with guests that it reaches.

    Those have a card on it, or a VF of a PF that is a port of it. An older controller says nothing
    of DHCP (``desired.dhcp`` is None), which is no order to end it.
    """
    return tuple(_services(desired, view))


def _services(desired: Desired, view: View) -> Iterator[Service]:
    switched = {tap.port_id: tap.bridge for server in desired.servers for tap in server.taps}
    pfs = {
        nic.port_id: one.device.parent
        for server in desired.servers
        for nic in server.nics
        if (one := view.listed.get(PciAddress.parse(nic.device.address))) is not None
    }
    for wanted in desired.dhcp or ():
        bridge = view.switching.bridges.get(wanted.physical_network)
        if bridge is None:
            continue
        guests = tuple(
            guest
            for guest in wanted.guests
            if switched.get(guest.port_id) == bridge.name or pfs.get(guest.port_id) in bridge.cards
        )
        if guests:
            yield Service(wanted, bridge, guests)


def server_entries(served: Iterable[Service], host_name: str) -> frozenset[Entry]:
    """What cards are told, so that a VF reaches who answers it (``agent.shared_cards``)."""
    return frozenset(
        (pf, server_mac(host_name, one.wanted.id)) for one in served for pf in one.bridge.cards
    )


Settle = Callable[[Sequence[Service]], Sequence[str]]
"""Has guests answered, and nothing else; returns what could not be done, one sentence each."""


class DhcpThread:
    """Has guests answered while others go on: to start a server may take seconds.

    Without *settle* nobody is answered: a host that does not exist has no guests who could ask.

    Attributes:
        problems: what could not be done at last.
    """

    def __init__(self, settle: Settle | None, host_name: str) -> None:
        self.problems: tuple[str, ...] = ()
        self._settle = settle
        self._pool = ThreadPoolExecutor(1, f"dhcp-{host_name}")
        self._under_way: Future[None] | None = None
        self._settled: Sequence[Service] | None = None

    def want(self, served: Sequence[Service], *, look: bool) -> None:
        """Have *served* answered soon; with *look* also what was asked for before is looked after.

        What is wanted while work is under way is asked for again at the next look.
        """
        is_under_way = self._under_way is not None and not self._under_way.done()
        if self._settle is None or is_under_way:
            return
        if look or served != self._settled:
            self._settled = served
            self._under_way = self._pool.submit(self._work, self._settle, served)

    def close(self) -> None:
        """Finish what is under way; servers run on."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _work(self, settle: Settle, served: Sequence[Service]) -> None:
        try:
            self.problems = tuple(settle(served))
        except Exception as error:  # a bug here must not end the agent: it is tried again
            self.problems = (f"cannot see to DHCP: {error!r}; the agent's log says where",)
            log.exception("dhcp", outcome="failed")


class _Started(msgspec.Struct, frozen=True):
    """With what a server was started, and of whom it was told last."""

    bridge: str
    vlan: int
    mac: str
    addresses: list[str]
    command: list[str]
    hosts: list[str]
    options: list[str]

    def starts_as(self, other: _Started) -> bool:
        """Whether only its files differ, and no guest of before is told to another or to nobody.

        dnsmasq keeps a lease for whom it once gave it to, whatever it reads later.
        """
        told: dict[str, list[str]] = {"hosts": [], "options": []}
        same = msgspec.structs.replace(self, **told) == msgspec.structs.replace(other, **told)
        return same and set(self.hosts) <= set(other.hosts)


class DhcpServers:
    """Keeps the dnsmasqs of this host as they should be.

    Each has a directory, which is made before its port and goes after it; so whatever was left by
    an agent that was killed is found. One that died is started again. Not thread-safe.
    """

    def __init__(self, home: Path, host_name: str, ports: DhcpPorts) -> None:
        self._home = home
        self._host_name = host_name
        self._ports = ports
        self._missed: dict[str, Bridge] = {}
        self._complaints: frozenset[str] = frozenset()

    def settle(self, served: Sequence[Service]) -> tuple[str, ...]:
        """See ``Settle``; what could not be done is tried again at the next call."""
        problems: list[str] = []
        wanted = {one.wanted.id: one for one in served}
        for segment_id in sorted(self._there() - wanted.keys()):
            what = f"end DHCP of segment {segment_id}"
            self._try(problems, what, partial(self._end, segment_id))
        for one in wanted.values():
            files = dhcp_files(one.wanted, one.guests, str(self._home / one.wanted.id))
            problems += files.problems
            what = f"serve DHCP of network {one.wanted.network_id}"
            self._try(problems, what, partial(self._serve, one, files))
        for problem in frozenset(problems) - self._complaints:
            log.warning("dhcp", outcome="failed", error=problem)
        self._complaints = frozenset(problems)
        return tuple(problems)

    def _there(self) -> set[str]:
        return {one.name for one in self._home.iterdir()} if self._home.is_dir() else set()

    def _serve(self, one: Service, files: DhcpFiles) -> None:
        home, segment_id = self._home / one.wanted.id, one.wanted.id
        if not files.addresses:
            self._end(segment_id)
            return
        if shutil.which(PROGRAM) is None:
            raise HostFault(f"{PROGRAM} is not installed", hint="install dnsmasq-base")
        pid = dhcp_server.find(home / "pid")
        wanted = self._started(one, files)
        before = self._load(home)
        if pid is None or before is None or self._is_unplugged(one):
            self._start(segment_id, wanted)
        elif before == wanted:
            return
        elif before.starts_as(wanted):
            self._write(home, wanted)
            dhcp_server.reload(pid)
            log.info("dhcp", segment=segment_id, guests=len(wanted.hosts), outcome="told")
        else:
            self._start(segment_id, wanted)

    def _started(self, one: Service, files: DhcpFiles) -> _Started:
        return _Started(
            bridge=one.bridge.name,
            vlan=one.wanted.vlan,
            mac=server_mac(self._host_name, one.wanted.id),
            addresses=list(files.addresses),
            command=[PROGRAM, *files.arguments],
            hosts=list(files.hosts),
            options=list(files.options),
        )

    def _is_unplugged(self, one: Service) -> bool:
        """Whether two looks at the bridge have missed its port; one may be older than the port."""
        segment_id = one.wanted.id
        if port_name(segment_id) in one.bridge.ports:
            self._missed.pop(segment_id, None)
            return False
        return self._missed.setdefault(segment_id, one.bridge) is not one.bridge

    def _start(self, segment_id: str, wanted: _Started) -> None:
        """Start it anew, on a port of its own: the one of before went with its namespace."""
        home, port = self._home / segment_id, port_name(segment_id)
        self._end(segment_id)
        home.mkdir(parents=True)
        for directory in (self._home, home):
            directory.chmod(0o711)
        self._write(home, wanted)
        dhcp_server.start(
            port,
            wanted.mac,
            wanted.addresses,
            wanted.command,
            plug=lambda: self._ports.add(port, wanted.bridge, wanted.vlan),
        )
        log.info("dhcp", segment=segment_id, guests=len(wanted.hosts), outcome="started")

    def _end(self, segment_id: str) -> None:
        home = self._home / segment_id
        if not home.is_dir():
            return
        dhcp_server.stop(home / "pid")
        self._ports.remove(port_name(segment_id))
        self._missed.pop(segment_id, None)
        shutil.rmtree(home)
        log.info("dhcp", segment=segment_id, outcome="ended")

    @staticmethod
    def _write(home: Path, wanted: _Started) -> None:
        for name, lines in (("hosts", wanted.hosts), ("options", wanted.options)):
            text = "".join(f"{line}\n" for line in lines)
            write_durably(home / name, text.encode(), _READABLE)
        write_durably(home / "started.json", msgspec.json.encode(wanted))

    @staticmethod
    def _load(home: Path) -> _Started | None:
        try:
            return typed.decode((home / "started.json").read_bytes(), _Started)
        except (OSError, msgspec.MsgspecError):
            return None

    @staticmethod
    def _try(problems: list[str], what: str, work: Callable[[], None]) -> None:
        try:
            work()
        except Error as error:
            hint = f" ({error.hint})" if error.hint else ""
            problems.append(f"cannot {what}: {error}{hint}")
        except OSError as error:
            problems.append(f"cannot {what}: {error.filename}: {error.strerror}")
