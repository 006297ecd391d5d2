"""Questions that OpenStack Placement answers wrongly, so that its answers are no measure for ours.

``tests/placement/apart.py`` leaves them out of the comparison.
"""

import pytest

from lanekeeper.domain.placement.candidate import search
from lanekeeper.domain.placement.inventory import Inventory
from lanekeeper.domain.placement.provider import Forest, Provider
from lanekeeper.domain.placement.query import CandidateQuery, Group


@pytest.mark.parametrize("isolate", [False, True])
def test_amounts_of_one_candidate_do_not_reach_another(isolate: bool) -> None:
    # Placement asks 6 VCPU of the first provider where the second one serves group 2.
    stock = {"VCPU": Inventory(total=8), "CUSTOM_A": Inventory(total=8)}
    forest = Forest.of(
        Provider(id=name, name=name, parent_id=parent, root_id="top", inventories=stock)
        for name, parent in (("top", None), ("below", "top"))
    )
    spread = Group(suffix="", resources=(("VCPU", 4), ("CUSTOM_A", 4)))
    alone = Group(suffix="2", resources=(("VCPU", 2),))
    found = search(forest, CandidateQuery(groups=(spread, alone), isolate=isolate))
    for candidate in found:
        asked = {"VCPU": 0, "CUSTOM_A": 0}
        for (_, name), amount in candidate.amounts:
            asked[name] += amount
        assert asked == {"VCPU": 6, "CUSTOM_A": 4}
    assert len(found) == 8
