"""Three controllers on one PostgreSQL, killed at random, their connections cut; 64 clients.

Beside the clients, who share providers, gardeners reshape trees of their own and a host's cards
come and go.
"""

import threading
from collections import Counter
from functools import partial
from pathlib import Path
from random import Random, SystemRandom

import pytest

from campaign import size
from placement_servers import line
from postgres import PostgreSQL
from running import lanekeeper
from storm import CLASS, Client, Counts, controllers, havoc, in_threads, shares_of
from storm_actors import Agent, Gardener, identifier

_CONTROLLERS, _CLIENTS, _GARDENERS, _STEPS = 3, size(32, 64), 8, size(12, 25)
_PROVIDERS, _UNITS, _CONSUMERS = size(6, 12), 6, 3
# 36 units for 96 consumers, or 72 for 192, that want 1 each on average


def weather(seed: int, cluster: PostgreSQL, tmp_path: Path) -> str:
    """One run; returns what happened in it."""
    random = Random(seed)
    providers = [identifier(random) for _ in range(_PROVIDERS)]
    deadlocks = cluster.deadlocks()
    database = cluster.create()
    url = cluster.url(database)
    with controllers(tmp_path, url, _CONTROLLERS) as every:
        with line(every.server(every.ports[0])) as asking:
            for number, provider in enumerate(providers):
                body = {"uuid": provider, "name": f"card{number}"}
                assert asking.ask("POST", "/resource_providers", body).status == 200
                stock = {
                    "inventories": {CLASS: {"total": _UNITS}},
                    "resource_provider_generation": 0,
                }
                path = f"/resource_providers/{provider}/inventories"
                assert asking.ask("PUT", path, stock).status == 200
        clients = [
            Client(
                Random(random.random()),
                every,
                providers,
                [identifier(random) for _ in range(_CONSUMERS)],
            )
            for _ in range(_CLIENTS)
        ]
        rack = providers[0]
        gardeners = [
            Gardener(Random(random.random()), every, number, rack) for number in range(_GARDENERS)
        ]
        agent = Agent(Random(random.random()), every, tmp_path)
        for gardener in gardeners:
            gardener.prepare()
        agent.prepare()
        over, happened = threading.Event(), Counts()
        chaos = Random(random.random())

        def wreck() -> None:
            counts = havoc(chaos, every, cluster, database, over)
            happened.killed, happened.cut = counts.killed, counts.cut

        def work() -> None:
            try:
                in_threads(
                    [
                        *(partial(client.run, _STEPS) for client in clients),
                        *(partial(gardener.run, _STEPS) for gardener in gardeners),
                        partial(agent.run, _STEPS),
                    ]
                )
            finally:
                over.set()

        in_threads([wreck, work])
        used: Counter[str] = Counter()
        with line(every.server(every.ports[-1])) as asking:
            for account in (one for client in clients for one in client.accounts):
                held = shares_of(asking.ask("GET", f"/allocations/{account.consumer}").body)
                assert held in account.may_hold, f"seed {seed}: {account}, but it holds {held}"
                used.update(held)
            for provider in providers:
                told = asking.ask("GET", f"/resource_providers/{provider}/usages").body
                assert told["usages"] == {CLASS: used[provider]}, f"seed {seed}"
                assert used[provider] <= _UNITS, f"seed {seed}"
        for one in (*clients, *gardeners, agent):
            one.close()
    file = tmp_path / "url"
    file.write_text(url)
    checked = lanekeeper("verify", "--database-url-file", str(file))
    assert checked.returncode == 0, f"seed {seed}: {checked.stdout}{checked.stderr}"
    assert cluster.deadlocks() == deadlocks, f"seed {seed}: somebody waited in a circle"
    cluster.drop(database)
    every_account = [one for client in clients for one in client.accounts]
    answered, refused, lost = (
        sum(getattr(one, name) for one in every_account) for name in ("answered", "refused", "lost")
    )
    assert answered, f"seed {seed}: nothing was answered at all"
    grown = sum(gardener.answered for gardener in gardeners)
    return (
        f"seed {seed}: {happened.killed} kills, {happened.cut} connections cut, {answered} changes "
        f"answered, {refused} refused, {lost} answers lost, {grown} changes of gardens and "
        f"{agent.taken} reports seen at once; all accounts agree"
    )


@pytest.mark.service
def test_a_storm_loses_nothing_and_sells_nothing_twice(
    postgresql: PostgreSQL, tmp_path: Path
) -> None:
    print(weather(SystemRandom().getrandbits(32), postgresql, tmp_path))


@pytest.mark.service
@pytest.mark.long
@pytest.mark.parametrize("number", range(10))
def test_ten_storms(number: int, postgresql: PostgreSQL, tmp_path: Path) -> None:
    """``./dev test --long service -- -k ten_storms -s`` prints their seeds."""
    print(weather(SystemRandom().getrandbits(32), postgresql, tmp_path))
