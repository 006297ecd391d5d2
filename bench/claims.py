"""Durable claims a second: devices, and amounts as Placement's clients claim them, fsynced."""

from __future__ import annotations

import itertools
import os
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from bench.figure import Figure
from bench.postgresql import postgresql
from lanekeeper.clock import utc_now
from lanekeeper.config import Config
from lanekeeper.control.placement.allocation import put_allocations
from lanekeeper.control.placement.consumer import ConsumerClaim
from lanekeeper.control.placement.inventory import put_inventories
from lanekeeper.control.placement.resource_provider import create_provider
from lanekeeper.control.site import Site
from lanekeeper.domain.placement.inventory import Inventory
from lanekeeper.store.database import Database
from lanekeeper.store.device.life import Pick, claim_insert, claim_release
from lanekeeper.store.placement.consumer import consumer_drop, consumer_put
from lanekeeper.store.schema import upgrade
from lanekeeper.store.tables import card, device, host

_CARDS = 256
_VFS = 8
_HOSTS = 8
_AT_ONCE = 32
_ALONE = 200
"""Claims of a run in which nobody else writes."""
_SYNCS = 200
_NOW = datetime(2026, 1, 1, tzinfo=UTC)


def measure(home: Path, runs: int) -> Iterator[Figure]:
    """SQLite with ``synchronous=FULL``, and PostgreSQL with ``fsync`` where it is installed."""
    yield Figure("fdatasync of 4 KiB on this disk", "a second", [_syncs(home) for _ in range(runs)])
    with Database(f"sqlite:///{home / 'claims.db'}", answer_within_s=600) as database:
        yield from _claims(database, "SQLite", runs)
    with postgresql() as cluster:
        if cluster is None:
            return
        url = cluster.url(cluster.create())
        with Database(url, pool_size=_AT_ONCE, answer_within_s=600) as database:
            yield from _claims(database, "PostgreSQL", runs)


def _amounts(database: Database, name: str, runs: int) -> Iterator[Figure]:
    """Claims of new consumers as ``PUT /allocations`` makes them, without HTTP; one at a time."""
    site = Site(database=database, config=Config(), clock=utc_now, state_dir=Path())
    stock = {name: Inventory(total=1_000_000) for name in ("VCPU", "MEMORY_MB", "SRIOV_NET_VF")}
    providers = [create_provider(site, f"host-{one}", None, None).id for one in range(_HOSTS)]
    for provider in providers:
        put_inventories(site, provider, 0, stock)
    rates, cpu = [], []
    for _ in range(runs):
        started, used = time.perf_counter(), time.process_time()
        for number in range(_ALONE):
            home, card = providers[number % _HOSTS], providers[(number + 1) % _HOSTS]
            claim = ConsumerClaim(
                consumer_id=str(uuid.uuid4()),
                amounts={home: {"VCPU": 2, "MEMORY_MB": 512}, card: {"SRIOV_NET_VF": 1}},
                project_id="p",
                user_id="u",
                generation=(None,),
                kind="INSTANCE",
            )
            put_allocations(site, [claim])
        rates.append(_ALONE / (time.perf_counter() - started))
        cpu.append(1000 * (time.process_time() - used) / _ALONE)
    yield Figure(f"{name}, amounts of two providers, one client", "claims/s", rates)
    yield Figure(f"the same, the controller's processor time, {name}", "ms", cpu)


def _syncs(home: Path) -> float:
    descriptor = os.open(home / "sync", os.O_WRONLY | os.O_CREAT)
    try:
        started = time.perf_counter()
        for _ in range(_SYNCS):
            os.pwrite(descriptor, b"x" * 4096, 0)
            os.fdatasync(descriptor)
        return _SYNCS / (time.perf_counter() - started)
    finally:
        os.close(descriptor)


def _claims(database: Database, name: str, runs: int) -> Iterator[Figure]:
    upgrade(database.engine)
    device_ids = _plant(database)
    together, alone = [], []
    for _ in range(runs):
        together.append(_rate(database, device_ids, _AT_ONCE))
        alone.append(_rate(database, device_ids[:_ALONE], 1))
    yield Figure(f"{name}, {_AT_ONCE} clients at once", "claims/s", together)
    yield Figure(f"{name}, one client", "claims/s", alone)
    yield from _amounts(database, name, runs)


def _rate(database: Database, device_ids: list[str], clients: int) -> float:
    """Claim every device for a consumer of its own; give all back, which is not counted."""
    consumers = [f"consumer-{number}" for number in range(len(device_ids))]

    def take(pair: tuple[str, str]) -> None:
        device_id, consumer_id = pair

        def work(connection: sa.Connection) -> None:
            consumer_put(
                connection, consumer_id, project_id="p", user_id="u", kind="INSTANCE", now=_NOW
            )
            claim_insert(connection, consumer_id, [Pick(device_id, "request")], _NOW)

        database.write(work)

    with ThreadPoolExecutor(clients) as pool:
        started = time.perf_counter()
        for _ in pool.map(take, zip(device_ids, consumers, strict=True)):
            pass
        seconds = time.perf_counter() - started

    def give_back(connection: sa.Connection) -> None:
        for consumer_id in consumers:
            claim_release(connection, consumer_id, _NOW)
            consumer_drop(connection, consumer_id)
        connection.execute(device.update().values(state="available"))  # as if cleaned
        connection.execute(card.update().values(parts_held=0))

    database.write(give_back)
    return len(device_ids) / seconds


def _plant(database: Database) -> list[str]:
    """Make cards with VFs; return the VFs, neighbours on different cards."""
    places = list(itertools.product(range(_VFS), range(_CARDS)))

    def work(connection: sa.Connection) -> None:
        connection.execute(host.insert().values(id="h", name="h", facts={}, created_at=_NOW))
        connection.execute(
            device.insert(), [_device(f"pf-{one}", "type-PF") for one in range(_CARDS)]
        )
        connection.execute(
            card.insert(), [{"pf_device_id": f"pf-{one}", "parts_held": 0} for one in range(_CARDS)]
        )
        vfs = [_device(f"vf-{one}-{vf}", "type-VF", f"pf-{one}") for vf, one in places]
        connection.execute(device.insert(), vfs)

    database.write(work)
    return [f"vf-{one}-{vf}" for vf, one in places]


def _device(name: str, dev_type: str, pf_id: str | None = None) -> dict[str, object]:
    return {
        "id": name,
        "host_id": "h",
        "address": name,
        "vendor_id": "8086",
        "product_id": "10ca",
        "dev_type": dev_type,
        "pf_id": pf_id,
        "state": "available",
        "state_at": _NOW,
    }
