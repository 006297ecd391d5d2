"""Bandwidth by the stock client: promised with a port, shown in Placement, refused when short."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from clients.conftest import Surroundings, prepare
from running import Instance, running

pytestmark = pytest.mark.client
SAMPLE = Path(__file__).parents[2] / "src/lanekeeper/data/nova.sample.conf"
QOS = ("network", "qos")
EGRESS = "NET_BW_EGR_KILOBIT_PER_SEC"


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Surroundings]:
    agent = tmp_path / "sriov_agent.ini"
    agent.write_text(
        "[sriov_nic]\n"
        "physical_device_mappings = physnet1:ens1\n"
        "resource_provider_bandwidths = ens1:10000:10000\n"
    )
    with running(tmp_path / "state", config_files=[SAMPLE, agent]) as instance:
        found = Surroundings(instance)
        prepare(found)
        yield found


def carrier(there: Instance) -> str:
    """The provider of the PF's bandwidth, as Neutron would name it."""
    rows = there.openstack("resource", "provider", "list", "--name", "sim-1:NIC Switch agent:ens1")
    return str(rows[0]["uuid"])


def usage(there: Instance, provider: str) -> int:
    rows = there.openstack("resource", "provider", "usage", "show", provider)
    return next(int(row["usage"]) for row in rows if row["resource_class"] == EGRESS)


def test_a_promise_is_taken_from_the_pf_and_given_back(there: Surroundings) -> None:
    cloud = there.instance
    cloud.openstack(*QOS, "policy", "create", "gold")
    kind = ["--type", "minimum-bandwidth", "--min-kbps", "8000", "--egress"]
    rule = cloud.openstack(*QOS, "rule", "create", *kind, "gold")
    network = ["--network", there.network, "--vnic-type", "direct", "--qos-policy", "gold"]
    port = cloud.openstack("port", "create", *network, "one")
    (group,) = port["resource_request"]["request_groups"]
    assert group["resources"] == {EGRESS: 8000}
    assert group["required"] == ["CUSTOM_PHYSNET_PHYSNET1", "CUSTOM_VNIC_TYPE_DIRECT"]
    assert port["resource_request"]["same_subtree"] == [group["id"]]
    boot = there.server_arguments(there.plain, "--nic", f"port-id={port['id']}")
    cloud.done("server", "create", "--wait", *boot, "first")
    provider = carrier(cloud)
    assert usage(cloud, provider) == 8000
    shown = cloud.openstack("port", "show", "one")
    assert shown["binding_profile"]["allocation"] == {group["id"]: provider}

    second = cloud.openstack("port", "create", *network, "two")
    boot = there.server_arguments(there.plain, "--nic", f"port-id={second['id']}")
    cloud.refused("server", "create", "--wait", *boot, "second")
    fault = cloud.openstack("server", "show", "second")["fault"]["message"]
    assert "PF ens1 has 2,000 of 10,000 kbit/s egress left, the port wants 8,000" in fault

    more = ["--min-kbps", "10001"]
    said = cloud.refused(*QOS, "rule", "set", *more, "gold", rule["id"])
    assert "10,001" in said
    cloud.done(*QOS, "rule", "set", "--min-kbps", "9000", "gold", rule["id"])
    assert usage(cloud, provider) == 9000
    cloud.done("server", "delete", "--wait", "first")
    assert usage(cloud, provider) == 0
