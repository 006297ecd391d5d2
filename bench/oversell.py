"""The last unit of an inventory, claimed by eight rivals at the same moment: who gets it twice."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Barrier

from bench.figure import Figure
from bench.postgresql import postgresql
from placement_servers import Line, Server, lanekeeper, line, peer_is_installed, placement
from postgres import PostgreSQL

RIVALS = 8
WORKERS = 4
CONTROLLERS = 3
_START_WITHIN_S = 60
Start = Callable[[Path], AbstractContextManager[Sequence[Server]]]


@dataclass(slots=True)
class Tally:
    """What many rounds came to.

    Attributes:
        winners: number of rivals that were told they have it, to rounds in which that happened.
        unanswered: answers that were neither "yours" nor "no" (409).
        held: the most units that the server itself then said are used, of one.
    """

    winners: Counter[int] = field(default_factory=Counter)
    unanswered: Counter[int] = field(default_factory=Counter)
    held: int = 0

    @property
    def oversold(self) -> int:
        return sum(rounds for number, rounds in self.winners.items() if number > 1)

    def __str__(self) -> str:
        shares = ", ".join(
            f"{number} in {rounds}" for number, rounds in sorted(self.winners.items())
        )
        said = f"    rivals that got it: {shares}; most units used of 1: {self.held}"
        if self.unanswered:
            said += f"; other answers: {dict(self.unanswered)}"
        return said


def measure(home: Path, rounds: int) -> Iterator[Figure | str]:
    """Placement with its stock settings and with the work-around, then Lanekeeper."""
    with postgresql() as cluster:
        for number, (name, start) in enumerate(_contestants(cluster)):
            with start(home / str(number)) as servers:
                tally = play(servers, rounds)
            yield Figure(f"{name}: sold more than once", f"of {rounds}", [tally.oversold])
            yield str(tally)


def _contestants(cluster: PostgreSQL | None) -> Iterator[tuple[str, Start]]:
    if cluster is not None and peer_is_installed():
        peer, once = f"Placement, {WORKERS} workers", "allocation_conflict_retry_count"
        yield f"{peer}, PostgreSQL", partial(_peer, cluster, {})
        yield f"{peer}, {once} = 1", partial(_peer, cluster, {once: "1"})
    elif cluster is not None:
        print("  OpenStack Placement is not installed (./dev setup makes .venv-placement)")
    yield "Lanekeeper, SQLite", lanekeeper
    if cluster is not None:
        yield "Lanekeeper, PostgreSQL", partial(_ours, cluster, 1)
        more = f"Lanekeeper, {CONTROLLERS} controllers, PostgreSQL"
        yield more, partial(_ours, cluster, CONTROLLERS)


@contextmanager
def _peer(cluster: PostgreSQL, settings: dict[str, str], home: Path) -> Iterator[list[Server]]:
    url = cluster.url(cluster.create())
    with placement(home, url, workers=WORKERS, settings=settings) as server:
        yield [server]


def _ours(
    cluster: PostgreSQL, controllers: int, home: Path
) -> AbstractContextManager[list[Server]]:
    return lanekeeper(home, cluster.url(cluster.create()), controllers=controllers)


def play(servers: Sequence[Server], rounds: int) -> Tally:
    """Let the rivals, spread over *servers*, race for one unit, again and again."""
    tally = Tally()
    with ExitStack() as stack:
        lines = [stack.enter_context(line(servers[n % len(servers)])) for n in range(RIVALS)]
        pool = stack.enter_context(ThreadPoolExecutor(RIVALS))
        provider = _provider(lines[0])
        for _ in range(rounds):
            _round(lines, pool, provider, tally)
    return tally


def _provider(first: Line) -> str:
    provider = str(uuid.uuid4())
    body = {"name": "rivals", "uuid": provider}
    assert first.ask("POST", "/resource_providers", body).status == 200
    stock = {"inventories": {"VCPU": {"total": 1}}, "resource_provider_generation": 0}
    home = f"/resource_providers/{provider}"
    assert first.ask("PUT", f"{home}/inventories", stock).status == 200
    return provider


def _round(lines: Sequence[Line], pool: ThreadPoolExecutor, provider: str, tally: Tally) -> None:
    start = Barrier(len(lines))

    def claim(mine: Line) -> tuple[str, int]:
        consumer = str(uuid.uuid4())
        start.wait(_START_WITHIN_S)
        return consumer, mine.ask("PUT", f"/allocations/{consumer}", _claim(provider)).status

    answers = list(pool.map(claim, lines))
    winners = [consumer for consumer, status in answers if status == 204]
    tally.winners[len(winners)] += 1
    tally.unanswered += Counter(status for _, status in answers if status not in (204, 409))
    used = lines[0].ask("GET", f"/resource_providers/{provider}/usages").body["usages"]["VCPU"]
    tally.held = max(tally.held, used)
    for consumer in winners:
        assert lines[0].ask("DELETE", f"/allocations/{consumer}").status == 204


def _claim(provider: str) -> dict[str, object]:
    return {
        "allocations": {provider: {"resources": {"VCPU": 1}}},
        "project_id": "rivals",
        "user_id": "rivals",
        "consumer_generation": None,
        "consumer_type": "INSTANCE",
    }
