"""A site with Network on it, one host, and callers of several projects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.testclient import TestClient

from lanekeeper.api.app import application, bearer
from lanekeeper.api.network.face import FACE
from lanekeeper.api.policy import Enforcer
from lanekeeper.config import Config, Ml2
from lanekeeper.control.caller import Caller
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Unauthenticated
from lanekeeper.domain.network.vlan import VlanRange
from lanekeeper.protocol import DeviceFact, HostFacts
from lanekeeper.store.database import Database
from lanekeeper.store.host.host import host_insert
from lanekeeper.store.tables import host, server
from planting import plant

START = datetime(2026, 11, 20, 21, 26, 44, tzinfo=UTC)
HOST_ID = "11111111-1111-1111-1111-111111111111"
FACTS = HostFacts(
    host_name="h1",
    devices=[
        DeviceFact(
            address="0000:21:00.0",
            vendor_id="8086",
            product_id="10c9",
            dev_type="type-PF",
            listed=False,
            netdev="ens1f0",
        ),
        DeviceFact(
            address="0000:21:10.0",
            vendor_id="8086",
            product_id="10ca",
            dev_type="type-VF",
            parent="0000:21:00.0",
            tags={"physical_network": "physnet1"},
        ),
    ],
)
ROLES = {
    "admin": frozenset({"admin", "manager", "member", "reader"}),
    "member": frozenset({"member", "reader"}),
    "reader": frozenset({"reader"}),
    "service": frozenset({"service"}),
}


@dataclass
class Hands:
    """A clock whose hands a test turns."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Client:
    """Network as one caller sees it; each call says which status it expects."""

    http: TestClient
    headers: Mapping[str, str]

    def call(
        self, method: str, path: str, status: int, body: object = None, **more: Any
    ) -> dict[str, Any]:
        headers = {**self.headers, **more.pop("headers", {})}
        reply = self.http.request(
            method, f"/network/v2.0{path}", json=body, headers=headers, params=more
        )
        assert reply.status_code == status, f"{method} {path}: {reply.status_code} {reply.text}"
        return reply.json() if reply.content else {}

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        return self.call("GET", path, 200, **query)

    def post(self, path: str, body: object) -> Any:
        """Create a thing; returns it without its wrapping."""
        (made,) = self.call("POST", path, 201, body).values()
        return made

    def put(self, path: str, body: object, **more: Any) -> Any:
        """Change a thing; returns it without its wrapping."""
        (changed,) = self.call("PUT", path, 200, body, **more).values()
        return changed

    def delete(self, path: str, **more: Any) -> None:
        self.call("DELETE", path, 204, **more)

    def refused(
        self, method: str, path: str, status: int, body: object = None, **more: Any
    ) -> tuple[str, str]:
        """Expect a fault; returns its type and its message."""
        fault = self.call(method, path, status, body, **more)["NeutronError"]
        assert fault["detail"] == ""
        return fault["type"], fault["message"]

    def network(self, vlan: int | str | None = 15, **more: Any) -> dict[str, Any]:
        body = {
            "provider:network_type": "vlan",
            "provider:physical_network": "physnet1",
            "provider:segmentation_id": vlan,
            **more,
        }
        return self.post("/networks", {"network": body})  # type: ignore[no-any-return]

    def subnet(self, network_id: str, cidr: str = "192.0.2.0/24", **more: Any) -> dict[str, Any]:
        body = {"network_id": network_id, "cidr": cidr, "ip_version": 4, **more}
        return self.post("/subnets", {"subnet": body})  # type: ignore[no-any-return]

    def port(self, network_id: str, **more: Any) -> dict[str, Any]:
        return self.post("/ports", {"port": {"network_id": network_id, **more}})  # type: ignore[no-any-return]


@dataclass
class World:
    """One site and everybody in it."""

    site: Site
    http: TestClient
    hands: Hands = field(default_factory=Hands)

    def client(self, role: str = "admin", project: str = "red") -> Client:
        return Client(self.http, {"X-Auth-Token": f"{project}:{role}"})

    def hold(self, port_id: str, server_id: str = "server-1") -> None:
        """Put a server on the host and the port into its hands."""
        from lanekeeper.domain.network.binding import vif_details
        from lanekeeper.domain.network.port import VifType
        from lanekeeper.store.network.port_hold import port_attach

        def work(connection: Any) -> None:
            connection.execute(
                server.insert().values(
                    id=server_id,
                    name="guest",
                    project_id="red",
                    user_id="u",
                    host_id=HOST_ID,
                    vm_state="active",
                    wanted="running",
                    created_at=START,
                    updated_at=START,
                )
            )
            port_attach(
                connection,
                port_id,
                server_id=server_id,
                host_name="h1",
                availability_zone="nova",
                profile={"pci_slot": "0000:21:10.0", "physical_network": "physnet1"},
                vif_type=VifType.HW_VEB,
                vif_details=vif_details(15),
                now=START,
            )

        self.site.database.write(work)

    def another_host(self, name: str = "h2", network: str = "physnet1") -> None:
        """Add a host that is heard and reaches *network*."""
        facts = {**msgspec.to_builtins(FACTS), "host_name": name}
        facts["devices"][1]["tags"] = {"physical_network": network}

        def work(connection: Any) -> None:
            host_id = f"{name}-{HOST_ID}"
            host_insert(connection, host_id, name, f"secret-{name}", START)
            connection.execute(
                host.update()
                .where(host.c.id == host_id)
                .values(seen_at=self.hands.now, facts=facts)
            )

        self.site.database.write(work)

    def host_is_heard(self, ago: timedelta = timedelta(0)) -> None:
        def work(connection: Any) -> None:
            connection.execute(
                host.update().values(seen_at=self.hands.now - ago, facts=msgspec.to_builtins(FACTS))
            )

        self.site.database.write(work)


@contextmanager
def world(database_url: str, state_dir: Path) -> Iterator[World]:
    ml2 = Ml2(
        vlan_ranges={"physnet1": (VlanRange(100, 102),), "physnet2": (VlanRange(7, 7),)},
        physical_network_mtus={"physnet2": 9000},
    )
    hands = Hands()
    plant(database_url)
    with Database(database_url) as database:
        database.write(lambda c: host_insert(c, HOST_ID, "h1", "secret", START))
        site = Site(database=database, config=Config(ml2=ml2), clock=hands, state_dir=state_dir)
        app = application(site, [FACE], {"": _who}, Enforcer([FACE]))
        with TestClient(app, raise_server_exceptions=False) as http:  # one loop for all requests
            made = World(site, http, hands)
            made.host_is_heard()
            yield made


def _who(request: Request, request_id: str) -> Caller:
    project, _, role = bearer(request).partition(":")
    if role not in ROLES:
        raise Unauthenticated("the token is not valid")
    return Caller(
        user_id="u",
        user_name="u",
        project_id=project or None,
        roles=ROLES[role],
        request_id=request_id,
    )
