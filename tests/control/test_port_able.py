"""What a driver cannot set constrains the scheduler, and is refused on a VF that a port has."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from fleet import ADMIN, MEMBER, Fleet, fleet, lab_devices
from lanekeeper.control.compute.flavor import create_flavor
from lanekeeper.control.compute.server_create import create_servers
from lanekeeper.control.compute.server_nic import NicAsked
from lanekeeper.control.compute.server_order import NewServer
from lanekeeper.control.network.port import show_port, update_port
from lanekeeper.control.network.port_rules import PortChange
from lanekeeper.control.network.qos import create_policies, create_rule
from lanekeeper.domain.compute.flavor import Flavor
from lanekeeper.domain.errors import Conflict
from lanekeeper.domain.network.port import PortRecord
from lanekeeper.domain.network.qos import QosPolicyWanted, RuleType
from lanekeeper.protocol import DeviceFact
from lanekeeper.store.compute.server import server_get

pytestmark = pytest.mark.service
DOWN = PortChange(values={"admin_state_up": False})


def devices(driver: str) -> list[DeviceFact]:
    return [
        msgspec.structs.replace(one, driver=driver) if one.dev_type == "type-PF" else one
        for one in lab_devices()
    ]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Fleet]:
    """One host whose PFs have igb, one whose driver can do everything."""
    with fleet(f"sqlite:///{tmp_path}/x.db", tmp_path, hosts=0) as made:
        made.host("a-igb", devices("igb"))
        made.host("b-ice", devices("ice"))
        made.seen()
        yield made


def boot(world: Fleet, port: PortRecord, host: str | None = None) -> str:
    flavor = create_flavor(world.site, Flavor(id="", name="m1", vcpus=1, ram_mib=64, disk_gib=1))
    asked = NewServer(
        name="s",
        flavor_id=flavor.id,
        image_id=world.image(),
        networks=[NicAsked(port_id=port.id)],
        host=host,
    )
    return create_servers(world.site, ADMIN if host else MEMBER, asked)[0].id


def test_a_port_that_is_down_goes_where_a_link_can_be_set(world: Fleet) -> None:
    port = world.port(world.network())
    update_port(world.site, ADMIN, port.id, DOWN)
    boot(world, port)
    assert show_port(world.site, ADMIN, port.id).host_name == "b-ice"


def test_where_no_driver_can_the_fault_says_what(world: Fleet) -> None:
    port = world.port(world.network())
    update_port(world.site, ADMIN, port.id, DOWN)
    server_id = boot(world, port, host="a-igb")
    with world.site.database.read() as connection:
        record = server_get(connection, server_id)
    assert record is not None
    assert "driver cannot set the link state of a VF" in str(record.fault)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"admin_state_up": False}, "igb, cannot set the link state of a VF: admin_state_up"),
        ({"propagate_uplink_status": False}, "the link state"),
    ],
)
def test_on_a_bound_port_it_is_refused(world: Fleet, values: dict[str, bool], said: str) -> None:
    port = world.port(world.network())
    boot(world, port, host="a-igb")
    with pytest.raises(Conflict, match=said) as caught:
        update_port(world.site, ADMIN, port.id, PortChange(values=values))
    assert caught.value.code == "VfSettingNotSupported"
    assert show_port(world.site, ADMIN, port.id).admin_state_up


def test_a_policy_may_not_ask_of_a_guest_what_its_card_cannot(world: Fleet) -> None:
    world.host("c-sfc", devices("sfc"))
    world.seen()
    policy = create_policies(world.site, ADMIN, [QosPolicyWanted(name="p", shared=True)])[0]
    port = world.port(world.network())
    update_port(world.site, ADMIN, port.id, PortChange(values={"qos_policy_id": policy.id}))
    boot(world, port, host="c-sfc")
    with pytest.raises(Conflict, match="sfc, cannot set a limit"):
        create_rule(world.site, ADMIN, policy.id, RuleType.BANDWIDTH_LIMIT, {"kbps": 5000})
    assert show_port(world.site, ADMIN, port.id).qos_rules == ()
