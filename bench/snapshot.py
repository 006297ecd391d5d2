"""The inventory in memory: built from the database, the first candidate, and what it takes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bench.figure import Figure
from bench.forest import DEVICE, SINGLE, VFS, Provider, hosts, load_lanekeeper, wide_hosts
from bench.postgresql import postgresql
from lanekeeper.clock import utc_now
from lanekeeper.config import Config
from lanekeeper.control.placement.candidate import find_candidates
from lanekeeper.control.site import Site
from lanekeeper.domain.placement.candidate import search
from lanekeeper.domain.placement.query import CandidateQuery, Group
from lanekeeper.domain.placement.snapshot import Lines, Snapshot
from lanekeeper.store.change_log import change_log_forget
from lanekeeper.store.database import Database
from lanekeeper.store.schema import upgrade
from lanekeeper.store.tables import card, device, host

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_ROWS_AT_ONCE = 20_000
_GROUPS = 8


def measure(home: Path, runs: int, fleet: int) -> Iterator[Figure | str]:
    """*fleet* hosts of five providers, whose 128 VFs each are rows, as agents report them."""
    yield from _search_alone(runs)
    yield f"{fleet:,} hosts, {5 * fleet:,} providers, {2 * VFS * fleet:,} VFs"
    yield from _on(f"sqlite:///{home / 'snapshot.db'}", "SQLite", runs, fleet)
    with postgresql() as cluster:
        if cluster is not None:
            yield from _on(cluster.url(cluster.create()), "PostgreSQL", runs, fleet)


def _search_alone(runs: int) -> Iterator[Figure]:
    """Eight devices in eight groups on 4 hosts of 8, each a provider: no HTTP and no JSON."""
    providers = wide_hosts(4)
    ids = [one.id for one in providers]
    stock = [(one.id, *item, 0, 1, item[1], 1) for one in providers for item in one.stock.items()]
    trees = [
        (one.id, None if one.parent is None else ids[one.parent], ids[one.root])
        for one in providers
    ]
    snapshot = Snapshot().with_lines(ids, Lines(providers=trees, stock=stock))
    groups = tuple(Group(suffix=f"_{n}", resources=((SINGLE, 1),)) for n in range(_GROUPS))
    for isolate, limit in product((False, True), (1, 1000)):
        query = CandidateQuery(groups=groups, isolate=isolate, limit=limit)
        policy = "isolate" if isolate else "none"
        samples = []
        for _ in range(runs):
            started = time.process_time()
            search(snapshot, query)
            samples.append(1000 * (time.process_time() - started))
        yield Figure(f"search alone, 8 groups, {policy}, limit {limit}", "ms CPU", samples)


def _on(url: str, name: str, runs: int, fleet: int) -> Iterator[Figure]:
    with Database(url, answer_within_s=600) as database:
        upgrade(database.engine)
        _plant(database.engine, hosts(fleet))
    samples = [_in_a_process_of_its_own(url) for _ in range(runs)]
    budgets = {"built": "< 5 s", "most": "< 300 MiB"}
    told = {
        "built": ("snapshot from the database", "s"),
        "first": ("the candidate after that, limit 1", "ms"),
        "thousand": ("a thousand candidates", "ms"),
        "before": ("memory before", "MiB"),
        "after": ("memory after", "MiB"),
        "most": ("memory at the most", "MiB"),
    }
    for key, (what, unit) in told.items():
        values = [getattr(sample, key) for sample in samples]
        yield Figure(f"{what}, {name}", unit, values, budgets.get(key, ""))


def _plant(engine: sa.Engine, providers: Sequence[Provider]) -> None:
    """Providers as they are, but for the VFs, of which each is a row below a PF with its card."""
    bare = [
        Provider(
            one.name,
            one.root,
            one.parent,
            {} if DEVICE in one.stock else one.stock,
            one.traits,
            one.aggregates,
        )
        for one in providers
    ]
    load_lanekeeper(engine, bare)
    cards = [one.id for one in providers if DEVICE in one.stock]
    step = max(_ROWS_AT_ONCE // VFS, 1)
    with engine.begin() as connection:
        connection.execute(
            host.insert().values(id="fleet", name="fleet", facts={}, created_at=_NOW)
        )
        for start in range(0, len(cards), step):
            some = cards[start : start + step]
            connection.execute(device.insert(), [_function(one, None) for one in some])
            connection.execute(card.insert(), [{"pf_device_id": one} for one in some])
            vfs = [_function(one, number) for one in some for number in range(VFS)]
            connection.execute(device.insert(), vfs)
        change_log_forget(connection)  # as long after: a reader that starts reads all anyway
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # The server does so by itself, given time.
        swept = "VACUUM ANALYZE" if engine.dialect.name == "postgresql" else "ANALYZE"
        connection.execute(sa.text(swept))


def _function(card_id: str, number: int | None) -> dict[str, object]:
    """The PF of a card, or one of its VFs."""
    is_vf = number is not None
    name = f"{card_id}-{number}" if is_vf else card_id
    return {
        "id": name,
        "host_id": "fleet",
        "address": name,
        "vendor_id": "8086",
        "product_id": "10ca" if is_vf else "10c9",
        "dev_type": "type-VF" if is_vf else "type-PF",
        "pf_id": card_id if is_vf else None,
        "listed": is_vf,
        "tags": {},
        "resource_class": DEVICE if is_vf else None,
        "provider_id": card_id if is_vf else None,
        "state": "available",
        "state_at": _NOW,
    }


# In a process of its own --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Sample:
    built: float
    first: float
    thousand: float
    before: float
    after: float
    most: float


def _in_a_process_of_its_own(url: str) -> _Sample:
    program = [sys.executable, "-c", "from bench.snapshot import once; once()"]
    done = subprocess.run(program, input=url, check=True, capture_output=True, text=True)
    return _Sample(**json.loads(done.stdout))


def once() -> None:
    """Build a snapshot of the database whose URL is the input, search, and say what it took."""
    with Database(sys.stdin.read(), answer_within_s=600) as database:
        site = Site(database=database, config=Config(), clock=utc_now, state_dir=Path())
        with database.read() as connection:
            connection.scalar(sa.select(1))
        before = _memory("VmRSS")
        built = _seconds(lambda: site.inventory.current(database))
        sample = {
            "built": built,
            "first": 1000 * _seconds(lambda: find_candidates(site, _query(1))),
            "thousand": 1000 * _seconds(lambda: find_candidates(site, _query(1000))),
            "before": before,
            "after": _memory("VmRSS"),
            "most": _memory("VmHWM"),
        }
    print(json.dumps(sample))


def _query(limit: int) -> CandidateQuery:
    own = Group(suffix="", resources=(("VCPU", 2), ("MEMORY_MB", 512)))
    vf = Group(suffix="1", resources=((DEVICE, 1),))
    return CandidateQuery(groups=(own, vf), limit=limit)


def _seconds(work: Any) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _memory(which: str) -> float:
    """A line of proc(5)'s ``status``, in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(which)) / 1024
