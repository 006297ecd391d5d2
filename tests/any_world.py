"""A site that does whatever is asked, and its books: what must be true after every step."""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from any_fleet import PCI, Machine, PortAsked, Wish
from fleet import ADMIN, MEMBER, PROJECT, Fleet, Hands
from lanekeeper.config import Config
from lanekeeper.control.compute.aggregate import add_host, create_aggregate
from lanekeeper.control.compute.capacity import capacity
from lanekeeper.control.compute.explain import Answer, explain
from lanekeeper.control.compute.flavor import create_flavor
from lanekeeper.control.compute.fleet import FleetMemory
from lanekeeper.control.compute.question import Question
from lanekeeper.control.compute.server import delete_server
from lanekeeper.control.compute.server_create import create_servers
from lanekeeper.control.compute.server_group import create_group
from lanekeeper.control.compute.server_nic import NicAsked
from lanekeeper.control.compute.server_order import NewServer
from lanekeeper.control.host.device import Device, list_devices
from lanekeeper.control.host.host import report_state
from lanekeeper.control.site import Site
from lanekeeper.control.verify.verify import verify
from lanekeeper.domain.compute.flavor import Flavor
from lanekeeper.domain.compute.server_group import GroupPolicy
from lanekeeper.domain.errors import Error
from lanekeeper.domain.network.port import PortWanted
from lanekeeper.domain.scheduling.host import Standing
from lanekeeper.protocol import CleaningState, HostState
from lanekeeper.store.compute.server import ServerRecord
from lanekeeper.store.database import Database
from lanekeeper.store.device.device import devices_to_clean
from lanekeeper.store.network.port import port_create
from lanekeeper.store.placement.inventory import count_of, counted
from lanekeeper.store.tables import claim, device, metadata, subnet
from planting import plant

POLICIES = (GroupPolicy.AFFINITY, GroupPolicy.ANTI_AFFINITY, GroupPolicy.SOFT_ANTI_AFFINITY)
HOSTS = ("h0", "h1", "h2")
_FILL = 4
"""As many servers as are made to see whether a capacity is right; more are not counted."""
_ADDRESSES = 3


@contextmanager
def one_database() -> Iterator[Database]:
    """A database for one world after the other: what it has compiled once it need not again."""
    with tempfile.TemporaryDirectory() as home:
        url = f"sqlite:///{home}/x.db"
        plant(url)
        with Database(url) as database:
            yield database


def _emptied(connection: sa.Connection) -> None:
    for table in reversed(metadata.sorted_tables):
        connection.execute(table.delete())


