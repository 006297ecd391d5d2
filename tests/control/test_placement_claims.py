"""Claims of clients against each other, and against capacity that changes below them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from uuid import uuid4

import pytest
import sqlalchemy as sa

from lanekeeper.clock import utc_now
from lanekeeper.config import Config
from lanekeeper.control.placement.allocation import delete_allocations, put_allocations
from lanekeeper.control.placement.allocation_view import show_consumer
from lanekeeper.control.placement.consumer import ConsumerClaim
from lanekeeper.control.placement.inventory import change_inventory, put_inventories
from lanekeeper.control.placement.resource_provider import create_provider, show_provider
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Conflict
from lanekeeper.domain.placement.inventory import Inventory
from lanekeeper.store.database import Database
from lanekeeper.store.schema import upgrade
from lanekeeper.store.tables import allocation, inventory


@pytest.fixture
def site(database_url: str, tmp_path: Path) -> Iterator[Site]:
    with Database(database_url) as database:
        upgrade(database.engine)
        yield Site(database=database, config=Config(), clock=utc_now, state_dir=tmp_path)


def provider(site: Site, name: str, total: int) -> str:
    made = create_provider(site, name, None, None).id
    put_inventories(site, made, 0, {"PCI_DEVICE": Inventory(total=total)})
    return made


def claim(consumer: str, generation: int | None = None, **amounts: int) -> ConsumerClaim:
    return ConsumerClaim(
        consumer_id=consumer,
        amounts={id_.replace("_", "-"): {"PCI_DEVICE": n} for id_, n in amounts.items()},
        project_id="p",
        user_id="u",
        generation=(generation,),
        kind="T",
    )


def of(provider_id: str, amount: int) -> dict[str, int]:
    return {provider_id.replace("-", "_"): amount}


def books(site: Site) -> tuple[dict[str, int], dict[str, int]]:
    """Use by provider as inventories have it, and as allocations add up to."""
    with site.database.read() as connection:
        used = connection.execute(sa.select(inventory.c.provider_id, inventory.c.used)).all()
        held = connection.execute(
            sa.select(allocation.c.provider_id, sa.func.sum(allocation.c.used)).group_by(
                allocation.c.provider_id
            )
        ).all()
    return {id_: n for id_, n in used if n}, {id_: int(n) for id_, n in held}


def test_nothing_is_sold_twice(site: Site) -> None:
    """Eight rivals for one device of each of four providers, round after round."""
    for number in range(10):
        several = [provider(site, f"r{number}-{index}", 1) for index in range(4)]
        start = Barrier(8)

        def rival(index: int, several: list[str] = several, start: Barrier = start) -> bool:
            wanted = several[index % 4 :] + several[: index % 4]  # each begins elsewhere
            start.wait(30)
            try:
                amounts = {key: n for id_ in wanted[:2] for key, n in of(id_, 1).items()}
                put_allocations(site, [claim(str(uuid4()), **amounts)])
            except Conflict:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            won = list(pool.map(rival, range(8)))
        assert 1 <= sum(won) <= 2
        used, held = books(site)
        assert used == held
        assert max(used.values()) == 1
        generations = [show_provider(site, id_).generation for id_ in several]
        assert sum(generations) == 4 + 2 * sum(won)  # only who got something moved them


def test_use_above_capacity_can_only_fall(site: Site) -> None:
    there, mine, other = provider(site, "shrinking", 10), str(uuid4()), str(uuid4())
    put_allocations(site, [claim(mine, **of(there, 6)), claim(other, **of(there, 3))])
    generation = show_provider(site, there).generation
    change_inventory(site, there, generation, "PCI_DEVICE", Inventory(total=4))
    with pytest.raises(Conflict, match="1 asked, 0 of 4 free"):
        put_allocations(site, [claim(str(uuid4()), **of(there, 1))])
    put_allocations(site, [claim(mine, 1, **of(there, 4))])
    with pytest.raises(Conflict, match="exceed the capacity"):
        put_allocations(site, [claim(other, 1, **of(there, 4))])
    # Together they take no more than before, so one may have what the other gives.
    put_allocations(site, [claim(mine, 2, **of(there, 3)), claim(other, 1, **of(there, 4))])
    assert books(site)[0] == {there: 7}


def test_a_set_of_claims_is_one(site: Site) -> None:
    there, mine, other = provider(site, "whole", 4), str(uuid4()), str(uuid4())
    put_allocations(site, [claim(mine, **of(there, 2))])
    with pytest.raises(Conflict, match="expected null but got 5"):
        put_allocations(site, [claim(mine, 1, **of(there, 1)), claim(other, 5, **of(there, 1))])
    view = show_consumer(site, mine)
    assert view.row is not None
    assert (view.row.generation, view.taken[0].amount) == (1, 2)
    put_allocations(site, [claim(mine, 1), claim(other, **of(there, 4))])
    assert show_consumer(site, mine).row is None
    delete_allocations(site, other)
    assert books(site) == ({}, {})
