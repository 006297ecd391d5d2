"""What must be true of a database and its hosts, whatever was killed: asked of the rows themselves.

What is said of the database holds at every moment, since it is read in one transaction; what is
said of a host holds once its agent has settled.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import sqlalchemy as sa

from crash import HOST, Stage
from lanekeeper.control.verify.verify import verify
from lanekeeper.store.database import read_only
from lanekeeper.store.tables import (
    address,
    allocation,
    card,
    claim,
    consumer,
    device,
    host,
    inventory,
    port,
    server,
)
from running import until

SETTLED_WITHIN_S = 60


@dataclass(frozen=True, slots=True)
class Rows:
    """All rows that say who has what, of one moment."""

    servers: dict[str, Any]
    devices: dict[str, Any]
    claims: list[Any]
    ports: dict[str, Any]
    cards: dict[str, Any]
    amounts: dict[tuple[str, str], int]
    allocations: list[Any]
    consumers: set[str]
    addresses: list[Any]
    hosts: dict[str, Any]


@cache
def _engine(url: str) -> sa.Engine:
    """Keep no connection: between two looks the database may be put back or dropped."""
    return sa.create_engine(url, poolclass=sa.NullPool)


@contextmanager
def _connection(url: str) -> Iterator[sa.Connection]:
    """One view of the database, of one moment."""
    with _engine(url).connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.execution_options(isolation_level="REPEATABLE READ")
        else:
            connection.exec_driver_sql("BEGIN")  # Python's driver does not before a SELECT
        yield connection


def read_rows(url: str) -> Rows:
    """Read who has what; works beside a running controller."""
    with _connection(url) as connection:

        def rows(table: sa.Table) -> list[Any]:
            return list(connection.execute(sa.select(table)).mappings())

        return Rows(
            servers={row["id"]: row for row in rows(server)},
            devices={row["id"]: row for row in rows(device)},
            claims=rows(claim),
            ports={row["id"]: row for row in rows(port)},
            cards={row["pf_device_id"]: row for row in rows(card)},
            amounts={
                (row["provider_id"], row["resource_class"]): row["used"] for row in rows(inventory)
            },
            allocations=rows(allocation),
            consumers={row["id"] for row in rows(consumer)},
            addresses=rows(address),
            hosts={row["name"]: row for row in rows(host)},
        )


def assert_balanced(url: str) -> Rows:
    """Nothing is held twice or by nobody, and what is used is what is allocated."""
    with read_only(url) as connection:
        _same("findings of lanekeeper verify", verify(connection), [])
    rows = read_rows(url)
    held = {row["device_id"]: row["consumer_id"] for row in rows.claims}
    in_hand = {key for key, row in rows.devices.items() if row["state"] == "held"}
    _same("devices claimed", held.keys(), in_hand)
    placed = {key for key, row in rows.servers.items() if row["host_id"]}
    _same("holders that are no server", set(held.values()) - placed, set())
    _same("consumers", rows.consumers, placed)
    used: Counter[tuple[str, str]] = Counter()
    for row in rows.allocations:
        used[row["provider_id"], row["resource_class"]] += row["used"]
    _same("amounts", used, {key: amount for key, amount in rows.amounts.items() if amount})
    _same(
        "takers that are no server",
        {row["consumer_id"] for row in rows.allocations} - placed,
        set(),
    )
    unfree = (row for row in rows.devices.values() if row["state"] != "available")
    parts = Counter(row["pf_id"] for row in unfree)  # held or dirty
    told = {key: row["parts_held"] for key, row in rows.cards.items() if row["parts_held"]}
    _same("parts of cards", parts, told)
    _assert_ports_belong(rows)
    return rows


def _same(what: str, found: object, expected: object) -> None:
    """Say more than a bare assertion outside a test module does."""
    assert found == expected, f"{what}: {found}, not {expected}"


def _assert_ports_belong(rows: Rows) -> None:
    claimed = {row["request_id"]: row["consumer_id"] for row in rows.claims}
    for port_id, row in rows.ports.items():
        bound = bool(row["binding_host"])
        assert bound == (row["device_id"] in rows.servers) == (port_id in claimed), dict(row)
        assert not bound or claimed[port_id] == row["device_id"]
    assert {row["port_id"] for row in rows.addresses} <= rows.ports.keys()


def assert_runs_once(stage: Stage, server_id: str, host_name: str = HOST) -> None:
    """The server has two devices, its guest has the same two, and was started once."""
    rows = assert_balanced(stage.database_url)
    mine = [row["device_id"] for row in rows.claims if row["consumer_id"] == server_id]
    addresses = sorted(rows.devices[key]["address"] for key in mine)
    assert len(set(addresses)) == 2
    guests = stage.guests(host_name)
    assert guests.keys() == stage.guest_files(host_name) == {server_id}
    guest = guests[server_id]
    wanted = [nic["device"] for nic in guest["wanted"]["nics"]] + guest["wanted"]["devices"]
    assert sorted(one["address"] for one in wanted) == addresses
    assert (guest["power"], guest["starts"]) == ("running", 1)
    console = stage.host_dir(host_name) / "servers" / server_id / "console.log"
    assert console.read_text().count("GUEST-READY") == 1


def await_given_back(stage: Stage, host_name: str = HOST, port_id: str | None = None) -> None:
    """Wait until the host's devices are free again; then judge what was left and how it went.

    *port_id* is a port that was there before the server.
    """
    busy = (
        sa.select(sa.func.count())
        .select_from(host)
        .join(device, device.c.host_id == host.c.id)
        .outerjoin(server, server.c.host_id == host.c.id)
        .where(
            host.c.name == host_name,
            sa.or_(device.c.state != "available", server.c.id.is_not(None)),
        )
    )

    def is_over() -> bool:
        with _connection(stage.database_url) as connection:
            return connection.scalar(busy) == 0

    until(is_over, f"the devices of {host_name} are available", SETTLED_WITHIN_S)
    rows = assert_balanced(stage.database_url)
    rounds = Counter(row["cleaning_round"] for row in _devices_of(rows, host_name))
    assert {number: count for number, count in rounds.items() if number} == {1: 2}
    assert not stage.guests(host_name)
    assert not stage.guest_files(host_name)
    if port_id is None:
        assert not rows.ports  # the server had made its own
    else:
        assert port_id in rows.ports


def _devices_of(rows: Rows, host_name: str) -> list[Any]:
    host_id = rows.hosts[host_name]["id"]
    return [row for row in rows.devices.values() if row["host_id"] == host_id]


def await_obeyed(stage: Stage, host_name: str = HOST) -> None:
    """Wait until the host's agent has worked through all that is wanted of it."""
    query = sa.select(host).where(host.c.name == host_name)

    def is_obeyed() -> bool:
        with _connection(stage.database_url) as connection:
            row = connection.execute(query).mappings().one()
        return bool(row["obeyed"] == f"{row['generation']}.{row['mark']}")

    until(is_obeyed, f"{host_name} has obeyed", SETTLED_WITHIN_S)
