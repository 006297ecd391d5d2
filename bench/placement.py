"""Allocation candidates and claims over HTTP, against OpenStack Placement on the same trees."""

from __future__ import annotations

import json
import subprocess
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from threading import Barrier

from bench.contender import Compared, Contender, all_of, compare
from bench.figure import Figure
from bench.forest import (
    DEVICE,
    PHYSNETS,
    SINGLE,
    Provider,
    aggregate,
    load_lanekeeper,
    load_placement,
    wide_hosts,
)
from bench.forest import (
    hosts as ordinary_hosts,
)
from bench.postgresql import postgresql
from lanekeeper.store.database import Database
from lanekeeper.store.schema import upgrade
from placement_servers import (
    PEER_BIN,
    Answer,
    Line,
    Server,
    lanekeeper,
    line,
    peer_is_installed,
    placement,
)
from postgres import PostgreSQL

WORKERS = 4
"""Of gunicorn; more than cores, as is usual."""
WIDE = 4
_CLAIMS = {1: 100, 8: 40}
"""Clients at once, and how many claims each of them makes in a run."""
_ONE_VF = "resources=VCPU:1,MEMORY_MB:512&resources1=SRIOV_NET_VF:1"
_MARKED = (
    f"{_ONE_VF}&required1=HW_NIC_SRIOV,{PHYSNETS[0]}&member_of=in:{aggregate(0)},{aggregate(1)}"
)
_START_WITHIN_S = 60


def measure(
    home: Path, runs: int, hosts: Sequence[int], bound: float, plot: Path | None
) -> Iterator[Figure | Compared | str]:
    """All of it for each number of hosts, then hosts with eight devices of a kind."""
    drawn: dict[int, list[Compared]] = {}
    with postgresql() as cluster:
        if cluster is None or not peer_is_installed():
            yield "  needs PostgreSQL and .venv-placement (./dev setup)"
            return
        for number in hosts:
            with _contenders(home / str(number), cluster, ordinary_hosts(number), bound) as three:
                compared = drawn[number] = []
                yield f"\n  {number:,} hosts, {5 * number:,} providers"
                for figure in _of_hosts(three, number, runs):
                    compared += [figure] if isinstance(figure, Compared) else []
                    yield figure
        with _contenders(home / "wide", cluster, wide_hosts(WIDE), bound) as three:
            yield f"\n  {WIDE} hosts with 8 equal devices, each a provider of its own"
            for groups in (2, 4, 8):
                yield from _devices(three, SINGLE, groups, ("none", "isolate"), runs)
    if plot is not None:
        yield _plot(drawn, plot)


def _of_hosts(three: Sequence[Contender], number: int, runs: int) -> Iterator[Figure | Compared]:
    ask = partial(_candidates, three, runs)
    yield from (_first_answer(contender) for contender in three)
    yield ask("VCPU, RAM and a VF, limit 1", f"{_ONE_VF}&limit=1")
    yield ask("VCPU, RAM and a VF, limit 1000", f"{_ONE_VF}&limit=1000")
    yield ask("the same with traits, in 2 aggregates, limit 1000", f"{_MARKED}&limit=1000")
    yield from _devices(three, DEVICE, 2, ("none", "isolate"), runs)
    yield from _devices(three, DEVICE, 4, ("none",), runs)
    yield from _devices(three, DEVICE, 8, ("none",), runs)
    for clients in _CLAIMS:
        yield from _claims(three, clients, number, runs)
    for contender in three:
        contender.line()
        memory = contender.server.resident_mib if contender.server else 0.0
        yield Figure(f"memory after that, {contender.name}", "MiB", [memory])


def _candidates(three: Sequence[Contender], runs: int, what: str, query: str) -> Compared:
    return compare(what, f"/allocation_candidates?{query}", three, runs, _how_many)


def _devices(
    three: Sequence[Contender], name: str, groups: int, policies: Sequence[str], runs: int
) -> Iterator[Compared]:
    """As many groups as devices, one each, as Nova asks for an alias."""
    wanted = "&".join(f"resources{n}={name}:1" for n in range(1, groups + 1))
    for policy in policies:
        what = f"{groups} devices in {groups} groups, {policy}, limit 1000"
        query = f"resources=VCPU:1,MEMORY_MB:512&{wanted}&group_policy={policy}&limit=1000"
        yield _candidates(three, runs, what, query)


def _how_many(answer: Answer) -> int:
    return len(answer.body["allocation_requests"])


def _first_answer(contender: Contender) -> Figure:
    contender.stop()
    started = time.perf_counter()
    answer = contender.line().ask("GET", f"/allocation_candidates?{_ONE_VF}&limit=1")
    assert answer.status == 200, answer
    seconds = time.perf_counter() - started
    return Figure(f"start to first candidate, {contender.name}", "s", [seconds])


