"""Questions that OpenStack Placement answers wrongly, so that its answers are no measure for ours.

``tests/placement/apart.py`` leaves them out of the comparison.
"""

import pytest

from lanekeeper.domain.placement.candidate import search
from lanekeeper.domain.placement.query import CandidateQuery, Group
from placement_world import Inventory, Provider, snapshot_of, world_of


@pytest.mark.parametrize("isolate", [False, True])
def test_amounts_of_one_candidate_do_not_reach_another(isolate: bool) -> None:
    # Placement asks 6 VCPU of the first provider where the second one serves group 2.
    stock = {"VCPU": Inventory(8), "CUSTOM_A": Inventory(8)}
    world = world_of(
        Provider(id=name, parent=parent, root="top", stock=stock)
        for name, parent in (("top", None), ("below", "top"))
    )
    spread = Group(suffix="", resources=(("VCPU", 4), ("CUSTOM_A", 4)))
    alone = Group(suffix="2", resources=(("VCPU", 2),))
    query = CandidateQuery(groups=(spread, alone), isolate=isolate)
    found = search(snapshot_of(world), query).candidates
    for candidate in found:
        asked = {"VCPU": 0, "CUSTOM_A": 0}
        for part in candidate.amounts.values():
            for name, amount in part.items():
                asked[name] += amount
        assert asked == {"VCPU": 6, "CUSTOM_A": 4}
    assert len(found) == 8
