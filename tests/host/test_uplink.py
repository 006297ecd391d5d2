"""A PF's link and its place in a bond, as the kernel says them."""

from pathlib import Path

import pytest

from lanekeeper.domain.network.uplink import Uplink
from lanekeeper.host.tree import plant
from lanekeeper.host.uplink import read_uplink

MEMBER = """\
sys/class/net/ens1/operstate = up
sys/class/net/ens1/master -> ../bond0
sys/class/net/ens1/bonding_slave/mii_status = up
"""


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("sys/class/net/ens1/operstate = up\n", Uplink(carrier=True)),
        ("sys/class/net/ens1/operstate = down\n", Uplink(carrier=False)),
        ("sys/class/net/ens1/operstate = unknown\n", Uplink()),
        (
            f"{MEMBER}sys/class/net/ens1/bonding_slave/ad_actor_oper_port_state = N/A\n",
            Uplink(carrier=True, bond="bond0", monitored=True),
        ),
        (
            f"{MEMBER}sys/class/net/ens1/bonding_slave/ad_actor_oper_port_state = 61\n",
            Uplink(carrier=True, bond="bond0", monitored=True, lacp=61),
        ),
        (
            MEMBER.replace("mii_status = up", "mii_status = down"),
            Uplink(carrier=True, bond="bond0", monitored=False),
        ),
    ],
)
def test_link_and_bond_are_read(tmp_path: Path, text: str, found: Uplink) -> None:
    assert read_uplink(plant(text, tmp_path / "machine"), "ens1") == found


def test_an_interface_that_is_gone_says_nothing(tmp_path: Path) -> None:
    assert read_uplink(tmp_path, "ens1") == Uplink()
