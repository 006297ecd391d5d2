"""Ports: made before a server wants them, addressed, refused when wrong."""

import pytest

from clients.conftest import Surroundings
from running import Instance

pytestmark = pytest.mark.client


def test_a_direct_port_waits_unbound_with_an_address(
    shared: Instance, surroundings: Surroundings
) -> None:
    made = shared.openstack(
        *["port", "create", "--network", surroundings.network, "--vnic-type", "direct", "waiting"]
    )
    assert made["binding_vnic_type"] == "direct"
    assert made["binding_vif_type"] == "unbound"
    assert made["status"] == "DOWN"
    assert made["fixed_ips"][0]["ip_address"].startswith("10.90.0.")
    assert made["mac_address"].startswith("fa:16:3e:")
    shared.done("port", "delete", "waiting")
    assert shared.openstack("port", "list", "--name", "waiting") == []


def test_an_address_and_a_mac_may_be_chosen_but_not_twice(
    shared: Instance, surroundings: Surroundings
) -> None:
    command = ["port", "create", "--network", surroundings.network]
    chosen = ["--fixed-ip", "ip-address=10.90.0.77", "--mac-address", "fa:16:3e:00:00:77"]
    made = shared.openstack(*command, *chosen, "chosen")
    assert made["fixed_ips"][0]["ip_address"] == "10.90.0.77"
    assert made["mac_address"] == "fa:16:3e:00:00:77"
    assert "409" in shared.refused(*command, "--fixed-ip", "ip-address=10.90.0.77", "same-ip")
    assert "409" in shared.refused(*command, "--mac-address", "fa:16:3e:00:00:77", "same-mac")
    shared.done("port", "delete", "chosen")


def test_an_address_outside_the_subnet_is_refused(
    shared: Instance, surroundings: Surroundings
) -> None:
    command = ["port", "create", "--network", surroundings.network]
    said = shared.refused(*command, "--fixed-ip", "ip-address=192.0.2.1", "outside")
    assert "400" in said
    assert "192.0.2.1" in said


def test_an_unknown_vnic_type_is_refused(shared: Instance, surroundings: Surroundings) -> None:
    network = shared.sdk.network.find_network(surroundings.network, ignore_missing=False)
    body = {"port": {"network_id": network.id, "binding:vnic_type": "sideways"}}
    with shared.http() as http:
        answer = http.post("/network/v2.0/ports", json=body)
    assert answer.status_code == 400
    message = answer.json()["NeutronError"]["message"]
    assert "sideways" in message
    assert "direct" in message
