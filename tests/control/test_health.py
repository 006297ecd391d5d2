"""Devices that are not well: kept back by policy, shown with the reason, and offered again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from control.test_host import server, tell
from fleet import ADMIN, MEMBER, Fleet, fleet, lab_devices
from lanekeeper.config.health import Health
from lanekeeper.control.compute.explain import explain
from lanekeeper.control.compute.flavor import create_flavor
from lanekeeper.control.compute.question import Question
from lanekeeper.control.host.device import Device, list_devices
from lanekeeper.control.host.health import Reviews, report_health
from lanekeeper.control.metrics import render
from lanekeeper.control.verify.verify import verify
from lanekeeper.domain.compute.flavor import Flavor
from lanekeeper.domain.errors import Invalid
from lanekeeper.protocol import DeviceFact, DeviceHealth, HostHealth
from lanekeeper.store.device.life import Pick, claim_adopt
from lanekeeper.store.device.listing import device_rows
from lanekeeper.store.placement.inventory import inventories_of

PF, OTHER = "0000:41:00.0", "0000:21:00.0"
WELL_S = 300.0


@pytest.fixture
def site(database_url: str, tmp_path: Path) -> Iterator[Fleet]:
    with fleet(database_url, tmp_path) as made:
        yield made


def policy(site: Fleet, **values: object) -> None:
    site.site.config = msgspec.structs.replace(site.site.config, health=Health(**values))  # type: ignore[arg-type]


def read(site: Fleet, *, carrier: bool = True, **values: object) -> None:
    """Have the host tell how the card without a network is; the other one is well."""
    mine = DeviceHealth(address=PF, carrier=carrier, **values)  # type: ignore[arg-type]
    told = HostHealth(devices=[mine, DeviceHealth(address=OTHER, carrier=True)])
    report_health(site.site, site.hosts["h1"], told)


def later(site: Fleet, seconds: float) -> None:
    site.hands.turn(seconds)
    site.seen()
    Reviews(site.site).review()


def vfs(site: Fleet, bus: str = "41") -> list[Device]:
    return [one for one in list_devices(site.site) if one.listed and one.address[5:7] == bus]


def kept_back(site: Fleet, bus: str = "41") -> set[str]:
    return {one.unfit for one in vfs(site, bus)}


def reserved(site: Fleet) -> int:
    """What Placement is told is not to be had of the card's class."""
    with site.site.database.read() as connection:
        rows = device_rows(connection)
        (provider,) = {
            row["provider_id"] for row in rows if row["listed"] and row["address"][5:7] == "41"
        }
        (found,) = inventories_of(connection, provider).values()
        return found.record.reserved


def test_a_link_that_is_down_keeps_vfs_back_until_it_has_been_up_for_long_enough(
    site: Fleet,
) -> None:
    read(site, carrier=False)
    later(site, 29)
    assert (kept_back(site), reserved(site)) == ({""}, 0)
    later(site, 1)
    assert (kept_back(site), reserved(site)) == ({f"{PF}: its link is down"}, 7)
    assert kept_back(site, "21") == {""}
    assert "kept back)" in vfs(site)[0].health[0]
    read(site)
    later(site, WELL_S - 1)
    assert reserved(site) == 7
    read(site, carrier=False)  # it flaps: the time begins anew
    read(site)
    later(site, WELL_S - 1)
    assert reserved(site) == 7
    later(site, 1)
    assert (kept_back(site), reserved(site), vfs(site)[0].health) == ({""}, 0, ())


def test_the_refusal_says_what_is_wrong_and_no_host_to_a_member(site: Fleet) -> None:
    flavor = Flavor(
        id="", name="m2", vcpus=1, ram_mib=64, disk_gib=1,
        extra_specs={"pci_passthrough:alias": "a1:1"},
    )  # fmt: skip
    question = Question(flavor=create_flavor(site.site, flavor).id)
    policy(site, raise_after_s=0)
    for pf in (PF, OTHER):
        report = HostHealth(devices=[DeviceHealth(address=pf, carrier=False)])
        report_health(site.site, site.hosts["h1"], report)
    (host,) = explain(site.site, ADMIN, question).hosts
    (verdict,) = host.verdicts
    assert verdict["filter"] == "devices"
    assert "are not well" in verdict["reason"]
    assert verdict["remedy"].startswith("mend 0000:")
    assert "its link is down; what has been well for long enough" in verdict["remedy"]
    assert f"{PF}: its link is down" in str(verdict["facts"]["unfit"])
    (told,) = explain(site.site, MEMBER, question).hosts
    assert "0000:" not in repr(told)


