"""The whole way of a port, on each database."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from api.network_site import World
from lanekeeper.control.caller import Caller
from lanekeeper.control.network.network import create_networks
from lanekeeper.domain.errors import NoCapacity
from lanekeeper.domain.network.network import NetworkWanted

pytestmark = pytest.mark.service


def test_a_port_comes_is_held_and_goes(each: World) -> None:
    admin = each.client()
    network = admin.network("15", name="net15")
    subnet = admin.subnet(network["id"], name="sub15")
    assert admin.get("/networks", name="net15")["networks"][0]["subnets"] == [subnet["id"]]
    port = admin.port(
        network["id"],
        **{"name": "p", "binding:vnic_type": "direct", "binding:profile": {"trusted": "true"}},
    )
    assert (port["status"], port["binding:vif_type"]) == ("DOWN", "unbound")
    assert port["fixed_ips"][0]["subnet_id"] == subnet["id"]
    each.hold(port["id"])
    held = admin.get(f"/ports/{port['id']}")["port"]
    assert (held["status"], held["binding:vif_type"]) == ("BUILD", "hw_veb")
    assert held["binding:host_id"] == "h1"
    assert held["binding:profile"] == {
        "trusted": "true",
        "pci_slot": "0000:21:10.0",
        "physical_network": "physnet1",
    }
    assert held["binding:vif_details"]["vlan"] == "15"
    assert admin.put(f"/ports/{port['id']}/tags", {"tags": ["a", "b"]}) == ["a", "b"]
    changed = admin.put(f"/ports/{port['id']}", {"port": {"name": "q"}})
    assert changed["revision_number"] > held["revision_number"]
    for path in (f"/ports/{port['id']}", f"/networks/{network['id']}", f"/subnets/{subnet['id']}"):
        kind, message = admin.refused("DELETE", path, 409)
        assert kind in {"PortInUse", "NetworkInUse", "SubnetInUse"}
        assert "in use" in message or "use" in message


def test_bulk_is_all_or_nothing(each: World) -> None:
    admin = each.client()
    network = admin.network(15)
    admin.subnet(network["id"], "192.0.2.0/29")
    wanted = [{"network_id": network["id"]} for _ in range(6)]
    kind, _ = admin.refused("POST", "/ports", 409, {"ports": wanted})
    assert kind == "IpAddressGenerationFailure"
    assert admin.get("/ports")["ports"] == []
    made = admin.call("POST", "/ports", 201, {"ports": wanted[:5]})["ports"]
    assert len({port["fixed_ips"][0]["ip_address"] for port in made}) == 5


def test_a_nul_in_a_name_is_refused(each: World) -> None:
    _, message = each.client().refused("POST", "/networks", 400, {"network": {"name": "a\0b"}})
    assert "NUL" in message


def test_drawn_vlan_ids_are_given_once_each(each: World) -> None:
    caller = Caller(user_id="u", user_name="u", project_id="red", roles=frozenset({"member"}))

    def draw(_: int) -> tuple[str | None, int] | None:
        try:
            (made,) = create_networks(each.site, caller, [NetworkWanted()])
        except NoCapacity:
            return None
        return made.segments[0].physical_network, made.segments[0].vlan

    with ThreadPoolExecutor(6) as pool:
        drawn = list(pool.map(draw, range(6)))
    ids = [one for one in drawn if one is not None]
    assert sorted(ids) == [
        *[("physnet1", vlan) for vlan in (100, 101, 102)],
        ("physnet2", 7),
    ]
