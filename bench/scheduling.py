"""Placing servers on a large fleet: the decision, why nothing fits, and the whole creation."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles

import sqlalchemy as sa

from bench.figure import Figure
from bench.postgresql import postgresql
from lanekeeper.clock import utc_now
from lanekeeper.config import Config
from lanekeeper.config.tree import Own, Pci
from lanekeeper.control.caller import Caller
from lanekeeper.control.compute.explain import explain
from lanekeeper.control.compute.fleet import FleetMemory
from lanekeeper.control.compute.question import Question
from lanekeeper.control.compute.server_create import create_servers
from lanekeeper.control.compute.server_order import NewServer
from lanekeeper.control.site import Site
from lanekeeper.domain.pci.alias import Alias
from lanekeeper.domain.pci.request import flavor_requests
from lanekeeper.domain.scheduling.host import DeviceNeed, ServerRequest
from lanekeeper.domain.scheduling.selection import select_hosts
from lanekeeper.store.change_log import change_log_forget
from lanekeeper.store.database import Database
from lanekeeper.store.schema import upgrade
from lanekeeper.store.tables import (
    card,
    device,
    flavor,
    host,
    image,
    inventory,
    resource_provider,
)

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_HOSTS_AT_ONCE = 500
_VFS = 7
_TOO_MANY = 2 * _VFS + 1
_CREATIONS = 200
_STOCK = {"VCPU": 64, "MEMORY_MB": 262144, "DISK_GB": 2000}
_ALIAS = Alias.parse(
    {"name": "a1", "vendor_id": "8086", "product_id": "10ca", "device_type": "type-VF"}
)
_CALLER = Caller(
    user_id="u" * 32,
    user_name="bench",
    project_id="p" * 32,
    roles=frozenset({"admin", "member", "reader"}),
    request_id="req-bench",
)


def measure(home: Path, runs: int, fleet: int) -> Iterator[Figure | str]:
    """*fleet* hosts with two PFs of seven VFs each, their VCPUs taken up to a random part."""
    yield f"{fleet:,} hosts, {2 * _VFS * fleet:,} VFs"
    yield from _on(f"sqlite:///{home / 'scheduling.db'}", "SQLite", runs, fleet)
    with postgresql() as cluster:
        if cluster is not None:
            yield from _on(cluster.url(cluster.create()), "PostgreSQL", runs, fleet)


def _on(url: str, name: str, runs: int, fleet: int) -> Iterator[Figure]:
    with Database(url, answer_within_s=600) as database:
        upgrade(database.engine)
        image_id = _plant(database.engine, fleet)
        config = Config(pci=Pci(alias=(_ALIAS,)), lanekeeper=Own(agent_down_s=10**9))
        site = Site(database=database, config=config, clock=utc_now, state_dir=Path())
        built = [
            _seconds(lambda: FleetMemory().current(database, utc_now(), 10**9))
            for _ in range(min(runs, 3))
        ]
        yield Figure(f"fleet from the database, {name}", "s", built)
        if name == "SQLite":
            yield from _decisions(site, runs)
        yield from _creations(site, name, runs, image_id)
        told = [
            1000 * _seconds(lambda: explain(site, _CALLER, Question(flavor="too-many")))
            for _ in range(runs)
        ]
        yield Figure(f"explain where nothing fits, {name}", "ms", told, "< 100 ms")


def _decisions(site: Site, runs: int) -> Iterator[Figure]:
    hosts = site.hosts()
    for count, what in ((1, "one VF"), (_TOO_MANY, "more VFs than any host has")):
        need = DeviceNeed(id="a1", name="a1", request=flavor_requests((_ALIAS,), f"a1:{count}")[0])
        request = ServerRequest(vcpus=4, ram_mib=4096, disk_gib=10, needs=(need,))
        samples = []
        for _ in range(runs):
            began = time.process_time()
            select_hosts(request, hosts)
            samples.append(1000 * (time.process_time() - began))
        yield Figure(f"the decision alone, {what}", "ms CPU", samples)


def _creations(site: Site, name: str, runs: int, image_id: str) -> Iterator[Figure]:
    """Each takes a VF and is durable when it returns; one client, no HTTP."""
    asked = NewServer(name="s", flavor_id="one", image_id=image_id)
    create_servers(site, _CALLER, asked)
    medians, nearly_all, cpu = [], [], []
    for _ in range(runs):
        used = time.process_time()
        samples = [
            1000 * _seconds(lambda: create_servers(site, _CALLER, asked)) for _ in range(_CREATIONS)
        ]
        cpu.append(1000 * (time.process_time() - used) / _CREATIONS)
        cut = quantiles(samples, n=100)
        medians.append(cut[49])
        nearly_all.append(cut[98])
    yield Figure(f"a server with a VF, scheduled, claimed, stored, p50, {name}", "ms", medians)
    yield Figure(f"the same, the controller's processor time, {name}", "ms", cpu)
    yield Figure(f"the same, p99, {name}", "ms", nearly_all, "< 20 ms to schedule")


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _plant(engine: sa.Engine, fleet: int) -> str:
    """The fleet's rows, two flavors and an image; returns the image's id."""
    dice, image_id = random.Random(5), str(uuid.uuid4())
    with engine.begin() as connection:
        for start in range(0, fleet, _HOSTS_AT_ONCE):
            numbers = range(start, min(start + _HOSTS_AT_ONCE, fleet))
            names = {f"host-{number:05}": str(uuid.UUID(int=number + 1)) for number in numbers}
            connection.execute(host.insert(), [_host(*one) for one in names.items()])
            connection.execute(
                resource_provider.insert(), [_provider(*one) for one in names.items()]
            )
            stock = [_stock(id_, dice, *one) for id_ in names.values() for one in _STOCK.items()]
            connection.execute(inventory.insert(), stock)
            pfs = [_function(id_, bus, None) for id_ in names.values() for bus in (0x21, 0x41)]
            connection.execute(device.insert(), pfs)
            connection.execute(card.insert(), [{"pf_device_id": one["id"]} for one in pfs])
            vfs = [
                _function(id_, bus, number)
                for id_ in names.values()
                for bus in (0x21, 0x41)
                for number in range(_VFS)
            ]
            connection.execute(device.insert(), vfs)
        for name, count in (("one", 1), ("too-many", _TOO_MANY)):
            specs = {"pci_passthrough:alias": f"a1:{count}"}
            values = {"vcpus": 4, "ram_mib": 4096, "disk_gib": 10, "extra_specs": specs}
            connection.execute(
                flavor.insert().values(id=name, name=name, created_at=_NOW, **values)
            )
        connection.execute(image.insert().values(**_image(image_id)))
        change_log_forget(connection)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        swept = "VACUUM ANALYZE" if engine.dialect.name == "postgresql" else "ANALYZE"
        connection.execute(sa.text(swept))
    return image_id


def _host(name: str, id_: str) -> dict[str, object]:
    return {"id": id_, "name": name, "facts": {}, "seen_at": utc_now(), "created_at": _NOW}


def _provider(name: str, id_: str) -> dict[str, object]:
    return {"id": id_, "name": name, "root_id": id_, "owner": "host", "updated_at": _NOW}


def _stock(id_: str, dice: random.Random, name: str, amount: int) -> dict[str, object]:
    amounts = {"total": amount, "max_unit": amount, "capacity": amount}
    used = dice.randrange(amount // 2)
    named = {"provider_id": id_, "resource_class": name, "updated_at": _NOW}
    return {**named, **amounts, "used": used}


def _function(host_id: str, bus: int, number: int | None) -> dict[str, object]:
    """The PF of a card, or one of its VFs."""
    is_vf, pf_id = number is not None, f"{host_id}-{bus:x}"
    return {
        "id": f"{pf_id}-{number}" if is_vf else pf_id,
        "host_id": host_id,
        "address": f"0000:{bus:x}:10.{number}" if is_vf else f"0000:{bus:x}:00.0",
        "vendor_id": "8086",
        "product_id": "10ca" if is_vf else "10c9",
        "dev_type": "type-VF" if is_vf else "type-PF",
        "pf_id": pf_id if is_vf else None,
        "listed": is_vf,
        "tags": {},
        "resource_class": "CUSTOM_PCI_8086_10CA" if is_vf else None,
        "provider_id": pf_id if is_vf else None,
        "state": "available",
        "state_at": _NOW,
    }


def _image(image_id: str) -> dict[str, object]:
    return {
        "id": image_id,
        "name": "tiny",
        "status": "active",
        "owner": _CALLER.project_id,
        "visibility": "public",
        "disk_format": "raw",
        "container_format": "bare",
        "size_bytes": 1024,
        "virtual_size_bytes": 1024,
        "properties": {},
        "created_at": _NOW,
        "updated_at": _NOW,
    }
