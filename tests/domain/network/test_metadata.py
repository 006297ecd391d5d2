"""What the config drive tells a guest of its network."""

from domain.network.network_facts import a_port, a_subnet
from lanekeeper.domain.network.metadata import network_data
from lanekeeper.domain.network.port import FixedIp, VifType

SUBNET_6 = a_subnet(
    id="sub6",
    ip_version=6,
    cidr="2001:db8::/64",
    gateway_ip="2001:db8::",
    dns_nameservers=("198.51.100.53",),
    host_routes=(),
    ipv6_address_mode="slaac",
)


def test_a_port_is_a_link_and_each_address_a_network() -> None:
    port = a_port(fixed_ips=(FixedIp("sub4", "192.0.2.15"), FixedIp("sub6", "2001:db8::15")))
    told = network_data([port], {"sub4": a_subnet(), "sub6": SUBNET_6})
    dns = {"type": "dns", "address": "198.51.100.53"}
    assert told == {
        "links": [
            {
                "id": "tap0f1e2d3c-4b",
                "vif_id": port.id,
                "type": "hw_veb",
                "mtu": 1500,
                "ethernet_mac_address": "fa:16:3e:00:00:01",
            }
        ],
        "networks": [
            {
                "id": "network0",
                "type": "ipv4",
                "link": "tap0f1e2d3c-4b",
                "ip_address": "192.0.2.15",
                "netmask": "255.255.255.0",
                "routes": [
                    {"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "192.0.2.1"},
                    {
                        "network": "203.0.113.0",
                        "netmask": "255.255.255.0",
                        "gateway": "192.0.2.9",
                    },
                ],
                "network_id": "net1",
                "services": [dns],
            },
            {
                "id": "network1",
                "type": "ipv6_slaac",
                "link": "tap0f1e2d3c-4b",
                "ip_address": "2001:db8::15",
                "netmask": "ffff:ffff:ffff:ffff::",
                "routes": [{"network": "::", "netmask": "::", "gateway": "2001:db8::"}],
                "network_id": "net1",
                "services": [dns],
            },
        ],
        "services": [dns],
    }


def test_a_whole_card_is_a_physical_link() -> None:
    port = a_port(vif_type=VifType.HOSTDEV_PHYSICAL, fixed_ips=())
    told = network_data([port], {})
    assert told["links"][0]["type"] == "phy"
    assert told["networks"] == []


def test_a_server_without_ports_has_empty_lists() -> None:
    assert network_data([], {}) == {"links": [], "networks": [], "services": []}


def test_networks_are_numbered_across_ports() -> None:
    subnet = a_subnet(gateway_ip=None, host_routes=(), dns_nameservers=())
    told = network_data([a_port(), a_port(id="11111111-2222")], {"sub4": subnet})
    assert [network["id"] for network in told["networks"]] == ["network0", "network1"]
    assert [network["routes"] for network in told["networks"]] == [[], []]
