"""What a claim in memory makes of the other devices of a host, units and cards among them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from domain.scheduling.hosts import need, pf, vf
from lanekeeper.domain.scheduling.claimed import claimed, classes_taken, with_ties
from lanekeeper.domain.scheduling.fit import fit_devices
from lanekeeper.domain.scheduling.host import AWAY, HostDevice, HostView, ServerRequest, Standing
from lanekeeper.domain.scheduling.selection import Choice

TAKEN = [one for one in Standing if one is not Standing.FREE and one not in AWAY]


def unit(name: str, *devices: HostDevice) -> tuple[HostDevice, ...]:
    return tuple(replace(one, unit=name) for one in devices)


def standings(*devices: HostDevice) -> dict[str, Standing]:
    return {one.id: one.standing for one in devices}


@pytest.mark.parametrize("standing", TAKEN)
def test_what_is_free_is_tied_to_what_of_its_unit_is_not(standing: Standing) -> None:
    gpu, sound = unit("g", replace(vf("gpu"), standing=standing), vf("sound"))
    other, lone = (*unit("h", vf("other")), vf("lone"))
    assert standings(*with_ties((gpu, sound, other, lone))) == {
        "gpu": standing,
        "sound": Standing.TIED,
        "other": Standing.FREE,
        "lone": Standing.FREE,
    }


@pytest.mark.parametrize("standing", [Standing.FREE, Standing.MISSING])
def test_nothing_is_tied_to_what_is_free_or_away(standing: Standing) -> None:
    devices = unit("g", replace(vf("gpu"), standing=standing), vf("sound"))
    assert with_ties(devices) == devices


def test_what_stands_otherwise_already_is_not_told_to_be_tied() -> None:
    devices = unit(
        "g",
        replace(vf("gpu"), standing=Standing.HELD),
        replace(vf("sound"), standing=Standing.QUARANTINED),
    )
    assert with_ties(devices) == devices


REQUEST = ServerRequest(vcpus=1, ram_mib=1, disk_gib=1)


def test_who_is_given_a_part_of_a_unit_holds_all_of_it() -> None:
    host = HostView(id="h", name="h", devices=(*unit("g", vf("gpu"), vf("sound")), vf("lone")))
    choice = Choice(host, fit_devices([need("a")], host.devices[:1]))  # type: ignore[arg-type]
    after = standings(*claimed(REQUEST, choice, "s").devices)
    assert after == {"gpu": Standing.HELD, "sound": Standing.HELD, "lone": Standing.FREE}
    assert len(classes_taken(choice)) == 2


def test_a_pf_that_comes_along_blocks_its_vfs_and_those_tie_their_mates() -> None:
    p0, p1 = unit("ports", pf("p0"), pf("p1"))
    part, mate = unit("mates", vf("p1v0", "p1"), vf("stranger"))
    host = HostView(id="h", name="h", devices=(p0, p1, part, mate, vf("lone")))
    choice = Choice(host, fit_devices([need("a", whole=True)], [p0]))  # type: ignore[arg-type]
    assert standings(*claimed(REQUEST, choice, "s").devices) == {
        "p0": Standing.HELD,
        "p1": Standing.HELD,
        "p1v0": Standing.BLOCKED,
        "stranger": Standing.TIED,
        "lone": Standing.FREE,
    }


def test_vfs_of_a_card_that_is_given_in_parts_block_its_pf_and_what_is_tied_to_that() -> None:
    p0, mate = unit("ports", pf("p0"), vf("beside"))
    part = vf("p0v0", "p0")
    host = HostView(id="h", name="h", devices=(p0, mate, part))
    choice = Choice(host, fit_devices([need("a")], [part]))  # type: ignore[arg-type]
    after = claimed(REQUEST, choice, "s")
    assert standings(*after.devices) == {
        "p0": Standing.BLOCKED,
        "beside": Standing.TIED,
        "p0v0": Standing.HELD,
    }
    assert {one.id: one.parts_held for one in after.devices} == {"p0": 1, "beside": 0, "p0v0": 1}
