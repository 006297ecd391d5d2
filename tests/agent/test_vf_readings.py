from datetime import UTC, datetime

from agent.orders_of import nic, vf
from lanekeeper.agent.vf_readings import VfReadings
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.vf_settings import VfSettings

ONE, TWO = PciAddress.parse("0000:21:10.0"), PciAddress.parse("0000:21:10.2")
OLD, NEW = VfSettings(vlan=99), VfSettings(vlan=15)
NONE: frozenset[PciAddress] = frozenset()
BOTH = frozenset({str(ONE), str(TWO)})


def test_a_reading_counts_until_the_next_one() -> None:
    vfs = VfReadings()
    vfs.renew({ONE: OLD, TWO: OLD}, unread=NONE, wanted=BOTH)
    vfs.renew({ONE: NEW}, unread=frozenset({TWO}), wanted=BOTH)
    assert vfs.settings() == {ONE: NEW, TWO: OLD}
    vfs.renew({ONE: NEW}, unread=NONE, wanted=BOTH)
    assert vfs.settings() == {ONE: NEW}


def test_what_was_set_anew_is_to_be_read_anew() -> None:
    vfs = VfReadings()
    vfs.renew({ONE: OLD, TWO: OLD}, unread=NONE, wanted=BOTH)
    vfs.forget(frozenset({"a server", str(ONE)}))
    assert vfs.settings() == {TWO: OLD}
    vfs.renew({}, unread=frozenset({ONE, TWO}), wanted=BOTH)
    assert vfs.settings() == {TWO: OLD}


def test_what_a_driver_does_not_know_is_remembered_while_its_vf_is_wanted() -> None:
    vfs = VfReadings()
    vfs.learned({ONE: frozenset({"link_state"}), TWO: frozenset()})
    vfs.renew({}, unread=NONE, wanted=frozenset({str(ONE)}))
    assert vfs.unsupported() == {ONE: frozenset({"link_state"})}


def test_what_was_mended_is_kept_with_its_port_alone() -> None:
    vfs, when = VfReadings(), datetime(2026, 11, 21, 9, tzinfo=UTC)
    vfs.renew({PciAddress.parse(vf(3).address): OLD}, unread=NONE, wanted=frozenset())
    vfs.settle([nic(3), nic(4)])
    vfs.mended(nic(3), ("vlan",), when)
    (mend,) = vfs.mends().values()
    assert (mend.at, mend.lost, mend.was.vlan) == (when, ["vlan"], 99)
    vfs.keep(frozenset({"port-4"}))
    assert (vfs.mends(), vfs.settled()) == ({}, {"port-4": nic(4).settings()})
