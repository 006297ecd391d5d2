"""Trees of resource providers for measuring, put into a database at once and not by HTTP."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import psycopg
import sqlalchemy as sa

from lanekeeper.store.tables import (
    inventory,
    provider_aggregate,
    provider_trait,
    resource_class,
    resource_provider,
    trait,
)

VFS = 64
HOSTS_AN_AGGREGATE = 40
PHYSNETS = ("CUSTOM_PHYSNET_PHYSNET0", "CUSTOM_PHYSNET_PHYSNET1")
DEVICE = "CUSTOM_PCI_8086_10CA"
SINGLE = "CUSTOM_PCI_10DE_20B5"
CUSTOM_CLASSES = (DEVICE, SINGLE)
_SINGLES = 8
_CUSTOM_ID = 10000
"""Placement numbers custom classes from here. Source: placement ``objects/resource_class.py``."""
_BATCH = 5000
_NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider; *root* and *parent* are places in the list of all."""

    name: str
    root: int
    parent: int | None = None
    stock: dict[str, int] = field(default_factory=dict)
    traits: tuple[str, ...] = ()
    aggregates: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_DNS, self.name))


def aggregate(number: int) -> str:
    """Id of the aggregate of hosts ``40 * number`` and on."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"aggregate-{number}"))


def hosts(number: int) -> list[Provider]:
    """*number* hosts of five providers: the host, two NUMA nodes, a PF with 64 VFs at each."""
    found: list[Provider] = []
    for host in range(number):
        root = len(found)
        name = f"host-{host:05}"
        amounts = {"VCPU": 64, "MEMORY_MB": 262144, "DISK_GB": 2000}
        member = (aggregate(host // HOSTS_AN_AGGREGATE),)
        found.append(Provider(name, root, stock=amounts, aggregates=member))
        for node, physnet in enumerate(PHYSNETS):
            at = len(found)
            found.append(Provider(f"{name}-numa{node}", root, root, traits=("HW_NUMA_ROOT",)))
            card = {"SRIOV_NET_VF": VFS, DEVICE: VFS}
            marks = ("HW_NIC_SRIOV", physnet)
            found.append(Provider(f"{name}-pf{node}", root, at, card, marks))
    return found


def wide_hosts(number: int) -> list[Provider]:
    """*number* hosts with eight equal devices, each a provider of its own, as Nova reports them."""
    found: list[Provider] = []
    for host in range(number):
        root = len(found)
        name = f"wide-{host}"
        found.append(Provider(name, root, stock={"VCPU": 64, "MEMORY_MB": 262144}))
        found += [
            Provider(f"{name}-device{one}", root, root, {SINGLE: 1}) for one in range(_SINGLES)
        ]
    return found


# Lanekeeper ---------------------------------------------------------------------------------------


def load_lanekeeper(engine: sa.Engine, providers: Sequence[Provider]) -> None:
    """Put the providers into a database whose schema is there."""
    rows = {
        resource_provider: (_provider_row(providers, one) for one in providers),
        inventory: (
            _inventory_row(one.id, name, amount)
            for one in providers
            for name, amount in one.stock.items()
        ),
        trait: ({"name": name} for name in PHYSNETS),
        resource_class: ({"name": name} for name in CUSTOM_CLASSES),
        provider_trait: (
            {"provider_id": one.id, "trait": name} for one in providers for name in one.traits
        ),
        provider_aggregate: (
            {"provider_id": one.id, "aggregate_id": name}
            for one in providers
            for name in one.aggregates
        ),
    }
    with engine.begin() as connection:
        for table, values in rows.items():
            for batch in _batches(values):
                connection.execute(table.insert(), batch)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("ANALYZE"))


def _provider_row(providers: Sequence[Provider], one: Provider) -> dict[str, object]:
    parent = None if one.parent is None else providers[one.parent].id
    root = providers[one.root].id
    names = {"id": one.id, "name": one.name, "parent_id": parent, "root_id": root}
    return {**names, "owner": "api", "updated_at": _NOW}


def _inventory_row(provider_id: str, name: str, amount: int) -> dict[str, object]:
    amounts = {"total": amount, "max_unit": amount, "capacity": amount}
    return {"provider_id": provider_id, "resource_class": name, **amounts, "updated_at": _NOW}


def _batches(rows: Iterable[dict[str, object]]) -> Iterator[list[dict[str, object]]]:
    batch: list[dict[str, object]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


# Placement ----------------------------------------------------------------------------------------


def load_placement(conninfo: str, providers: Sequence[Provider]) -> None:
    """Put the providers into a PostgreSQL database in which Placement has once been started."""
    with psycopg.connect(conninfo) as connection:
        class_ids = _class_ids(connection)
        trait_ids = _trait_ids(connection)
        number = {name: at for at, name in enumerate(_aggregates(providers), 1)}
        _copy(
            connection,
            "resource_providers (id, uuid, name, generation, root_provider_id, parent_provider_id)",
            (
                (
                    at,
                    one.id,
                    one.name,
                    0,
                    one.root + 1,
                    None if one.parent is None else one.parent + 1,
                )
                for at, one in enumerate(providers, 1)
            ),
        )
        _copy(
            connection,
            "inventories (resource_provider_id, resource_class_id, total, reserved, min_unit, "
            "max_unit, step_size, allocation_ratio)",
            (
                (at, class_ids[name], amount, 0, 1, amount, 1, 1.0)
                for at, one in enumerate(providers, 1)
                for name, amount in one.stock.items()
            ),
        )
        _copy(
            connection,
            "resource_provider_traits (resource_provider_id, trait_id)",
            ((at, trait_ids[name]) for at, one in enumerate(providers, 1) for name in one.traits),
        )
        _copy(connection, "placement_aggregates (id, uuid)", ((at, n) for n, at in number.items()))
        _copy(
            connection,
            "resource_provider_aggregates (resource_provider_id, aggregate_id)",
            ((at, number[name]) for at, one in enumerate(providers, 1) for name in one.aggregates),
        )
        for table in ("resource_providers", "placement_aggregates"):
            highest = f"GREATEST((SELECT max(id) FROM {table}), 1)"
            connection.execute(f"SELECT setval('{table}_id_seq', {highest})")
        connection.commit()
        connection.autocommit = True
        connection.execute("ANALYZE")


def _place(parent: int | None) -> int | None:
    return None if parent is None else parent + 1


def _aggregates(providers: Sequence[Provider]) -> list[str]:
    return sorted({name for one in providers for name in one.aggregates})


def _class_ids(connection: psycopg.Connection) -> dict[str, int]:
    for at, name in enumerate(CUSTOM_CLASSES, _CUSTOM_ID):
        values = (at, name)
        connection.execute("INSERT INTO resource_classes (id, name) VALUES (%s, %s)", values)
    return dict(connection.execute("SELECT name, id FROM resource_classes").fetchall())


def _trait_ids(connection: psycopg.Connection) -> dict[str, int]:
    for name in PHYSNETS:
        connection.execute("INSERT INTO traits (name) VALUES (%s)", (name,))
    return dict(connection.execute("SELECT name, id FROM traits").fetchall())


def _copy(connection: psycopg.Connection, into: str, rows: Iterable[tuple[object, ...]]) -> None:
    with connection.cursor().copy(f"COPY {into} FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
