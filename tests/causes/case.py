"""What a cause is, and the world in which it is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from msgspec.structs import replace as replace_field

from fleet import ADMIN, PROJECT, Fleet, config
from lanekeeper.config import Config, Pci
from lanekeeper.config.scheduler import Scheduler
from lanekeeper.control.caller import Caller
from lanekeeper.control.compute.aggregate import add_host, create_aggregate, update_aggregate
from lanekeeper.control.compute.explain import Answer, explain
from lanekeeper.control.compute.flavor import create_flavor
from lanekeeper.control.compute.question import Question
from lanekeeper.control.compute.server import delete_server
from lanekeeper.control.compute.server_create import create_servers
from lanekeeper.control.compute.server_nic import NicAsked
from lanekeeper.control.compute.server_order import NewServer
from lanekeeper.domain.compute.flavor import Flavor
from lanekeeper.domain.errors import Error
from lanekeeper.domain.network.port import PortWanted, VnicType
from lanekeeper.domain.pci.alias import Alias
from lanekeeper.domain.scheduling.filter_choice import OF_NOVA
from lanekeeper.store.compute.server import ServerRecord
from lanekeeper.store.network.port import port_create


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A server that somebody wants."""

    flavor: str
    ports: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    image_id: str | None = None
    zone: str | None = None
    host: str | None = None
    hints: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class World:
    """A fleet, and short ways to make what causes are made of."""

    fleet: Fleet
    made: int = 0
    others: list[str] = field(default_factory=list)
    """Servers that stand in the way."""

    def flavor(self, *, vcpus: int = 1, ram_mib: int = 64, disk_gib: int = 1, **specs: str) -> str:
        """A flavor; in the names of its extra specs ``__`` stands for a colon."""
        return self.flavor_of(specs, vcpus=vcpus, ram_mib=ram_mib, disk_gib=disk_gib)

    def flavor_of(self, specs: Mapping[str, str], **size: int) -> str:
        self.made += 1
        texts = {key.replace("__", ":"): text for key, text in specs.items()}
        new = Flavor(
            **{"id": "", "name": f"f{self.made}", "vcpus": 1, "ram_mib": 64, "disk_gib": 1}  # type: ignore[arg-type]
            | size,
            extra_specs=texts,
        )
        return create_flavor(self.fleet.site, new).id

    def port(
        self,
        network: str | None = None,
        vnic_type: VnicType = VnicType.DIRECT,
        **profile: str,
    ) -> str:
        wanted = PortWanted(
            network_id=network or self.fleet.network(f"n{self.made}"),
            vnic_type=vnic_type,
            profile=profile,
        )
        now = self.fleet.hands()
        return self.fleet.site.database.write(
            lambda connection: port_create(connection, wanted, project_id=PROJECT, now=now)
        ).id

    def aggregate(self, host: str, zone: str | None = None, **metadata: str) -> str:
        self.made += 1
        made = create_aggregate(self.fleet.site, f"agg{self.made}", zone)
        add_host(self.fleet.site, str(made.id), host)
        self.say(str(made.id), **metadata)
        return str(made.id)

    def say(self, aggregate: str, **metadata: str) -> None:
        texts = {key.replace("__", ":"): text for key, text in metadata.items()}
        update_aggregate(self.fleet.site, aggregate, name=None, metadata=texts)

    def alias(self, **entry: Any) -> None:
        """Add a ``[pci] alias``, or put it in place of those of its name."""
        new = Alias.parse({"vendor_id": "8086", "product_id": "10ca", **entry})
        kept = [one for one in self.fleet.site.config.pci.alias if one.name != new.name]
        self.set(pci=Pci(alias=(*kept, new)))

    def set(self, **sections: Any) -> None:
        self.fleet.site.config = replace_field(self.fleet.site.config, **sections)

    def explain(self, asked: Asked, caller: Caller = ADMIN) -> Answer:
        question = Question(
            flavor=asked.flavor, image_id=asked.image_id, ports=asked.ports,
            networks=asked.networks, zone=asked.zone, host=asked.host, hints=asked.hints,
        )  # fmt: skip
        return explain(self.fleet.site, caller, question)

    def create(self, asked: Asked) -> ServerRecord:
        cards = [NicAsked(port_id=one) for one in asked.ports]
        cards += [NicAsked(network_id=one) for one in asked.networks]
        new = NewServer(
            name="s", flavor_id=asked.flavor, image_id=asked.image_id or self.fleet.image(),
            networks=cards, zone=asked.zone,
            host=asked.host, hints=asked.hints,
        )  # fmt: skip
        (made,) = create_servers(self.fleet.site, ADMIN, new)
        return made

    def delete(self, server_id: str) -> None:
        """Delete a server; its devices are left in cleaning."""
        delete_server(self.fleet.site, ADMIN, server_id)
        self.fleet.report(server_id, "absent")

    def clean(self) -> None:
        for host_id in self.fleet.hosts.values():
            self.fleet.clean(host_id)

    def first_line(self, work: Callable[[], Answer | ServerRecord]) -> str:
        """What is said first, whichever way: an answer's summary, a fault, or a refusal."""
        try:
            found = work()
        except Error as error:
            return f"{error} {error.hint}"
        if isinstance(found, Answer):
            return "" if found.fits else found.summary
        return "" if found.fault is None else str(found.fault["message"])


Make = Callable[[World], Asked]
Mend = Callable[[World, Asked], Asked | None]


@dataclass(frozen=True, kw_only=True)
class Cause:
    """One reason for which a server finds no host.

    Attributes:
        what: the cause, for the page.
        says: words of the first line that name it.
        helps: words of the first line that name the remedy.
        make: brings it about and says what is asked for.
        mend: does what the remedy says; what is asked for then, None for the same.
    """

    id: str
    what: str
    says: str
    helps: str
    make: Make
    mend: Mend


def settings() -> Config:
    """Every filter of Nova's is asked."""
    return replace_field(config(), scheduler=Scheduler(enabled_filters=tuple(OF_NOVA)))


def instead(asked: Asked, **change: Any) -> Asked:
    return replace(asked, **change)
