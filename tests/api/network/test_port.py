"""``/v2.0/ports``: made, bound, changed, refused."""

from datetime import timedelta
from typing import Any

import pytest

from api.network_site import HOST_ID, Client, World
from lanekeeper.domain.network.port import VnicType
from lanekeeper.store.tables import desired_mark, server

pytestmark = pytest.mark.service
GONE = "00000000-0000-4000-8000-000000000000"
DIRECT = {"binding:vnic_type": "direct"}


@pytest.fixture
def network(admin: Client) -> str:
    made = admin.network(15)
    admin.subnet(made["id"])
    return str(made["id"])


@pytest.mark.parametrize("vnic_type", list(VnicType))
def test_every_vnic_type_can_be_asked_for(admin: Client, network: str, vnic_type: str) -> None:
    made = admin.port(network, **{"binding:vnic_type": vnic_type})
    assert made["binding:vnic_type"] == vnic_type
    assert (made["binding:vif_type"], made["status"]) == ("unbound", "DOWN")


def test_mac_and_address_can_be_chosen(admin: Client, network: str) -> None:
    made = admin.port(
        network, mac_address="FA-16-3E-00-00-77", fixed_ips=[{"ip_address": "192.0.2.77"}]
    )
    assert made["mac_address"] == "fa:16:3e:00:00:77"
    assert [one["ip_address"] for one in made["fixed_ips"]] == ["192.0.2.77"]
    gateway = admin.port(network, fixed_ips=[{"ip_address": "192.0.2.1"}])
    assert gateway["fixed_ips"][0]["ip_address"] == "192.0.2.1"
    for wanted, kind in (
        ({"mac_address": "fa:16:3e:00:00:77"}, "MacAddressInUse"),
        ({"fixed_ips": [{"ip_address": "192.0.2.77"}]}, "IpAddressAlreadyAllocated"),
    ):
        body = {"port": {"network_id": network, **wanted}}
        assert admin.refused("POST", "/ports", 409, body)[0] == kind
    admin.port(admin.network(16)["id"], mac_address="fa:16:3e:00:00:77")


def test_a_port_may_have_no_address(admin: Client, network: str) -> None:
    made = admin.port(network, fixed_ips=[])
    assert (made["fixed_ips"], made["ip_allocation"]) == ([], "none")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"binding:vnic_type": "sideways"}, "'sideways' is not one of normal, direct"),
        (
            {"extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": "9\noption:router,1.1.1.1"}]},
            "extra_dhcp_opts[0]: opt_value of mtu has a line break",
        ),
        ({"binding:profile": "trusted=true"}, "port.binding:profile"),
        ({"binding:profile": {"k": "v" * 4096}}, "at most 4095"),
        ({"mac_address": "00:00:00:00:00:00"}, "mac_address '00:00:00:00:00:00'"),
        ({"mac_address": "nonsense"}, "mac_address 'nonsense'"),
        ({"mac_address": "01:00:5e:00:00:01"}, "mac_address '01:00:5e:00:00:01' is a multicast"),
        ({"mac_address": "ff:ff:ff:ff:ff:ff"}, "the first octet is even"),
        ({"fixed_ips": [{"ip_address": "198.51.100.1"}]}, "198.51.100.1"),
        ({"fixed_ips": [{"ip_address": "192.0.2.255"}]}, "192.0.2.255"),
        ({"fixed_ips": [{"ip_address": "nonsense"}]}, "ip_address 'nonsense'"),
        ({"fixed_ips": [{"ip_address": "192.0.2.7"}] * 2}, "more than once"),
        ({"fixed_ips": [{"subnet_id": GONE}]}, "not one of this network's"),
        ({"fixed_ips": [{"subnet_id": "elsewhere"}]}, "subnet_id 'elsewhere' is not a valid UUID"),
        ({"numa_affinity_policy": "near"}, "required, preferred, socket, legacy"),
        ({"binding:vif_type": "hw_veb"}, "unknown field `binding:vif_type`"),
        ({"admin_state_up": "maybe"}, "admin_state_up 'maybe'"),
        ({"network_id": "net15"}, "not a valid UUID"),
        ({"name": "n" * 10_000}, "port.name"),
        ({"allowed_address_pairs": [{"ip_address": "x"}]}, "allowed_address_pairs"),
        ({"port_security_enabled": False, "security_groups": ["x"]}, "port_security_enabled true"),
    ],
)
def test_a_wrong_field_is_400_and_named(
    admin: Client, network: str, more: dict[str, Any], words: str
) -> None:
    _, message = admin.refused("POST", "/ports", 400, {"port": {"network_id": network, **more}})
    assert words in message
    assert admin.get("/ports")["ports"] == []


