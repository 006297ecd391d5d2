"""A whole card that did not come clean: kept back on both sides until it has been cleaned."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import structs

from fleet import ADMIN, Fleet, fleet, pf_and_vfs
from lanekeeper.control.compute.explain import Answer, explain
from lanekeeper.control.compute.flavor import create_flavor
from lanekeeper.control.compute.question import Question
from lanekeeper.control.compute.server import delete_server
from lanekeeper.control.compute.server_create import create_servers
from lanekeeper.control.compute.server_order import NewServer
from lanekeeper.control.host.device import Device, clean_device, list_devices, show_device
from lanekeeper.control.host.host import report_state
from lanekeeper.control.verify.verify import verify
from lanekeeper.domain.compute.flavor import Flavor
from lanekeeper.domain.errors import Conflict
from lanekeeper.protocol import CleaningState, DeviceFact, HostState

pytestmark = pytest.mark.service

PF, *VFS = pf_and_vfs("41", 2)
WHOLE = [structs.replace(PF, listed=True)]
PARTS = [PF, *VFS]
BOTH = [*WHOLE, *(structs.replace(one, listed=True) for one in VFS)]
OFF_THE_BUS: list[DeviceFact] = []


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[Fleet]:
    with fleet(database_url, tmp_path, hosts=0) as made:
        made.host("h1", WHOLE)
        made.seen()
        for alias in ("whole", "a1"):
            spec = {"pci_passthrough:alias": f"{alias}:1"}
            size = Flavor(id=alias, name=alias, vcpus=1, ram_mib=64, disk_gib=1, extra_specs=spec)
            create_flavor(made.site, size)
        yield made
        with made.site.database.read() as connection:
            assert verify(connection) == []


def asked(world: Fleet, alias: str) -> Answer:
    world.seen()
    return explain(world.site, ADMIN, Question(flavor=alias, image_id=world.image(alias)))


def the_pf(world: Fleet) -> Device:
    (one,) = (one for one in list_devices(world.site, "h1") if one.address == PF.address)
    return one


@pytest.fixture
def bad(world: Fleet) -> str:
    """The card's id: a guest had it whole, and it did not reset when that was gone."""
    new = NewServer(name="web", flavor_id="whole", image_id=world.image())
    (server,) = create_servers(world.site, ADMIN, new)
    delete_server(world.site, ADMIN, server.id)
    world.report(server.id, "absent")
    id_ = the_pf(world).id
    failed = CleaningState(device_id=id_, round=1, clean=False, problem="it did not reset")
    report_state(world.site, world.hosts["h1"], HostState(cleaned=[failed]))
    return id_


def test_it_is_given_to_nobody_and_what_explain_advises_helps(world: Fleet, bad: str) -> None:
    told = asked(world, "whole")
    assert not told.fits
    assert "0 are free, 1 are quarantined" in told.summary
    assert "have them cleaned (lanekeeper device clean ID)" in told.summary
    clean_device(world.site, bad)
    assert not asked(world, "whole").fits
    world.clean(world.hosts["h1"])
    assert asked(world, "whole").fits


def test_its_vfs_are_kept_back_beside_it(world: Fleet, bad: str) -> None:
    world.host("h1", BOTH)
    told = asked(world, "a1")
    assert not told.fits
    assert f"since its card's other side is quarantined ({PF.address})" in told.summary
    clean_device(world.site, bad)
    world.clean(world.hosts["h1"])
    assert asked(world, "a1").fits


def test_it_is_not_cleaned_while_only_its_vfs_are_listed_and_the_remedy_works(
    world: Fleet, bad: str
) -> None:
    world.host("h1", PARTS)
    assert [one.id for one in list_devices(world.site, waiting=True)] == [bad]
    told = asked(world, "a1")
    assert not told.fits
    assert f"since its card's other side is not clean ({PF.address})" in told.summary
    assert f"list {PF.address} again, in the place of its card's other side" in told.summary
    with pytest.raises(Conflict, match="was quarantined before \\(it did not reset\\)") as refused:
        clean_device(world.site, bad)
    assert "have an entry list it again in the place of its VFs" in refused.value.hint
    assert show_device(world.site, bad).state == "quarantined"  # and nothing was ordered
    world.host("h1", WHOLE)
    clean_device(world.site, bad)
    world.clean(world.hosts["h1"])
    world.host("h1", PARTS)
    assert asked(world, "a1").fits


@pytest.mark.parametrize("back", [WHOLE, BOTH, PARTS], ids=["whole", "both", "parts"])
def test_it_is_quarantined_still_when_it_was_missing(
    world: Fleet, bad: str, back: list[DeviceFact]
) -> None:
    world.host("h1", OFF_THE_BUS)
    gone = show_device(world.site, bad)
    assert (gone.state, gone.state_reason) == ("missing", "it did not reset")
    assert not asked(world, "whole").fits
    world.host("h1", back)
    there = show_device(world.site, bad)
    assert (there.state, there.state_reason) == ("quarantined", "it did not reset")
    assert not asked(world, "whole").fits
    assert not asked(world, "a1").fits
