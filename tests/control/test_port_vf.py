"""What hosts tell of the VFs of ports: kept when it is news, with an event for what was mended."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from fleet import ADMIN, MEMBER, Fleet, fleet
from lanekeeper.control.compute.flavor import create_flavor
from lanekeeper.control.compute.port_chain import port_chain
from lanekeeper.control.compute.server import (
    delete_server,
    reboot_server,
    start_server,
    stop_server,
)
from lanekeeper.control.compute.server_create import create_servers
from lanekeeper.control.compute.server_list import list_events
from lanekeeper.control.compute.server_nic import NicAsked
from lanekeeper.control.compute.server_order import NewServer
from lanekeeper.control.host.desired import desired_of
from lanekeeper.control.host.removal import remove_host
from lanekeeper.control.network.port import delete_port
from lanekeeper.control.network.port_vf import report_vfs
from lanekeeper.domain.compute.flavor import Flavor
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.network.port_vf import PortVf
from lanekeeper.domain.pci.vf_settings import VfSettings
from lanekeeper.protocol import HostVfs, NicWanted, VfFact, VfMend, VfReading
from lanekeeper.store.host.host import host_frozen_set
from lanekeeper.store.network.port import port_show
from lanekeeper.store.network.port_vf import vf_get
from lanekeeper.store.tables import port_vf
from statements import Statement, statements

pytestmark = pytest.mark.service
AT = datetime(2026, 11, 21, 8, 59, tzinfo=UTC)
WAS = VfReading(vlan=99)


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[Fleet]:
    with fleet(database_url, tmp_path, hosts=2) as made:
        made.seen()
        yield made


def boot(world: Fleet, *names: str) -> str:
    """A running server with ports of these names; returns its id."""
    network = world.network()
    flavor = create_flavor(world.site, Flavor(id="", name="m1", vcpus=1, ram_mib=64, disk_gib=1))
    nics = [NicAsked(port_id=world.port(network, name).id) for name in names]
    asked = NewServer(name="s", flavor_id=flavor.id, image_id=world.image(), networks=nics)
    (made,) = create_servers(world.site, MEMBER, asked)
    world.report(made.id, "running")
    return made.id


def where(world: Fleet) -> str:
    """The host that has servers."""
    (found,) = [one for one in world.hosts.values() if desired_of(world.site, one).servers]
    return found


def world_name(world: Fleet) -> str:
    return next(name for name, host_id in world.hosts.items() if host_id == where(world))


def nics(world: Fleet) -> list[NicWanted]:
    return desired_of(world.site, where(world)).servers[0].nics


def fact(nic: NicWanted, mended: VfMend | None = None, **found: object) -> VfFact:
    """The VF of *nic* as it is wanted but for what *found* says."""
    reading = VfReading(
        mac=nic.mac, vlan=nic.vlan, spoof_check=True, trusted=False, link_state="auto"
    )
    return VfFact(
        port_id=nic.port_id,
        address=nic.device.address,
        found=msgspec.structs.replace(reading, **found),
        unknown=["link_state"],
        mended=mended,
    )


def tell(world: Fleet, *facts: VfFact, host_id: str = "") -> None:
    report_vfs(world.site, host_id or where(world), HostVfs(vfs=list(facts)))


def held_down(nic: NicWanted) -> VfFact:
    return msgspec.structs.replace(fact(nic), held_down="of 0000:21:00.0, it has no link")


def status(world: Fleet, nic: NicWanted) -> str:
    with world.site.database.read() as connection:
        found = port_show(connection, nic.port_id)
    assert found is not None
    return found.status


def known(world: Fleet, port_id: str) -> PortVf | None:
    with world.site.database.read() as connection:
        return vf_get(connection, port_id)


def mends(world: Fleet, server_id: str) -> list[str]:
    """The events that tell of a mend, each with what was said; the latest first."""
    events = list_events(world.site, MEMBER, server_id)
    return [str(one.detail["said"]) for one in events if one.action == "mend_port"]


def written(said: Iterable[Statement]) -> list[str]:
    texts = [one.text.split() for one in said]
    return [" ".join(words[:2]) for words in texts if words[0] in ("UPDATE", "INSERT", "DELETE")]


def test_what_is_told_is_kept_and_nothing_is_written_that_is_no_news(world: Fleet) -> None:
    boot(world, "a", "b", "c")
    cards = nics(world)
    tell(world, *map(fact, cards))
    found = known(world, cards[0].port_id)
    assert found is not None
    assert found.found == VfSettings(mac=cards[0].mac, vlan=15)
    assert (found.address, found.unknown) == (cards[0].device.address, ("link_state",))
    assert (found.since, found.mended) == (world.hands(), None)

    world.hands.turn(60)
    mine = where(world)
    with statements() as said:
        tell(world, *map(fact, cards), host_id=mine)
    assert written(said) == []
    with statements() as of_one:
        tell(world, fact(cards[0]), fact(cards[1], vlan=99), fact(cards[2]), host_id=mine)
    assert written(of_one) == ["UPDATE port_vf"]
    changed, other = known(world, cards[1].port_id), known(world, cards[2].port_id)
    assert changed is not None
    assert other is not None
    assert (changed.since - other.since, changed.found) == (
        timedelta(seconds=60),
        VfSettings(mac=cards[1].mac, vlan=99),
    )
    with statements() as of_all:
        tell(world, *(fact(card, vlan=7) for card in cards), host_id=mine)
    assert written(of_all) == written(of_one)
    assert len(of_all) == len(of_one), "as much is said to the database for three ports as for one"


def test_a_guest_that_ends_is_known_no_more_and_its_last_mend_is(world: Fleet) -> None:
    server_id = boot(world, "a")
    (card,) = nics(world)
    mend = VfMend(at=AT, lost=["vlan"], was=WAS)
    tell(world, fact(card, mend))
    stop_server(world.site, MEMBER, server_id)
    world.hands.turn(60)
    tell(world)
    found = known(world, card.port_id)
    assert found is not None
    assert (found.found, found.since) == (None, world.hands())
    assert found.mended is not None
    assert (found.mended.at, found.mended.lost, found.mended.was.vlan) == (AT, ("vlan",), 99)
    tell(world, fact(card))  # of an agent that was started again, and does not remember
    assert mends(world, server_id) != []
    again = known(world, card.port_id)
    assert again is not None
    assert again.mended == found.mended


def test_a_mend_is_an_event_of_the_server_once_and_not_more_than_each_hour(world: Fleet) -> None:
    server_id = boot(world, "a")
    (card,) = nics(world)
    first = VfMend(at=AT, lost=["vlan", "trust"], was=WAS)
    tell(world, fact(card, first))
    tell(world, fact(card, first))  # repeated, as after a lost answer
    (said,) = mends(world, server_id)
    assert said == (
        f"port {card.port_id}: vlan, trust of its VF {card.device.address} had been changed by "
        f"something else on {world_name(world)}, and was set again"
    )
    for minutes, events in ((10, 1), (59, 1), (61, 2), (70, 2)):
        at = AT + timedelta(minutes=minutes)
        world.hands.at = datetime(2026, 11, 21, 9, tzinfo=UTC) + timedelta(minutes=minutes)
        tell(world, fact(card, VfMend(at=at, lost=["vlan"], was=WAS)))
        found = known(world, card.port_id)
        assert found is not None
        assert found.mended is not None
        assert (found.mended.at, len(mends(world, server_id))) == (at, events)


def test_what_fails_is_written_to_what_was_asked_and_not_to_a_mend(world: Fleet) -> None:
    server_id = boot(world, "a")
    (card,) = nics(world)
    reboot_server(world.site, MEMBER, server_id, hard=True)
    tell(world, fact(card, VfMend(at=AT, lost=["vlan"], was=WAS)))
    world.report(server_id, "failed", problem="no such luck")
    told = {one.action: one.message for one in list_events(world.site, MEMBER, server_id)}
    assert told == {"create": "", "reboot": "no such luck", "mend_port": ""}


def test_another_hosts_word_on_a_port_counts_for_nothing(world: Fleet) -> None:
    boot(world, "a")
    (card,) = nics(world)
    mine = where(world)
    (other,) = set(world.hosts.values()) - {mine}
    tell(world, fact(card, vlan=7), host_id=other)
    assert known(world, card.port_id) is None
    tell(world, fact(card))
    tell(world, fact(card, vlan=7), host_id=other)
    tell(world, host_id=other)
    found = known(world, card.port_id)
    assert found is not None
    assert (found.host_id, found.found) == (mine, VfSettings(mac=card.mac, vlan=15))
    stranger = msgspec.structs.replace(fact(card), port_id="nobody's")
    tell(world, fact(card), stranger)
    assert known(world, "nobody's") is None


def test_of_a_frozen_host_nothing_is_concluded(world: Fleet) -> None:
    boot(world, "a")
    (card,) = nics(world)
    mine = where(world)
    world.site.database.write(lambda c: host_frozen_set(c, mine, "lost", "9.x"))
    report_vfs(world.site, mine, HostVfs(vfs=[fact(card)]))
    assert known(world, card.port_id) is None


def test_it_goes_with_its_port_and_with_its_host(world: Fleet) -> None:
    server_id = boot(world, "a", "b")
    cards, mine = nics(world), where(world)
    tell(world, *map(fact, cards))
    delete_server(world.site, MEMBER, server_id)
    world.report(server_id, "absent")
    delete_port(world.site, MEMBER, cards[0].port_id)
    assert known(world, cards[0].port_id) is None
    assert known(world, cards[1].port_id) is not None
    world.clean(mine)
    remove_host(world.site, mine)
    with world.site.database.read() as connection:
        assert connection.execute(sa.select(port_vf)).all() == []


def test_what_makes_no_sense_is_refused_and_nothing_is_taken_over(world: Fleet) -> None:
    boot(world, "a")
    (card,) = nics(world)
    with pytest.raises(Invalid, match="a port is told of twice"):
        tell(world, fact(card), fact(card, vlan=7))
    with pytest.raises(Invalid, match="'here' is not a PCI address"):
        tell(world, msgspec.structs.replace(fact(card), address="here"))
    early = datetime.fromisoformat("0001-01-01T00:00:00+14:00")
    with pytest.raises(Invalid, match="is in no year"):
        tell(world, fact(card, VfMend(at=early, lost=[], was=WAS)))
    assert known(world, card.port_id) is None


def test_a_port_whose_uplink_is_down_is_down_and_says_why(world: Fleet) -> None:
    server_id = boot(world, "a", "b")
    card, other = nics(world)
    tell(world, fact(card), fact(other))
    why = "of 0000:21:00.0, its switch does not speak LACP to bond0"
    held = msgspec.structs.replace(fact(card, link_state="disable"), held_down=why)

    def events() -> list[str]:
        found = list_events(world.site, MEMBER, server_id)
        return [str(one.detail["said"]) for one in found if one.action == "hold_port"]

    tell(world, held, fact(other))
    assert (status(world, card), status(world, other)) == ("DOWN", "ACTIVE")
    (said,) = events()
    assert said.endswith(f"on {world_name(world)} has no link: {why}")
    chain = port_chain(world.site, ADMIN, card.port_id)
    assert chain.why == f"its VF has no link, since nothing passes at its uplink: {why}"
    assert chain.differences == ()
    reboot_server(world.site, MEMBER, server_id, hard=True)
    world.report(server_id, "running")
    assert (status(world, card), status(world, other)) == (
        "DOWN",
        "ACTIVE",
    )  # it has no link all the same
    with statements() as seen:
        tell(world, held, fact(other))
    assert written(seen) == []
    tell(world, fact(card), fact(other))
    assert (status(world, card), status(world, other)) == ("ACTIVE", "ACTIVE")
    tell(world, held, fact(other))
    assert status(world, card) == "DOWN"
    assert len(events()) == 1  # at most one an hour


def test_a_link_that_came_back_while_its_guest_was_off_is_up(world: Fleet) -> None:
    server_id = boot(world, "a")
    (card,) = nics(world)
    tell(world, held_down(card))
    stop_server(world.site, MEMBER, server_id)
    world.report(server_id, "stopped")
    tell(world)
    found = known(world, card.port_id)
    assert found is not None
    assert found.held_down == ""
    start_server(world.site, MEMBER, server_id)
    world.report(server_id, "running")
    assert status(world, card) == "ACTIVE"  # of the new guest nobody has said that it is not
    tell(world, fact(card))
    assert status(world, card) == "ACTIVE"


def test_a_vf_that_could_not_be_read_for_a_while_has_the_link_that_is_told_then(
    world: Fleet,
) -> None:
    boot(world, "a")
    (card,) = nics(world)
    tell(world, held_down(card))
    tell(world)
    assert status(world, card) == "DOWN"  # the guest runs on, and nobody says that it has a link
    tell(world, held_down(card))
    assert status(world, card) == "DOWN"
    tell(world)
    tell(world, fact(card))
    assert status(world, card) == "ACTIVE"
