"""Who may be a failover pair, and what it becomes on a host."""

from typing import Any

import pytest

from domain.network.network_facts import VLAN_15, a_port
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.network.binding import Binding, HostNetwork, PortFacts, Refusal, bind
from lanekeeper.domain.network.failover import check_failover, check_pair, is_pair
from lanekeeper.domain.network.port import VifType, VnicType

PAIR = PortFacts(vnic_type=VnicType.DIRECT, profile={"failover": "true"})
HOST = HostNetwork(
    name="h1",
    mappings={"physnet1": ("ens1f0",)},
    bridges={"physnet1": "br-ex"},
    guards=True,
    pairs=True,
)


@pytest.mark.parametrize("said", ["true", True, "yes", "1"])
def test_the_profile_asks_for_one(said: object) -> None:
    check_failover(VnicType.DIRECT, {"failover": said})
    assert is_pair(VnicType.DIRECT, {"failover": said})


@pytest.mark.parametrize("profile", [{}, {"failover": "false"}, {"failover": False}])
def test_what_does_not_ask_is_none(profile: dict[str, Any]) -> None:
    check_failover(VnicType.NORMAL, profile)
    assert not is_pair(VnicType.DIRECT, profile)


@pytest.mark.parametrize(
    ("vnic_type", "said", "refusal"),
    [
        (VnicType.DIRECT, "maybe", "binding:profile failover 'maybe' is neither true nor false"),
        (VnicType.NORMAL, "true", "the port is of vnic type normal"),
        (VnicType.MACVTAP, True, "the port is of vnic type macvtap"),
    ],
)
def test_where_there_can_be_none_it_is_refused(
    vnic_type: VnicType, said: object, refusal: str
) -> None:
    with pytest.raises(Invalid, match=refusal):
        check_failover(vnic_type, {"failover": said})


def test_what_no_guest_could_have_is_refused() -> None:
    check_pair("p", ("physnet1",), {"hw_vif_model": "VIRTIO"})
    with pytest.raises(Invalid, match="hw_vif_model=e1000: only a virtio card"):
        check_pair("p", ("physnet1",), {"hw_vif_model": "e1000"})
    with pytest.raises(Invalid, match=r"several physical networks \(physnet1, physnet2\)"):
        check_pair("p", ("physnet1", "physnet2"), {})


def test_a_pair_becomes_a_vf_and_what_stands_by() -> None:
    bound = bind(PAIR, [VLAN_15], HOST)
    assert isinstance(bound, Binding)
    assert bound.vif_type is VifType.HW_VEB
    assert bound.vif_details["vlan"] == "15"
    assert bound.vif_details["standby"] == {"bridge_name": "br-ex", "port_filter": True}
    port = a_port(vif_type=bound.vif_type, vif_details=bound.vif_details)
    assert (port.is_switched, port.bridge, port.guarded_by) == (True, "br-ex", "flows")
    assert port.is_pair


def test_a_port_of_a_switch_or_of_no_host_is_no_pair() -> None:
    alone = {"bridge_name": "br-ex", "port_filter": True}
    assert not a_port(vif_type=VifType.OVS, vif_details=alone).is_pair
    assert not a_port(vnic_type=VnicType.DIRECT, profile=PAIR.profile).is_pair


@pytest.mark.parametrize(
    ("host", "code", "said"),
    [
        (
            HostNetwork(name="h1", mappings=HOST.mappings, bridges=HOST.bridges),
            "no_pairs",
            "host h1 cannot give a guest a failover pair",
        ),
        (
            HostNetwork(name="h1", mappings=HOST.mappings, bridges={"x": "br-x"}, pairs=True),
            "no_vswitch",
            "no virtual switch on physnet1 for the card that stands by; it has some on: x",
        ),
        (
            HostNetwork(name="h1", bridges=HOST.bridges, pairs=True),
            "physical_network",
            "does not reach physnet1",
        ),
    ],
)
def test_a_host_that_lacks_one_half_says_which(host: HostNetwork, code: str, said: str) -> None:
    refusal = bind(PAIR, [VLAN_15], host)
    assert isinstance(refusal, Refusal)
    (reason,) = refusal.reasons
    assert reason.code == code
    assert said in str(reason)


def test_a_vf_alone_has_nothing_on_a_switch() -> None:
    bound = bind(PortFacts(vnic_type=VnicType.DIRECT), [VLAN_15], HOST)
    assert isinstance(bound, Binding)
    assert "standby" not in bound.vif_details
    port = a_port(vif_type=bound.vif_type, vif_details=bound.vif_details)
    assert (port.is_switched, port.bridge, port.guarded_by) == (False, "", None)
