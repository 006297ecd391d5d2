"""What a port becomes on a host, and every reason why it does not."""

import pytest

from domain.network.network_facts import VLAN_15, a_port
from lanekeeper.domain.network.binding import Binding, HostNetwork, PortFacts, Refusal, bind
from lanekeeper.domain.network.port import FixedIp, VifType, VnicType
from lanekeeper.domain.network.segment import NetworkType, Segment

HOST = HostNetwork(name="h1", mappings={"physnet1": ("ens1f0",)})
DIRECT = PortFacts(vnic_type=VnicType.DIRECT)
VLAN_16 = Segment(
    id="seg2", network_type=NetworkType.VLAN, physical_network="physnet2", segmentation_id=16
)


def refusal(port: PortFacts, segments: list[Segment], host: HostNetwork = HOST) -> Refusal:
    answer = bind(port, segments, host)
    assert isinstance(answer, Refusal)
    return answer


def test_a_direct_port_becomes_a_vf_with_its_vlan() -> None:
    bound = bind(DIRECT, [VLAN_15], HOST)
    assert isinstance(bound, Binding)
    assert (bound.segment, bound.vif_type) == (VLAN_15, VifType.HW_VEB)
    assert bound.vif_details == {
        "port_filter": False,
        "connectivity": "l2",
        "vlan": "15",
        "bound_drivers": {"0": "sriovnicswitch"},
    }


def test_a_direct_physical_port_becomes_the_card() -> None:
    bound = bind(PortFacts(vnic_type=VnicType.DIRECT_PHYSICAL), [VLAN_15], HOST)
    assert isinstance(bound, Binding)
    assert bound.vif_type is VifType.HOSTDEV_PHYSICAL


def test_a_whole_card_on_a_host_that_does_not_reach_the_network_is_refused() -> None:
    port = PortFacts(vnic_type=VnicType.DIRECT_PHYSICAL)
    (reason,) = refusal(port, [VLAN_16]).reasons
    assert reason.code == "physical_network"
    assert "host h1 does not reach physnet2; it reaches: physnet1" in str(reason)


@pytest.mark.parametrize(
    ("vnic_type", "code"),
    [
        (VnicType.ACCELERATOR_DIRECT, "vnic_type"),
        (VnicType.BAREMETAL, "vnic_type"),
        (VnicType.VDPA, "vnic_type"),
        (VnicType.REMOTE_MANAGED, "vnic_type"),
    ],
)
def test_what_no_host_carries_is_refused_and_names_what_would_do(
    vnic_type: VnicType, code: str
) -> None:
    (reason,) = refusal(PortFacts(vnic_type=vnic_type), [VLAN_15]).reasons
    assert reason.code == code
    assert "direct" in reason.hint


def test_a_silent_host_binds_nothing() -> None:
    (reason,) = refusal(DIRECT, [VLAN_15], HostNetwork(name="h1", alive=False)).reasons
    assert reason.code == "agent_dead"


def test_every_segment_that_does_not_fit_gives_its_reason() -> None:
    tunnel = Segment(id="seg0", network_type=NetworkType.VXLAN, segmentation_id=9)
    reasons = refusal(DIRECT, [tunnel, VLAN_16]).reasons
    assert [reason.code for reason in reasons] == ["network_type", "physical_network"]


def test_the_first_segment_that_the_host_reaches_is_taken() -> None:
    bound = bind(DIRECT, [VLAN_16, VLAN_15], HOST)
    assert isinstance(bound, Binding)
    assert bound.segment is VLAN_15


def test_addresses_of_a_segments_subnet_leave_no_other_segment() -> None:
    port = PortFacts(
        vnic_type=VnicType.DIRECT,
        fixed_ips=(FixedIp("s1", "192.0.2.15"),),
        subnet_segments={"s1": "seg2"},
    )
    (reason,) = refusal(port, [VLAN_15, VLAN_16]).reasons
    assert "physnet2" in reason.message


def test_a_network_without_segments_is_refused() -> None:
    assert [reason.code for reason in refusal(DIRECT, []).reasons] == ["segment"]


def test_switchdev_needs_a_virtual_switch() -> None:
    port = PortFacts(vnic_type=VnicType.DIRECT, profile={"capabilities": ["switchdev"]})
    assert [reason.code for reason in refusal(port, [VLAN_15]).reasons] == ["switchdev"]


@pytest.mark.parametrize(
    ("attribute", "profile", "trusted"),
    [
        (None, {}, False),
        (None, {"trusted": "true"}, True),
        (None, {"trusted": True}, True),
        (None, {"trusted": "nonsense"}, False),
        (False, {"trusted": "true"}, False),
        (True, {}, True),
    ],
)
def test_the_attribute_goes_before_the_profile(
    attribute: bool | None, profile: dict[str, object], trusted: bool
) -> None:
    assert a_port(trusted=attribute, profile=profile).is_trusted is trusted


def test_a_normal_port_is_bound_to_the_switch_of_its_network() -> None:
    port = PortFacts(vnic_type=VnicType.NORMAL)
    host = HostNetwork(name="h1", bridges={"physnet2": "br-data"})
    bound = bind(port, [VLAN_15, VLAN_16], host)
    assert isinstance(bound, Binding)
    assert (bound.segment, bound.vif_type) == (VLAN_16, "ovs")
    assert bound.vif_details["bridge_name"] == "br-data"


def test_a_normal_port_says_what_switches_there_are() -> None:
    (reason,) = refusal(PortFacts(vnic_type=VnicType.NORMAL), [VLAN_15]).reasons
    assert reason.code == "no_vswitch"
    assert "host h1 has no virtual switch on physnet1; it has some on: none" in str(reason)
    assert "[ovs] bridge_mappings of that host: physnet1:BRIDGE" in str(reason)
