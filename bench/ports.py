"""Ports of the Network API, with 10,000 of them there: made and bound, listed by each filter.

Lists stand beside the same JSON from a bare Starlette.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa

from bench.api import beside_bare, samples
from bench.figure import Figure
from bench.postgresql import postgresql
from bench.program import client, controller, pick_port, program, up
from lanekeeper.store.database import Database
from lanekeeper.store.tables import address, port

PORTS = 10_000
_NETWORKS = 100
_HOST = "sim-1"
_FLEET = 50
"""Hosts that the ports are said to be on."""
_CREATIONS = 50
_LISTS_A_RUN = 20
_ROWS_AT_ONCE = 500
_API = "/network/v2.0"


def measure(home: Path, runs: int) -> Iterator[Figure | str]:
    """On SQLite, then on PostgreSQL, each first without any ports."""
    yield from _on(home / "sqlite", [], runs)
    with postgresql() as cluster:
        if cluster is not None:
            yield from _on(home / "pg", ["--database-url", cluster.url(cluster.create())], runs)


def _on(home: Path, place: list[str], runs: int) -> Iterator[Figure | str]:
    home.mkdir()
    yield "PostgreSQL" if place else "SQLite"
    with program([*up(home, 1), *place], home / "log") as whole:
        whole.line("ready ")
    tcp = pick_port()
    command = [*controller(home, tcp), *place]
    with ExitStack() as stack:
        measured = stack.enter_context(program(command, home / "log"))
        http = client(home, measured.line("ready "))
        stack.callback(http.close)
        networks = _networks(http)
        cpu, wall = samples(measured, partial(_create, http, networks[0]), runs, _CREATIONS)
        yield Figure("POST port, bound to a host, few are there", "ms CPU", cpu)
        yield Figure("  from the client's side", "ms", wall)
    url = place[1] if place else f"sqlite:///{home / 'state' / 'lanekeeper.db'}"
    with Database(url, answer_within_s=600) as database:
        asked = _plant(database.engine, networks)
    with ExitStack() as stack:
        measured = stack.enter_context(program(command, home / "log"))
        http = client(home, measured.line("ready "))
        stack.callback(http.close)
        cpu, wall = samples(measured, partial(_create, http, networks[1]), runs, _CREATIONS)
        yield Figure(f"POST port, bound to a host, {PORTS:,} are there", "ms CPU", cpu)
        yield Figure("  from the client's side", "ms", wall)
        yield Figure("  a second, one client", "", [1000 / one for one in wall])
        for name, value in asked.items():
            get = partial(http.get, f"{_API}/ports", params={name: value})
            count = len(get().raise_for_status().json()["ports"])
            what = f"GET ports?{name}=…, {count:,} of {PORTS:,}"
            yield from beside_bare(measured, get, what, home=home, runs=runs, times=_LISTS_A_RUN)
        yield Figure("controller's memory after all this", "MiB", [measured.resident_mib])


def _networks(http: httpx.Client) -> list[str]:
    """Make networks with a subnet each, and let the project have any number."""
    project = http.get(f"{_API}/quotas/tenant").raise_for_status().json()["tenant"]["tenant_id"]
    kinds = ("network", "subnet", "port")
    http.put(
        f"{_API}/quotas/{project}", json={"quota": dict.fromkeys(kinds, -1)}
    ).raise_for_status()
    made = []
    for number in range(_NETWORKS):
        wanted = {
            "name": f"n{number}",
            "provider:network_type": "vlan",
            "provider:physical_network": "physnet1",
            "provider:segmentation_id": 100 + number,
        }
        answer = http.post(f"{_API}/networks", json={"network": wanted}).raise_for_status()
        made.append(answer.json()["network"]["id"])
        subnet = {
            "network_id": made[-1],
            "ip_version": 4,
            "cidr": f"10.{number}.0.0/22",
            "allocation_pools": [{"start": f"10.{number}.0.2", "end": f"10.{number}.2.255"}],
        }
        http.post(f"{_API}/subnets", json={"subnet": subnet}).raise_for_status()
    return made


def _create(http: httpx.Client, network: str) -> None:
    wanted = {"network_id": network, "binding:vnic_type": "direct", "binding:host_id": _HOST}
    made = http.post(f"{_API}/ports", json={"port": wanted}).raise_for_status().json()["port"]
    assert made["binding:vif_type"] == "hw_veb", made["binding:vif_details"]


def _plant(engine: sa.Engine, networks: list[str]) -> dict[str, str]:
    """Copy one of the ports that are there, spread over networks, hosts and servers of two.

    Returns what to list by: each filter with a value that some have.
    """
    with engine.begin() as connection:
        like = connection.execute(sa.select(port).limit(1)).mappings().one()
        subnets: dict[str, str] = dict(
            connection.execute(sa.text("SELECT network_id, id FROM subnet")).tuples().all()
        )
        for start in range(0, PORTS, _ROWS_AT_ONCE):
            rows, places = [], []
            for number in range(start, start + _ROWS_AT_ONCE):
                network = networks[number % _NETWORKS]
                row = {**like, **_differs(number), "network_id": network, "segment_id": None}
                rows.append(row)
                places.append(
                    {
                        "subnet_id": subnets[network],
                        "ip": _ip(number),
                        "port_id": row["id"],
                        "position": 0,
                    }
                )
            connection.execute(port.insert(), rows)
            connection.execute(address.insert(), places)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # The server does so by itself, given time.
        swept = "VACUUM ANALYZE" if engine.dialect.name == "postgresql" else "ANALYZE"
        connection.execute(sa.text(swept))
    one = _differs(PORTS // 2)
    return {
        "network_id": networks[2],
        "device_id": one["device_id"],
        "binding:host_id": "host-7",
        "name": one["name"],
        "fixed_ips": f"ip_address={_ip(PORTS // 2)}",
        "mac_address": one["mac_address"],
        "limit": "100",
    }


def _differs(number: int) -> dict[str, Any]:
    tail = f"{number:06x}"
    return {
        "id": str(uuid.UUID(int=number + 1)),
        "name": f"port-{number}",
        "mac_address": f"fa:16:3f:{tail[:2]}:{tail[2:4]}:{tail[4:]}",
        "device_id": str(uuid.UUID(int=10**9 + number // 2)),
        "device_owner": "compute:nova",
        "binding_host": f"host-{number // 2 % _FLEET}",
    }


def _ip(number: int) -> str:
    """In the last quarter of its network's subnet, from which no address is drawn."""
    return f"10.{number % _NETWORKS}.3.{number // _NETWORKS + 1}"