class AnyWorld:
    """Some hosts, three networks, three server groups, and servers as they come and go."""

    def __init__(self, database: Database) -> None:
        database.write(_emptied)
        hands = Hands()
        site = Site(database=database, config=Config(pci=PCI), clock=hands, state_dir=Path("/none"))
        self.fleet = Fleet(site, hands)
        self.site = site
        self._networks = [
            self.fleet.network(f"n{one}", vlan=15 + one, physical_network=f"physnet{one + 1}")
            for one in range(2)
        ]
        self._networks.append(self._narrow())
        self._groups = [create_group(site, MEMBER, one, one, None).id for one in POLICIES]
        self._image = self.fleet.image()
        self._flavors: dict[object, str] = {}
        self._zone: str | None = None
        self.servers: list[ServerRecord] = []

    def _narrow(self) -> str:
        """A network whose subnet has few addresses; only ports that servers make are on it."""
        made = self.fleet.network("narrow", vlan=20, physical_network="physnet1")
        pool = [{"start": "10.0.20.10", "end": f"10.0.20.{9 + _ADDRESSES}"}]
        mine = subnet.c.network_id == made
        self.site.database.write(
            lambda c: c.execute(subnet.update().where(mine).values(allocation_pools=pool))
        )
        return made

    # What happens -----------------------------------------------------------------------------

    def tell(self, name: str, machine: Machine) -> None:
        """Have a host's agent report it, for the first time or anew."""
        self.fleet.host(
            name,
            machine.devices,
            vcpus=machine.vcpus,
            memory_mib=machine.memory_mib,
            mappings=machine.mappings,
            cells=machine.cells,
        )

    def zone(self, name: str) -> None:
        if self._zone is None:
            self._zone = str(create_aggregate(self.site, "west", "west").id)
        _attempt(lambda: add_host(self.site, str(self._zone), name))

    def ask(self, wish: Wish) -> None:
        """Ask what would become of a server, then create it: both must say the same."""
        caller = ADMIN if wish.by_admin else MEMBER
        question, order = self._question(wish)
        said = _attempt(lambda: explain(self.site, caller, question))
        room = _attempt(lambda: capacity(self.site, ADMIN, question, most=1))
        made = _attempt(lambda: create_servers(self.site, caller, order))
        if not isinstance(said, Answer):
            assert made == said, (made, said)
            return
        (record,) = made
        self._check_answer(said, record, by_admin=wish.by_admin)
        assert room.count == int(said.fits), (room, said)
        self.servers.append(record)

    def fill(self, wish: Wish) -> None:
        """Create as many as capacity says there is room for, and one more."""
        question, order = self._question(wish)
        room = _attempt(lambda: capacity(self.site, ADMIN, question, most=_FILL))
        if isinstance(room, str):
            return
        for number in range(min(room.count + 1, _FILL)):
            made = _attempt(lambda: create_servers(self.site, ADMIN, order))
            if isinstance(made, str):  # addresses are no host's, so no server is made
                assert (number, bool(room.bounds)) == (room.count, True), (room, made)
                return
            (record,) = made
            self.servers.append(record)
            assert (record.host_id is not None) == (number < room.count), (room, record.fault)

    def delete(self, number: int) -> None:
        """Delete one; what it held is in cleaning."""
        record = self.servers.pop(number % len(self.servers))
        delete_server(self.site, ADMIN, record.id)
        if record.host_id is not None:
            self.fleet.report(record.id, "absent")

    def clean(self, name: str, *, works: bool) -> None:
        host_id = self.fleet.hosts[name]
        with self.site.database.read() as connection:
            rows = devices_to_clean(connection, host_id)
        done = [
            CleaningState(
                device_id=row["id"],
                round=row["cleaning_round"],
                clean=works,
                problem="" if works else "no reset",
            )
            for row in rows
        ]
        report_state(self.site, host_id, HostState(cleaned=done))

    def tend(self, work: Callable[[Site, str], object], number: int) -> None:
        """Do something with one of the listed devices, where that may be done."""
        listed = [one for one in list_devices(self.site) if one.listed]
        if listed:
            _attempt(lambda: work(self.site, listed[number % len(listed)].id))

    # What must be so --------------------------------------------------------------------------

    def _check_answer(self, said: Answer, record: ServerRecord, *, by_admin: bool) -> None:
        assert sum(one.count for one in said.hosts) == len(self.fleet.hosts), said
        assert said.fits == (record.host_id is not None), (said.summary, record.fault)
        if record.fault is not None:
            assert said.summary == record.fault["message" if by_admin else "told"]
        elif by_admin:
            first = said.hosts[0]
            assert first.hosts == (record.host_name,)
            with self.site.database.read() as connection:
                rows = connection.execute(
                    sa.select(device.c.address)
                    .join(claim, claim.c.device_id == device.c.id)
                    .where(claim.c.consumer_id == record.id, claim.c.request_id != device.c.id)
                )
                assert sorted(first.devices) == sorted(rows.scalars())

    def check(self) -> None:
        """The books: rows, what Placement counts, and the fleet in memory."""
        with self.site.database.read() as connection:
            findings = [one for one in verify(connection) if not one.notice]
            holders = dict(
                connection.execute(sa.select(claim.c.device_id, claim.c.consumer_id)).all()
            )
        assert not findings
        devices = list_devices(self.site)
        _check_exclusion(devices, holders)
        self._check_inventories()
        anew = FleetMemory().current(
            self.site.database, self.site.clock(), self.site.config.lanekeeper.agent_down_s
        )
        assert self.site.hosts().views == anew.views

    def _check_inventories(self) -> None:
        """What Placement says of each provider is what its listed devices come to."""
        ids = {
            one.id: one.standing is Standing.FREE
            for view in self.site.hosts().views
            for one in view.devices
        }
        with self.site.database.read() as connection:
            rows = connection.execute(
                sa.select(device).where(device.c.provider_id.is_not(None), device.c.listed)
            ).mappings()
            counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
            for row in rows:
                is_held = row["state"] == "held"
                counts[row["provider_id"], row["resource_class"]].update(
                    total=row["present"] or is_held, used=is_held, free=ids[row["id"]]
                )
            for key, *numbers in connection.execute(counted(None)).all():
                told = count_of(*numbers[1:])
                mine = counts[key, numbers[0]]
                assert (told.total, told.used) == (mine["total"], mine["used"])
                assert told.total - told.reserved - told.used == mine["free"] or not mine["free"]

    def _question(self, wish: Wish) -> tuple[Question, NewServer]:
        flavor = self._flavor(wish)
        ports = [self._port(one) for one in wish.ports]
        networks = [self._networks[one] for one in wish.made_on]
        host = wish.host if wish.by_admin and wish.host in self.fleet.hosts else None
        common: dict[str, Any] = {
            "image_id": self._image,
            "zone": wish.zone,
            "host": host,
            "hints": {} if wish.group is None else {"group": self._groups[wish.group]},
        }
        cards = [
            *(NicAsked(port_id=one) for one in ports),
            *(NicAsked(network_id=one) for one in networks),
        ]
        return (
            Question(flavor=flavor, ports=tuple(ports), networks=tuple(networks), **common),
            NewServer(name="s", flavor_id=flavor, networks=cards, **common),
        )

    def _flavor(self, wish: Wish) -> str:
        key = (wish.vcpus, wish.ram_mib, tuple(sorted(wish.all_specs.items())))
        if key not in self._flavors:
            name = f"f{len(self._flavors)}"
            new = Flavor(
                id=name, name=name, vcpus=wish.vcpus, ram_mib=wish.ram_mib, disk_gib=1,
                extra_specs=wish.all_specs,
            )  # fmt: skip
            self._flavors[key] = create_flavor(self.site, new).id
        return self._flavors[key]

    def _port(self, asked: PortAsked) -> str:
        profile = {} if asked.trusted is None else {"trusted": str(asked.trusted).lower()}
        wanted = PortWanted(
            network_id=self._networks[asked.network],
            vnic_type=asked.vnic_type,
            profile=profile,
            numa_affinity_policy=asked.policy,
        )
        now = self.fleet.hands()
        return self.site.database.write(
            lambda connection: port_create(connection, wanted, project_id=PROJECT, now=now)
        ).id


def _check_exclusion(devices: Sequence[Device], holders: dict[str, str]) -> None:
    """No PF is held beside a VF of its own, and no unit by two."""
    held = [one for one in devices if one.id in holders]
    pfs = {(one.host, one.address) for one in held if one.dev_type == "type-PF"}
    assert not [one for one in held if (one.host, one.pf_address) in pfs]
    units = {(one.host, one.unit, holders[one.id]) for one in held if one.unit}
    assert len(units) == len({one[:2] for one in units}), units


def _attempt(work: Callable[[], Any]) -> Any:
    """What comes of it, or the refusal as text."""
    try:
        return work()
    except Error as error:
        return f"{type(error).__name__}: {error}"