def test_what_is_not_there_is_404(admin: Client, network: str) -> None:
    nowhere = "00000000-0000-4000-8000-000000000000"
    for more, kind in (
        ({"network_id": nowhere}, "NetworkNotFound"),
        ({"security_groups": [nowhere]}, "SecurityGroupNotFound"),
        ({"qos_policy_id": nowhere}, "QosPolicyNotFound"),
    ):
        body = {"port": {"network_id": network, **more}}
        assert admin.refused("POST", "/ports", 404, body)[0] == kind
    for method in ("GET", "DELETE"):
        assert admin.refused(method, f"/ports/{nowhere}", 404)[0] == "PortNotFound"


def test_members_see_the_vnic_type_and_nothing_of_the_host(one: World, network: str) -> None:
    admin, member = one.client(), one.client("member")
    port = admin.port(network, **DIRECT)
    seen = member.get(f"/ports/{port['id']}")["port"]
    assert {key for key in seen if key.startswith("binding:")} == {"binding:vnic_type"}


@pytest.mark.parametrize(
    ("more", "rule"),
    [
        ({"binding:profile": {"trusted": "true"}}, "create_port:binding:profile"),
        ({"binding:host_id": "h1"}, "create_port:binding:host_id"),
        ({"trusted": True}, "create_port:trusted"),
    ],
)
def test_what_is_an_admins_to_say_is_403(
    one: World, network: str, more: dict[str, Any], rule: str
) -> None:
    body = {"port": {"network_id": network, **more}}
    kind, message = one.client("member").refused("POST", "/ports", 403, body)
    assert (kind, rule in message) == ("PolicyNotAuthorized", True)
    one.client("service").port(network, **more)


@pytest.mark.parametrize(
    "more",
    [
        {"mac_address": "fa:16:3e:00:00:01"},
        {"fixed_ips": [{"ip_address": "192.0.2.7"}]},
        {"port_security_enabled": False},
        {"device_owner": "network:dhcp"},
    ],
)
def test_on_a_shared_network_some_things_are_its_owners(
    one: World, network: str, more: dict[str, Any]
) -> None:
    one.client().put(f"/networks/{network}", {"network": {"shared": True}})
    blue = one.client("member", "blue")
    blue.port(network)
    body = {"port": {"network_id": network, **more}}
    assert blue.refused("POST", "/ports", 403, body)[0] == "PolicyNotAuthorized"


def test_trusted_is_shown_in_the_profile_too(admin: Client, network: str) -> None:
    made = admin.port(network, trusted=True, **DIRECT)
    assert (made["trusted"], made["binding:profile"]) == (True, {"trusted": True})
    changed = admin.put(f"/ports/{made['id']}", {"port": {"trusted": None}})
    assert (changed["trusted"], changed["binding:profile"]) == (None, {})


def test_a_port_that_names_its_host_is_bound_there(admin: Client, network: str) -> None:
    made = admin.port(network, **DIRECT, **{"binding:host_id": "h1"})
    assert made["binding:vif_type"] == "hw_veb"
    assert made["binding:vif_details"]["vlan"] == "15"
    path = f"/ports/{made['id']}"
    for change, kind in (
        ({"mac_address": "fa:16:3e:00:00:01"}, "PortBound"),
        ({"binding:vnic_type": "normal"}, "PortInUse"),
    ):
        assert admin.refused("PUT", path, 409, {"port": change})[0] == kind
    freed = admin.put(path, {"port": {"binding:host_id": ""}})
    assert (freed["binding:vif_type"], freed["binding:vif_details"]) == ("unbound", {})
    moved = admin.put(path, {"port": {"mac_address": "fa:16:3e:00:00:01"}})
    assert moved["mac_address"] == "fa:16:3e:00:00:01"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"binding:host_id": "nowhere", **DIRECT}, "no host nowhere"),
        ({"binding:host_id": "h1"}, "has no virtual switch on physnet1"),
        ({"binding:host_id": "h1", "binding:vnic_type": "vdpa"}, "not carried"),
    ],
)
def test_why_a_binding_failed_stands_in_the_port(
    admin: Client, network: str, more: dict[str, Any], words: str
) -> None:
    made = admin.port(network, **more)
    assert made["binding:vif_type"] == "binding_failed"
    assert words in made["binding:vif_details"]["binding_failure"]


