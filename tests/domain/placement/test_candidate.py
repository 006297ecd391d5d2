from lanekeeper.domain.placement.candidate import involved_trees, search
from lanekeeper.domain.placement.inventory import Inventory
from lanekeeper.domain.placement.provider import SHARING, Forest, Provider
from lanekeeper.domain.placement.query import (
    CandidateQuery,
    Group,
    parse_resources,
    parse_traits,
)


def provider(
    name: str, root: str | None = None, *traits: str, aggregates: str = "", **stock: int
) -> Provider:
    return Provider(
        id=name,
        name=name,
        parent_id=root,
        root_id=root or name,
        inventories={key: Inventory(total=total) for key, total in stock.items()},
        traits=frozenset(traits),
        aggregates=frozenset(aggregates.split()),
    )


FOREST = Forest.of(
    [
        provider("h1", VCPU=4),
        provider("h1_pf1", "h1", "CUSTOM_PHYSNET_A", SRIOV_NET_VF=2),
        provider("h1_pf2", "h1", "CUSTOM_PHYSNET_B", SRIOV_NET_VF=2),
        provider("h2", aggregates="agg", VCPU=2),
        provider("disk", None, SHARING, aggregates="agg", DISK_GB=100),
    ]
)


def found(*groups: Group, isolate: bool = False, limit: int | None = None) -> list[str]:
    query = CandidateQuery(groups=groups, isolate=isolate, limit=limit)
    return [
        "+".join(f"{suffix}@{','.join(providers)}" for suffix, providers in candidate.mappings)
        for candidate in search(FOREST, query)
    ]


def group(suffix: str, resources: str, *required: str) -> Group:
    return Group(suffix=suffix, resources=parse_resources(resources), traits=parse_traits(required))


def test_a_suffixed_group_is_served_by_one_provider() -> None:
    assert found(group("1", "SRIOV_NET_VF:1")) == ["1@h1_pf1", "1@h1_pf2"]
    assert found(group("1", "SRIOV_NET_VF:3")) == []
    assert found(group("1", "SRIOV_NET_VF:1", "CUSTOM_PHYSNET_B")) == ["1@h1_pf2"]
    assert found(group("1", "SRIOV_NET_VF:1", "!CUSTOM_PHYSNET_B")) == ["1@h1_pf1"]


def test_the_group_without_suffix_may_be_spread_over_the_tree() -> None:
    assert found(group("", "VCPU:1,SRIOV_NET_VF:1", "CUSTOM_PHYSNET_A")) == ["@h1,h1_pf1"]


def test_a_sharing_provider_serves_the_trees_that_share_its_aggregate() -> None:
    assert found(group("", "VCPU:1,DISK_GB:10")) == ["@h2,disk"]


def test_amounts_of_groups_on_one_provider_add_up() -> None:
    one, two = group("1", "SRIOV_NET_VF:2", "CUSTOM_PHYSNET_A"), group("2", "SRIOV_NET_VF:1")
    assert found(one, two) == ["1@h1_pf1+2@h1_pf2"]


def test_isolate_keeps_groups_apart() -> None:
    one, two = group("1", "SRIOV_NET_VF:1"), group("2", "SRIOV_NET_VF:1")
    assert len(found(one, two)) == 4
    assert found(one, two, isolate=True) == ["1@h1_pf1+2@h1_pf2", "1@h1_pf2+2@h1_pf1"]


def test_limit_ends_the_search() -> None:
    assert found(group("1", "SRIOV_NET_VF:1"), limit=1) == ["1@h1_pf1"]


def test_same_subtree_wants_one_chosen_above_all_others() -> None:
    below = group("pf", "SRIOV_NET_VF:1")
    top = Group(suffix="root", resources=parse_resources("VCPU:1"))
    query = CandidateQuery(groups=(below, top), same_subtrees=(("pf", "root"),))
    assert len(search(FOREST, query)) == 2
    apart = CandidateQuery(
        groups=(group("a", "SRIOV_NET_VF:1", "CUSTOM_PHYSNET_A"), group("b", "SRIOV_NET_VF:1")),
        same_subtrees=(("a", "b"),),
    )
    assert [dict(c.mappings)["b"] for c in search(FOREST, apart)] == [("h1_pf1",)]


def test_summaries_hold_whole_trees() -> None:
    candidates = search(FOREST, CandidateQuery(groups=(group("1", "SRIOV_NET_VF:1"),)))
    assert [p.id for p in involved_trees(FOREST, candidates)] == ["h1", "h1_pf1", "h1_pf2"]
