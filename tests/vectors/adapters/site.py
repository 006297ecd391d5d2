"""Cases from configuration to delete, on a whole site: a controller on a database of its own, and
hosts whose agents report what a case's configuration lists.

Providers are compared by total, reserved and used, and by traits without OWNER_NOVA, which says
whose they are: here they are the controller's own. Of equal devices any may be taken: where another
one is than in the case, the two change places from then on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import sqlalchemy as sa

from fleet import ADMIN, Fleet, fleet
from lanekeeper.agent.facts import fact_of
from lanekeeper.config import Config, Pci
from lanekeeper.control.compute.flavor import create_flavor
from lanekeeper.control.compute.server import delete_server
from lanekeeper.control.compute.server_create import create_servers
from lanekeeper.control.compute.server_list import show_server
from lanekeeper.control.compute.server_order import NewServer
from lanekeeper.control.host.facts import report_facts
from lanekeeper.control.placement.inventory import change_inventory
from lanekeeper.domain.compute.flavor import Flavor
from lanekeeper.domain.compute.server import status_of
from lanekeeper.domain.errors import Error, Invalid
from lanekeeper.domain.pci.alias import Alias, check_together
from lanekeeper.domain.pci.device_spec import DeviceSpec
from lanekeeper.domain.pci.listing import list_devices
from lanekeeper.domain.placement.inventory import Inventory
from lanekeeper.protocol import HostFacts
from lanekeeper.store.placement.inventory import inventories_of
from lanekeeper.store.tables import claim, device, host, provider_trait, resource_provider
from vectors.adapters.host import pci_devices
from vectors.adapters.placing import KINDS
from vectors.case import Answer, Data


def site(data: Data) -> Iterator[Answer]:
    aliases: tuple[Alias, ...] = ()
    for step in data["steps"]:
        if step["op"] == "configure":
            aliases = tuple(Alias.parse(one) for one in step["aliases"])
            check_together(aliases)
    with TemporaryDirectory() as directory:
        url, settings = f"sqlite:///{directory}/site.db", Config(pci=Pci(alias=aliases))
        with fleet(url, Path(directory), settings, hosts=0) as world:
            story = _Story(world)
            for number, step in enumerate(data["steps"]):
                said = {"step": number, **story.take(step)}
                if step["op"] == "boot":
                    story.exchange(step, said)
                expected = {"step": number, **story.told(step["expect"])}
                yield Answer(said, expected)
                if said != expected:  # from here on it is another world
                    return


class _Story:
    """One case as it goes on."""

    def __init__(self, world: Fleet) -> None:
        self.world = world
        self.hosts: dict[str, dict[str, Any]] = {}
        self.servers: dict[str, str] = {}
        self.places: dict[tuple[str, str], str] = {}

    def exchange(self, step: Data, said: Mapping[str, Any]) -> None:
        """Have equal devices change places where another one was taken than in the case."""
        name = step["server"]
        for host_name, theirs in self.told(step["expect"]).get("devices", {}).items():
            ours = said.get("devices", {}).get(host_name, {})
            shown = {one["address"]: one for one in self.hosts[host_name]["devices"]}
            wanted = [one for one, by in theirs.items() if by == name and ours.get(one) != name]
            taken = [one for one, by in ours.items() if by == name and theirs.get(one) != name]
            for address in wanted:
                kind = _kind(shown[address])
                alike = [one for one in taken if _kind(shown[one]) == kind]
                for one in alike[:1]:
                    taken.remove(one)
                    self.places |= {(host_name, address): one, (host_name, one): address}

    def told(self, expect: Data) -> dict[str, Any]:
        """What Nova said, with our addresses."""
        said = told(expect)
        if "devices" in said:
            said["devices"] = {
                host_name: {
                    self.places.get((host_name, address), address): by
                    for address, by in devices.items()
                }
                for host_name, devices in said["devices"].items()
            }
        return said

    def take(self, step: Data) -> dict[str, Any]:
        before = self._view()
        try:
            said = getattr(self, f"_{step['op']}")(step) or {}
            outcome = "ok"
        except Error:
            said, outcome = {}, "refused"
        self.world.obey()
        if step["op"] == "configure":
            return {"outcome": outcome}
        if outcome == "refused" and step["op"] == "restart_host" and self._view() == before:
            # Nova's service is dead then and its cases tell of nothing; here all stands as before.
            return {"outcome": outcome, "devices": {}, "providers": {}}
        return {"outcome": outcome, **said, **self._view()}

    def _configure(self, step: Data) -> None:
        """Done before: the site starts with it."""

    def _start_host(self, step: Data) -> None:
        self.world.host(step["host"], [], mappings=())
        self._restart_host(step)

    def _restart_host(self, step: Data) -> None:
        name = step["host"]
        case = self.hosts[name] = {**self.hosts.get(name, {}), **step}
        shown = pci_devices({"devices": case["devices"]})
        listing = list_devices([DeviceSpec.parse(one) for one in case["device_spec"]], shown)
        if listing.problems:
            raise Invalid(listing.problems[0])
        listed = {one.device.address: one for one in listing.listed}
        parents = {one.device.parent for one in listing.listed}
        facts = [
            fact_of(one, listed.get(one.address), {})
            for one in shown
            if one.address in listed or one.address in parents
        ]
        report_facts(
            self.world.site,
            self.world.hosts[name],
            HostFacts(host_name=name, vcpus=64, memory_mib=262144, disk_gib=2000, devices=facts),
        )
        self.world.seen()

    def _boot(self, step: Data) -> dict[str, Any]:
        world, name = self.world, step["server"]
        specs = step["flavor_extra_specs"]
        values = {"vcpus": 1, "ram_mib": 64, "disk_gib": 1, "extra_specs": specs}
        flavor = create_flavor(world.site, Flavor(id="", name=f"f-{name}", **values))
        asked = NewServer(
            name=name, flavor_id=flavor.id, image_id=world.image(name), host=step.get("host")
        )
        (server,) = create_servers(world.site, ADMIN, asked)
        self.servers[server.id] = name
        world.obey()
        record = show_server(world.site, ADMIN, server.id).record
        where = {host_id: name for name, host_id in world.hosts.items()}
        return {
            "state": status_of(record.vm_state, record.task_state),
            "host": where.get(record.host_id or ""),
        }

    def _delete(self, step: Data) -> None:
        (server_id,) = [one for one, name in self.servers.items() if name == step["server"]]
        delete_server(self.world.site, ADMIN, server_id)

    def _reserve(self, step: Data) -> None:
        with self.world.site.database.read() as connection:
            row = connection.execute(
                sa.select(resource_provider).where(resource_provider.c.name == step["provider"])
            ).mappings()
            provider = row.one()
        record = Inventory(total=1, max_unit=1, reserved=step["amount"])
        change_inventory(
            self.world.site, provider["id"], provider["generation"], step["resource_class"], record
        )

    def _periodic(self, step: Data) -> None:
        """Nothing heals here: there is one truth."""

    def _view(self) -> dict[str, Any]:
        with self.world.site.database.read() as connection:
            return {
                "devices": self._devices(connection),
                "providers": _providers(connection),
            }

    def _devices(self, connection: sa.Connection) -> dict[str, Any]:
        """Of each host: how its listed devices stand, and who holds them."""
        rows = connection.execute(
            sa.select(host.c.name, device.c.address, device.c.state, claim.c.consumer_id)
            .join(device, device.c.host_id == host.c.id)
            .outerjoin(claim, claim.c.device_id == device.c.id)
            .where(
                sa.or_(sa.and_(device.c.listed, device.c.present), claim.c.consumer_id.is_not(None))
            )
        )
        found: dict[str, Any] = defaultdict(dict)
        for name, address, _, consumer in rows:
            found[name][address] = self.servers.get(consumer)
        return dict(found)


def _providers(connection: sa.Connection) -> dict[str, Any]:
    found = {}
    rows = connection.execute(
        sa.select(resource_provider.c.id, resource_provider.c.name).where(
            resource_provider.c.parent_id.is_not(None)
        )
    )
    for provider_id, name in rows.all():
        records = {key: one.record for key, one in inventories_of(connection, provider_id).items()}
        traits = connection.scalars(
            sa.select(provider_trait.c.trait).where(provider_trait.c.provider_id == provider_id)
        )
        if records:
            found[name] = {
                "inventories": {
                    key: [one.total, one.reserved, one.used] for key, one in records.items()
                },
                "traits": sorted(traits),
            }
    return found


def _kind(one: Data) -> tuple[object, ...]:
    return tuple(one.get(key) for key in ("parent_addr", "dev_type", "product_id", "numa_node"))


def told(expect: Data) -> dict[str, Any]:
    """The same of what Nova said."""
    told = {key: expect[key] for key in ("outcome", "state", "host") if key in expect}
    if "providers" not in expect:
        return told
    return {
        **told,
        "devices": {
            name: {
                address: one["owner"] for address, one in devices.items() if one["status"] in KINDS
            }
            for name, devices in expect["devices"].items()
            if any(one["status"] in KINDS for one in devices.values())
        },
        "providers": {name: _provider(one) for name, one in expect["providers"].items()},
    }


def _provider(one: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "inventories": {
            key: [stock["total"], stock["reserved"], stock["used"]]
            for key, stock in one["inventories"].items()
        },
        "traits": sorted(set(one["traits"]) - {"OWNER_NOVA"}),
    }