# Claims -------------------------------------------------------------------------------------------


def _claims(three: Sequence[Contender], clients: int, number: int, runs: int) -> Iterator[Figure]:
    """Durable claims, each client on hosts of its own, so that nobody has to wait for a rival."""
    rates: dict[str, list[float]] = {contender.name: [] for contender in three}
    cpu: dict[str, list[float]] = {contender.name: [] for contender in three}
    turns = count()
    for _ in range(runs):
        turn = next(turns)
        for contender in three:
            contender.line()
            assert contender.server is not None
            before = sum(contender.cpu_s())
            seconds = _claim_all(contender.server, clients, number, turn)
            claims = clients * _CLAIMS[clients]
            rates[contender.name].append(claims / seconds)
            cpu[contender.name].append(1000 * (sum(contender.cpu_s()) - before) / claims)
    who = f"{clients} client{'s' * (clients > 1)}"
    for name, samples in rates.items():
        yield Figure(f"claims, {who}, {name}", "a second", samples)
        yield Figure("  processor time of one, the database's too", "ms CPU", cpu[name])


def _claim_all(server: Server, clients: int, number: int, turn: int) -> float:
    start = Barrier(clients + 1)

    def work(client: int) -> None:
        with line(server) as mine:
            mine.connect()
            mine.ask("GET", "/")
            start.wait(_START_WITHIN_S)
            for n in range(_CLAIMS[clients]):
                _claim(mine, (client + clients * (n + turn)) % number)

    with ThreadPoolExecutor(clients) as pool:
        working = [pool.submit(work, client) for client in range(clients)]
        start.wait(_START_WITHIN_S)
        started = time.perf_counter()
        for one in working:
            one.result()
    return time.perf_counter() - started


def _claim(mine: Line, host: int) -> None:
    ids = [Provider(f"host-{host:05}{part}", 0).id for part in ("", "-pf0")]
    body = {
        "allocations": {
            ids[0]: {"resources": {"VCPU": 1, "MEMORY_MB": 512}},
            ids[1]: {"resources": {"SRIOV_NET_VF": 1}},
        },
        "project_id": "bench",
        "user_id": "bench",
        "consumer_generation": None,
        "consumer_type": "INSTANCE",
    }
    answer = mine.ask("PUT", f"/allocations/{uuid.uuid4()}", body)
    assert answer.status == 204, answer


# Contenders ---------------------------------------------------------------------------------------


@contextmanager
def _contenders(
    home: Path, cluster: PostgreSQL, providers: Sequence[Provider], bound: float
) -> Iterator[list[Contender]]:
    """Placement first, then Lanekeeper on both databases, all with the same providers."""
    home.mkdir()
    theirs, ours = cluster.create(), cluster.create()
    peer = partial(placement, home / "placement", cluster.url(theirs), workers=WORKERS)
    with peer():  # makes the schema, and the rows of standard traits and classes
        load_placement(f"dbname={theirs} user=lanekeeper host={cluster.directory}", providers)
    sqlite = f"sqlite:///{home / 'lanekeeper.db'}"
    postgres, shared = cluster.url(ours), cluster.process.pid
    for url in (sqlite, postgres):
        with Database(url) as database:
            upgrade(database.engine)
            load_lanekeeper(database.engine, providers)
    contenders = [
        Contender(f"Placement, {WORKERS} workers", partial(peer, sync=False), bound, shared),
        Contender("Lanekeeper, SQLite", partial(_ours, home / "sqlite", sqlite), bound),
        Contender("Lanekeeper, PostgreSQL", partial(_ours, home / "pg", postgres), bound, shared),
    ]
    with all_of(contenders):
        yield contenders
    for name in (theirs, ours):
        cluster.drop(name)


@contextmanager
def _ours(home: Path, url: str) -> Iterator[Server]:
    with ExitStack() as stack:
        yield stack.enter_context(lanekeeper(home, url))[0]


def _plot(drawn: dict[int, list[Compared]], path: Path) -> str:
    """Draw the medians, by the matplotlib that is in Placement's environment."""
    questions = [
        {
            "hosts": number,
            "what": one.what,
            "ms": {name: one.median_ms(name) for name in one.samples},
            "bound_ms": {name: 1000 * seconds for name, seconds in one.bounds_s.items()},
        }
        for number, compared in drawn.items()
        for one in compared
    ]
    command = [str(PEER_BIN / "python"), str(Path(__file__).with_name("plot.py")), str(path)]
    subprocess.run(command, input=json.dumps(questions), text=True, check=True)
    return f"  drawn: {path}"