def test_who_holds_a_device_keeps_it_and_it_is_offered_to_nobody_after(site: Fleet) -> None:
    held = server(site)
    policy(site, raise_after_s=0)
    read(site, carrier=False)
    (mine,) = [one for one in vfs(site) if one.holder == held]
    assert (mine.state, mine.unfit) == ("held", f"{PF}: its link is down")
    assert reserved(site) == 6
    metrics = render(site.site).decode()
    assert 'lanekeeper_device_health_raised{host="h1",signal="link_down"} 1.0' in metrics
    assert 'lanekeeper_devices_unfit{host="h1"} 7.0' in metrics
    with site.site.database.read() as connection:
        assert verify(connection) == []


def test_policy_decides_and_a_new_one_holds_at_once(site: Fleet) -> None:
    reviews = Reviews(site.site)
    policy(site, link_down="warn", raise_after_s=0)
    read(site, carrier=False)
    assert (kept_back(site), "a warning)" in vfs(site)[0].health[0]) == ({""}, True)
    reviews.review()
    policy(site, link_down="exclude", raise_after_s=0)
    reviews.review()
    assert kept_back(site) == {f"{PF}: its link is down"}
    policy(site, link_down="ignore")
    reviews.review()
    assert (kept_back(site), vfs(site)[0].health) == ({""}, ())


def test_one_fatal_error_keeps_back_and_old_ones_do_not(site: Fleet) -> None:
    read(site, fatal=3)
    assert kept_back(site) == {""}
    read(site, fatal=4)
    assert "1 or more fatal PCIe errors" in kept_back(site).pop()
    later(site, 10)
    later(site, 3599)
    assert reserved(site) == 7
    later(site, 1)
    assert reserved(site) == 0


def test_a_vf_that_is_made_on_a_card_that_is_not_well_is_kept_back(site: Fleet) -> None:
    tell(site, lab_devices()[:-1])
    policy(site, raise_after_s=0)
    read(site, carrier=False)
    tell(site, lab_devices())
    assert kept_back(site) == {f"{PF}: its link is down"}


def test_a_device_that_was_away_comes_back_after_a_while_where_policy_says_so(site: Fleet) -> None:
    policy(site, missing="exclude")
    without = lab_devices()[:8]
    tell(site, without)
    later(site, 1000)
    tell(site, lab_devices())
    assert len(kept_back(site)) == 7  # each for itself
    later(site, 1)
    later(site, WELL_S - 2)
    assert reserved(site) == 7
    later(site, 1)
    assert reserved(site) == 0


@pytest.mark.parametrize(
    ("addresses", "message"),
    [((PF, PF), "at one address"), (("nowhere",), "nowhere")],
)
def test_a_report_that_makes_no_sense_changes_nothing(
    site: Fleet, addresses: tuple[str, ...], message: str
) -> None:
    told = HostHealth(devices=[DeviceHealth(address=one, carrier=False) for one in addresses])
    with pytest.raises(Invalid, match=message):
        report_health(site.site, site.hosts["h1"], told)
    later(site, 100)
    assert kept_back(site) == {""}


def test_guests_of_a_card_that_is_not_well_can_be_adopted(site: Fleet) -> None:
    """What runs holds what it holds, whatever policy says of new ones."""
    policy(site, raise_after_s=0)
    read(site, carrier=False)
    device_id = vfs(site)[0].id
    site.site.database.write(
        lambda c: claim_adopt(c, "somebody", [Pick(device_id, "request")], site.hands())
    )
    assert vfs(site)[0].state == "held"


def unmanaged(driver: str | None) -> list[DeviceFact]:
    """What a host tells that says managed = no of the VFs for aliases."""
    return [
        msgspec.structs.replace(one, tags={**one.tags, "managed": "false"}, driver=driver)
        if one.listed and one.address[5:7] == "41"
        else one
        for one in lab_devices()
    ]


def test_an_unmanaged_device_is_offered_only_while_a_vfio_driver_has_it(site: Fleet) -> None:
    flavor = Flavor(
        id="", name="m2", vcpus=1, ram_mib=64, disk_gib=1,
        extra_specs={"pci_passthrough:alias": "a1:1"},
    )  # fmt: skip
    question = Question(flavor=create_flavor(site.site, flavor).id)
    for driver, has in ((None, "it has no driver"), ("igbvf", "its driver is igbvf")):
        tell(site, unmanaged(driver))
        (host,) = explain(site.site, ADMIN, question).hosts
        (verdict,) = host.verdicts
        assert (verdict["filter"], reserved(site)) == ("devices", 7)
        assert "7 are not well" in verdict["reason"]
        assert f"{has}, and its device_spec entry says managed = no" in verdict["remedy"]
        assert "bind vfio-pci" in verdict["remedy"]
        assert all(has in reason for reason in kept_back(site))
        assert kept_back(site, "21") == {""}
    for driver in ("vfio-pci", "mlx5_vfio_pci"):
        tell(site, unmanaged(driver))
        (host,) = explain(site.site, ADMIN, question).hosts
        assert (host.verdicts, kept_back(site)) == ((), {""})
