"""The whole way of a port, on each database."""

import pytest

from api.network_site import World

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
