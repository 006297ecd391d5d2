"""What a port asks of Placement for its promises."""

import uuid

from lanekeeper.domain.network.bandwidth import group_id, resource_request
from lanekeeper.domain.network.promise import Promise, promise_of
from lanekeeper.domain.network.qos import Direction, QosRule, RuleType

PORT = str(uuid.UUID(int=1))
OUT = QosRule(id="r1", type=RuleType.MINIMUM_BANDWIDTH, kbps=3_000)
BACK = QosRule(id="r2", type=RuleType.MINIMUM_BANDWIDTH, direction=Direction.INGRESS, kbps=1_000)
LIMIT = QosRule(id="r3", type=RuleType.BANDWIDTH_LIMIT, kbps=9_000)


def test_a_request_is_one_group_with_the_traits_of_network_and_kind() -> None:
    asked = resource_request(PORT, [LIMIT, OUT, BACK], "direct-physical", "physnet 1")
    assert asked == {
        "request_groups": [
            {
                "id": str(uuid.uuid5(uuid.UUID(PORT), "r1:r2")),
                "required": ["CUSTOM_PHYSNET_PHYSNET_1", "CUSTOM_VNIC_TYPE_DIRECT_PHYSICAL"],
                "resources": {
                    "NET_BW_EGR_KILOBIT_PER_SEC": 3_000,
                    "NET_BW_IGR_KILOBIT_PER_SEC": 1_000,
                },
            }
        ],
        "same_subtree": [group_id(PORT, [OUT, BACK])],
    }


def test_nothing_is_asked_where_nothing_is_promised() -> None:
    none = QosRule(id="r1", type=RuleType.MINIMUM_BANDWIDTH, kbps=0)
    assert resource_request(PORT, [], "direct", "p") is None
    assert resource_request(PORT, [LIMIT, none], "direct", "p") is None
    assert promise_of([LIMIT, OUT]) == Promise(3_000)