def test_a_silent_host_binds_nothing_until_it_is_heard_again(one: World, network: str) -> None:
    admin = one.client()
    one.host_is_heard(ago=timedelta(seconds=76))
    made = admin.port(network, **DIRECT, **{"binding:host_id": "h1"})
    assert "not been heard of" in made["binding:vif_details"]["binding_failure"]
    one.host_is_heard()
    path = f"/ports/{made['id']}"
    admin.put(path, {"port": {"binding:host_id": ""}})
    again = admin.put(path, {"port": {"binding:host_id": "h1"}})
    assert again["binding:vif_type"] == "hw_veb"


def test_addresses_can_change(admin: Client, network: str) -> None:
    made = admin.port(network, fixed_ips=[{"ip_address": "192.0.2.7"}])
    path = f"/ports/{made['id']}"
    wanted = [{"ip_address": "192.0.2.7"}, {"ip_address": "192.0.2.8"}]
    changed = admin.put(path, {"port": {"fixed_ips": wanted}})
    assert [one["ip_address"] for one in changed["fixed_ips"]] == ["192.0.2.7", "192.0.2.8"]
    changed = admin.put(path, {"port": {"fixed_ips": wanted[1:]}})
    assert [one["ip_address"] for one in changed["fixed_ips"]] == ["192.0.2.8"]
    admin.port(network, fixed_ips=[{"ip_address": "192.0.2.7"}])
    kind, _ = admin.refused("PUT", path, 409, {"port": {"fixed_ips": wanted}})
    assert kind == "IpAddressAlreadyAllocated"
    assert admin.put(path, {"port": {"fixed_ips": []}})["fixed_ips"] == []


def test_what_a_host_writes_to_a_vf_is_told_to_it(one: World, network: str) -> None:
    admin = one.client()
    port = admin.port(network, **DIRECT)
    one.hold(port["id"])
    rung: list[str] = []
    one.site.bells.listen(HOST_ID, lambda: rung.append("h1"))
    path = f"/ports/{port['id']}"
    admin.put(path, {"port": {"name": "no business of the host"}})
    assert rung == []
    for change in (
        {"admin_state_up": False},
        {"trusted": True},
        {"propagate_uplink_status": "false"},
        {"security_groups": [], "port_security_enabled": False},
    ):
        admin.put(path, {"port": change})
    assert rung == ["h1"] * 4
    with one.site.database.read() as connection:
        assert connection.scalar(server.select().with_only_columns(server.c.generation)) == 5
        assert len(connection.execute(desired_mark.select()).all()) == 4


@pytest.mark.parametrize(
    "change",
    [
        {"device_id": ""},
        {"device_id": "other"},
        {"binding:host_id": "h2"},
        {"binding:profile": {}},
        {"binding:vnic_type": "normal"},
        {"numa_affinity_policy": "required"},
    ],
)
def test_what_a_server_stands_on_is_not_moved_under_it(
    one: World, network: str, change: dict[str, Any]
) -> None:
    admin = one.client()
    port = admin.port(network, **DIRECT)
    one.hold(port["id"])
    before = admin.get(f"/ports/{port['id']}")
    kind, message = admin.refused("PUT", f"/ports/{port['id']}", 409, {"port": change})
    assert (kind, "server-1" in message) == ("PortInUse", True)
    assert admin.refused("DELETE", f"/ports/{port['id']}", 409)[0] == "PortInUse"
    assert admin.get(f"/ports/{port['id']}") == before


def test_nobody_gives_a_port_to_a_server_behind_its_back(one: World, network: str) -> None:
    admin = one.client()
    one.hold(admin.port(network, **DIRECT)["id"])
    stolen = {"network_id": network, "device_id": "server-1"}
    assert admin.refused("POST", "/ports", 409, {"port": stolen})[0] == "PortInUse"
    path = f"/ports/{admin.port(network)['id']}"
    kind, message = admin.refused("PUT", path, 409, {"port": {"device_id": "server-1"}})
    assert (kind, "creates the server" in message) == ("PortInUse", True)
    assert admin.put(path, {"port": {"device_id": "appliance"}})["device_id"] == "appliance"


