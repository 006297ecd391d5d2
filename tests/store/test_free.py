"""A device that is counted as free is offered to the scheduler, and can be claimed; no other is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice, product

import pytest
import sqlalchemy as sa

from campaign import size
from lanekeeper.domain.errors import Conflict
from lanekeeper.domain.pci.device import DeviceState, DeviceType, Reserve
from lanekeeper.domain.scheduling.host import Standing
from lanekeeper.store.compute.capacity import host_views
from lanekeeper.store.database import Database
from lanekeeper.store.device.life import Pick, claim_insert
from lanekeeper.store.device.report import DeviceRow, devices_merge
from lanekeeper.store.host.host import host_insert
from lanekeeper.store.placement.inventory import counted
from lanekeeper.store.schema import upgrade
from lanekeeper.store.tables import card, device

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOST = "11111111-1111-1111-1111-111111111111"
CARDS = [(None, 0), ("somebody", 0), (None, 1)]


class Undo(Exception):
    pass


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with Database(database_url) as database:
        upgrade(database.engine)
        database.write(lambda c: host_insert(c, HOST, "h1", "secret", NOW))
        yield database


def function(dev_type: DeviceType, address: str, parent: str | None = None) -> DeviceRow:
    return DeviceRow(
        address=address, vendor_id="8086", product_id="10c9", dev_type=dev_type, parent=parent,
        resource_class="CUSTOM_A",
    )  # fmt: skip


@pytest.mark.parametrize("dev_type", DeviceType)
def test_all_three_agree(database: Database, dev_type: DeviceType) -> None:
    answers = set()
    cases = product(DeviceState, (True, False), CARDS, ("", "its link is down"), Reserve)
    is_file = database.engine.dialect.name == "sqlite"
    # The rules are the same on PostgreSQL, where each case takes longer. No column has a number of
    # values that the stride divides, so these cases still have each value beside each other's.
    stride = 1 if is_file else size(5, 1)
    assert stride == 1 or all(
        many % stride for many in (len(DeviceState), len(CARDS), len(Reserve))
    )
    chosen = islice(cases, 0, None, stride)
    for state, present, (whole, parts), unfit, reserved in chosen:
        if (dev_type is DeviceType.PCI) and (whole or parts):
            continue  # it has no card

        def look(
            connection: sa.Connection,
            state: DeviceState = state,
            present: bool = present,
            whole: str | None = whole,
            parts: int = parts,
            unfit: str = unfit,
            reserved: str = reserved,
        ) -> None:
            is_vf = dev_type is DeviceType.VF
            told = [function(dev_type, "0000:21:10.0", "0000:21:00.0" if is_vf else None)]
            if is_vf:
                told.append(function(DeviceType.PF, "0000:21:00.0"))
            id_ = devices_merge(connection, HOST, told, NOW).ids["0000:21:10.0"]
            mine = device.update().where(device.c.id == id_)
            connection.execute(
                mine.values(
                    state=state, present=present, unfit=unfit, reserved=reserved, provider_id="p"
                )
            )
            connection.execute(card.update().values(whole_holder=whole, parts_held=parts))
            rows = connection.execute(counted("p")).all()
            (view,) = host_views(connection, NOW, ())
            offered = [one for one in view.devices if one.id == id_]
            try:
                with connection.begin_nested():
                    claim_insert(connection, "consumer", [Pick(id_, "request")], NOW)
                claimed = True
            except Conflict:
                claimed = False
            answers.add(claimed)
            case = (dev_type, state, present, whole, parts, unfit, reserved)
            assert sum(row[4] for row in rows) == claimed, case
            assert any(one.standing is Standing.FREE for one in offered) == claimed, case
            raise Undo

        with pytest.raises(Undo):
            database.write(look)
    assert answers == {True, False}
