"""The arbiters: whoever comes together, a device has one holder and a card one kind of holder."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial

import pytest
import sqlalchemy as sa

from lanekeeper.domain.errors import Conflict
from lanekeeper.store.database import Database
from lanekeeper.store.device.device import claims_of
from lanekeeper.store.device.life import (
    Pick,
    claim_adopt,
    claim_insert,
    claim_release,
    device_cleaned,
    device_set_aside,
)
from lanekeeper.store.device.listing import device_rows
from lanekeeper.store.device.report import DeviceRow, devices_merge
from lanekeeper.store.host.host import host_insert
from lanekeeper.store.schema import upgrade
from lanekeeper.store.tables import card

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOST = "11111111-1111-1111-1111-111111111111"
PF = DeviceRow(address="0000:21:00.0", vendor_id="8086", product_id="10c9", dev_type="type-PF")
VFS = tuple(
    DeviceRow(
        address=f"0000:21:10.{number}",
        vendor_id="8086",
        product_id="10ca",
        dev_type="type-VF",
        parent=PF.address,
        vf_index=number,
        resource_class="SRIOV_NET_VF",
    )
    for number in range(4)
)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with Database(database_url) as database:
        upgrade(database.engine)
        database.write(lambda c: host_insert(c, HOST, "h1", "secret", NOW))
        yield database


@pytest.fixture
def ids(database: Database) -> dict[str, str]:
    return database.write(lambda c: devices_merge(c, HOST, (PF, *VFS), NOW).ids)


def take(database: Database, consumer: str, *device_ids: str) -> None:
    picks = [Pick(device_id, f"request-{n}") for n, device_id in enumerate(device_ids)]
    database.write(lambda c: claim_insert(c, consumer, picks, NOW))


def states(database: Database) -> dict[str, str]:
    with database.read() as connection:
        return {row["address"]: row["state"] for row in device_rows(connection)}


def holders(database: Database) -> list[str]:
    with database.read() as connection:
        return [row["consumer_id"] for row in device_rows(connection) if row["consumer_id"]]


def test_of_many_rivals_for_one_device_one_gets_it(database: Database, ids: dict[str, str]) -> None:
    def rival(number: int) -> bool:
        try:
            take(database, f"server-{number}", ids["0000:21:10.0"])
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(rival, range(32))) == 1
    assert len(holders(database)) == 1


def test_a_card_is_held_whole_or_in_parts_whoever_comes_first(
    database: Database, ids: dict[str, str]
) -> None:
    def rival(address: str) -> str | None:
        try:
            take(database, f"server-{address}", ids[address])
        except Conflict:
            return None
        return address

    with ThreadPoolExecutor(5) as pool:
        won = {address for address in pool.map(rival, ids) if address}
    assert won == {PF.address} or won == {vf.address for vf in VFS}


def test_a_claim_of_several_is_all_or_nothing(database: Database, ids: dict[str, str]) -> None:
    take(database, "first", ids["0000:21:10.1"])
    with pytest.raises(Conflict, match="no longer available"):
        take(database, "second", ids["0000:21:10.0"], ids["0000:21:10.1"])
    assert holders(database) == ["first"]
    assert states(database)["0000:21:10.0"] == "available"


def test_a_released_device_is_free_only_after_its_own_round_of_cleaning(
    database: Database, ids: dict[str, str]
) -> None:
    device = ids["0000:21:10.0"]
    take(database, "first", device)
    assert database.write(lambda c: claim_release(c, "first", NOW)) == (device,)
    assert database.write(lambda c: claim_release(c, "first", NOW)) == ()
    with pytest.raises(Conflict):
        take(database, "second", device)
    assert not database.write(lambda c: device_cleaned(c, HOST, device, 0, NOW))
    assert database.write(lambda c: device_cleaned(c, HOST, device, 1, NOW))
    assert not database.write(lambda c: device_cleaned(c, HOST, device, 1, NOW))
    take(database, "second", device)


def test_failed_cleaning_quarantines_with_its_reason(
    database: Database, ids: dict[str, str]
) -> None:
    device = ids["0000:21:10.0"]
    take(database, "first", device)
    database.write(lambda c: claim_release(c, "first", NOW))
    database.write(lambda c: device_cleaned(c, HOST, device, 1, NOW, problem="reset timed out"))
    assert states(database)["0000:21:10.0"] == "quarantined"
    with pytest.raises(Conflict):
        take(database, "second", device)


def clean(database: Database, *device_ids: str) -> None:
    for device_id in device_ids:
        assert database.write(
            partial(device_cleaned, host_id=HOST, device_id=device_id, round_=1, now=NOW)
        )


def test_a_whole_card_is_free_again_after_its_last_part_is_clean(
    database: Database, ids: dict[str, str]
) -> None:
    parts = ids["0000:21:10.0"], ids["0000:21:10.1"]
    take(database, "parts", *parts)
    database.write(lambda c: claim_release(c, "parts", NOW, "request-0"))
    clean(database, parts[0])
    with pytest.raises(Conflict, match="its card is in use"):
        take(database, "whole", ids[PF.address])
    database.write(lambda c: claim_release(c, "parts", NOW))
    with pytest.raises(Conflict, match="its card is in use"):
        take(database, "whole", ids[PF.address])  # the last part is not clean yet
    clean(database, parts[1])
    take(database, "whole", ids[PF.address])
    database.write(lambda c: claim_release(c, "whole", NOW))
    with pytest.raises(Conflict, match="its card is in use"):
        take(database, "part", ids["0000:21:10.2"])
    clean(database, ids[PF.address])
    take(database, "part", ids["0000:21:10.2"])


def test_a_dirty_part_that_left_does_not_bar_the_card_until_it_is_back(
    database: Database, ids: dict[str, str]
) -> None:
    dirty = ids["0000:21:10.0"]
    take(database, "part", dirty)
    database.write(lambda c: claim_release(c, "part", NOW))
    database.write(lambda c: devices_merge(c, HOST, (PF,), NOW))
    take(database, "whole", ids[PF.address])
    database.write(lambda c: claim_release(c, "whole", NOW))
    clean(database, ids[PF.address])
    database.write(lambda c: devices_merge(c, HOST, (PF, *VFS), NOW).ids)
    with pytest.raises(Conflict, match="its card is in use"):
        take(database, "whole", ids[PF.address])
    clean(database, dirty)
    take(database, "whole", ids[PF.address])


def test_the_database_itself_refuses_a_card_held_both_ways(
    database: Database, ids: dict[str, str]
) -> None:
    both = card.update().values(whole_holder="somebody", parts_held=1)
    with pytest.raises(sa.exc.IntegrityError):
        database.write(lambda c: c.execute(both))


def test_a_device_that_left_stays_with_its_holder_and_comes_back_as_itself(
    database: Database, ids: dict[str, str]
) -> None:
    held = ids["0000:21:10.0"]
    take(database, "first", held)
    database.write(lambda c: devices_merge(c, HOST, (PF,), NOW))
    with database.read() as connection:
        assert [row["id"] for row in claims_of(connection, "first")] == [held]
    with pytest.raises(Conflict):
        take(database, "second", ids["0000:21:10.1"])
    back = database.write(lambda c: devices_merge(c, HOST, (PF, *VFS), NOW).ids)
    assert back == ids


def test_another_device_at_the_same_address_is_another_device(
    database: Database, ids: dict[str, str]
) -> None:
    take(database, "first", ids["0000:21:10.0"])
    other = DeviceRow(
        address="0000:21:10.0", vendor_id="15b3", product_id="1018", dev_type="type-PCI"
    )
    new = database.write(lambda c: devices_merge(c, HOST, (PF, other), NOW).ids)
    assert new["0000:21:10.0"] != ids["0000:21:10.0"]
    with database.read() as connection:
        assert [row["present"] for row in claims_of(connection, "first")] == [False]


def test_a_host_that_says_who_holds_what_is_believed(
    database: Database, ids: dict[str, str]
) -> None:
    """By the rows the PF is dirty; a VF of it cannot be in a guest unless it was cleaned since."""
    take(database, "whole", ids[PF.address])
    database.write(lambda c: claim_release(c, "whole", NOW))
    assert states(database)[PF.address] == "cleaning"
    pick = [Pick(ids["0000:21:10.1"], "request")]
    database.write(lambda c: claim_adopt(c, "part", pick, NOW))
    told = states(database)
    assert (told[PF.address], told["0000:21:10.1"]) == ("available", "held")
    with pytest.raises(Conflict, match="no longer available"):
        database.write(lambda c: claim_adopt(c, "another", pick, NOW))
    with pytest.raises(Conflict, match="its card is in use"):
        database.write(lambda c: claim_adopt(c, "whole", [Pick(ids[PF.address], "r")], NOW))


def test_a_dirty_device_is_adopted_without_another_cleaning(
    database: Database, ids: dict[str, str]
) -> None:
    device_id = ids["0000:21:10.1"]
    take(database, "first", device_id)
    database.write(lambda c: claim_release(c, "first", NOW))
    database.write(lambda c: claim_adopt(c, "second", [Pick(device_id, "request")], NOW))
    assert states(database)["0000:21:10.1"] == "held"
    assert not database.write(lambda c: device_set_aside(c, device_id, "nobody knows", NOW))
    free = ids["0000:21:10.2"]
    assert database.write(lambda c: device_set_aside(c, free, "nobody knows", NOW))
    assert states(database)["0000:21:10.2"] == "quarantined"