def test_security_off_goes_with_no_groups_and_no_pairs(admin: Client, network: str) -> None:
    made = admin.port(network)
    assert len(made["security_groups"]) == 1
    path = f"/ports/{made['id']}"
    off = {"port_security_enabled": False}
    kind, _ = admin.refused("PUT", path, 409, {"port": off})
    assert kind == "PortSecurityPortHasSecurityGroup"
    pair = {"allowed_address_pairs": [{"ip_address": "192.0.2.0/24"}]}
    with_pair = admin.put(path, {"port": {"security_groups": [], **pair}})
    assert with_pair["allowed_address_pairs"] == [
        {"ip_address": "192.0.2.0/24", "mac_address": made["mac_address"]}
    ]
    kind, _ = admin.refused("PUT", path, 409, {"port": off})
    assert kind == "AddressPairAndPortSecurityRequired"
    assert admin.put(path, {"port": {**off, "allowed_address_pairs": []}})["security_groups"] == []
    bare = admin.port(network, port_security_enabled="False")
    assert (bare["port_security_enabled"], bare["security_groups"]) == (False, [])


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"port_security_enabled": False, "security_groups": []}, "port_security_enabled"),
        ({"fixed_ips": [{"ip_address": "192.0.2.1"}]}, "fixed_ips:ip_address"),
        ({"allowed_address_pairs": [{"ip_address": "0.0.0.0/0"}]}, "allowed_address_pairs"),
        ({"device_owner": "network:dhcp"}, "device_owner"),
    ],
)
def test_a_shared_networks_guest_changes_no_more_than_it_may_say_first(
    one: World, change: dict[str, Any], rule: str
) -> None:
    owner, guest = one.client(), one.client("member", "blue")
    network = owner.network(15, shared=True)["id"]
    owner.subnet(network)
    made = guest.port(network)
    path = f"/ports/{made['id']}"
    kind, words = guest.refused("PUT", path, 403, {"port": change})
    assert (kind, f"update_port:{rule} " in words) == ("PolicyNotAuthorized", True)
    assert guest.get(path)["port"] == made
    # What stays as it is may be said again.
    same = {name: made[name] for name in ("fixed_ips", "port_security_enabled", "device_owner")}
    assert guest.put(path, {"port": same})["fixed_ips"] == made["fixed_ips"]
    assert owner.put(path, {"port": change})["id"] == made["id"]


def test_a_port_of_the_networks_own_goes_with_it(admin: Client, network: str) -> None:
    admin.port(network, device_owner="network:dhcp", device_id="dhcp-1")
    admin.delete(f"/networks/{network}")
    assert admin.get("/ports")["ports"] == []


def test_a_profile_that_changes_leaves_the_port_on_its_host(admin: Client, network: str) -> None:
    port = admin.port(network, **{"binding:vnic_type": "direct", "binding:host_id": "h1"})
    changed = admin.put(f"/ports/{port['id']}", {"port": {"binding:profile": {"a": 1}}})
    assert (changed["binding:host_id"], changed["binding:vif_type"]) == ("h1", "hw_veb")


def test_what_others_say_of_the_data_plane_is_kept(one: World, admin: Client, network: str) -> None:
    path = f"/ports/{admin.port(network)['id']}"
    assert admin.get(path)["port"]["data_plane_status"] is None
    for status in ("DOWN", "ACTIVE", None):
        changed = admin.put(path, {"port": {"data_plane_status": status}})
        assert (changed["data_plane_status"], changed["status"]) == (status, "DOWN")
    _, message = admin.refused("PUT", path, 400, {"port": {"data_plane_status": "up"}})
    assert "data_plane_status" in message
    wanted = {"port": {"network_id": network, "data_plane_status": "DOWN"}}
    assert "data_plane_status" in admin.refused("POST", "/ports", 400, wanted)[1]
    change = {"port": {"data_plane_status": "DOWN"}}
    kind, message = one.client("member").refused("PUT", path, 403, change)
    assert (kind, "update_port:data_plane_status" in message) == ("PolicyNotAuthorized", True)


def test_ports_of_one_request_have_their_tags(admin: Client, network: str) -> None:
    wanted = [{"network_id": network, "tags": tags} for tags in (["a"], ["b", "c"])]
    made = admin.call("POST", "/ports", 201, {"ports": wanted})["ports"]
    assert [port["tags"] for port in made] == [["a"], ["b", "c"]]
