"""QoS policies by the stock client: made, put on a port, refused."""

import pytest

from clients.conftest import Surroundings
from running import Instance

pytestmark = pytest.mark.client
QOS = ("network", "qos")


def test_a_policy_is_made_ruled_used_and_taken_away(
    shared: Instance, surroundings: Surroundings
) -> None:
    shared.openstack(*QOS, "policy", "create", "--share", "slow")
    kind = ["--type", "bandwidth-limit", "--max-kbps", "5000"]
    rule = shared.openstack(*QOS, "rule", "create", *kind, "--egress", "slow")
    assert rule["max_kbps"] == 5000
    shared.done(*QOS, "rule", "set", "--max-kbps", "9000", "slow", rule["id"])
    (told,) = shared.openstack(*QOS, "rule", "list", "slow")
    assert told["Max Kbps"] == 9000
    network = ["--network", surroundings.network, "--vnic-type", "direct"]
    port = shared.openstack("port", "create", *network, "--qos-policy", "slow", "rated")
    policy = shared.openstack(*QOS, "policy", "show", "slow")
    assert port["qos_policy_id"] == policy["id"]
    said = shared.refused(*QOS, "policy", "delete", "slow")
    assert port["id"] in said
    ingress = ["--type", "bandwidth-limit", "--max-kbps", "1", "--ingress", "slow"]
    said = shared.refused(*QOS, "rule", "create", *ingress)
    assert "nothing limits what it receives" in said
    shared.done("port", "unset", "--qos-policy", "rated")
    shared.done("port", "delete", "rated")
    shared.done(*QOS, "rule", "delete", "slow", rule["id"])
    shared.done(*QOS, "policy", "delete", "slow")


def test_what_kinds_of_rules_there_are(shared: Instance) -> None:
    kinds = {one["Type"] for one in shared.openstack(*QOS, "rule", "type", "list")}
    assert kinds == {"bandwidth_limit", "minimum_bandwidth"}
    assert shared.openstack(*QOS, "rule", "type", "show", "bandwidth_limit")["drivers"]
