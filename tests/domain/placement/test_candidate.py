import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from campaign import size
from lanekeeper.domain.placement.candidate import Candidate, Order, involved, search
from lanekeeper.domain.placement.query import (
    AnyOf,
    CandidateQuery,
    Group,
    parse_resources,
    parse_traits,
)
from lanekeeper.domain.placement.snapshot import SHARING, Snapshot
from placement_world import (
    Found,
    Inventory,
    Provider,
    World,
    lines_of,
    multiplied_out,
    snapshot_of,
    world_of,
)


def provider(
    name: str, parent: str | None = None, *traits: str, aggregates: str = "", **stock: int
) -> Provider:
    return Provider(
        id=name,
        parent=parent,
        root=parent or name,
        stock={key: Inventory(total) for key, total in stock.items()},
        traits=frozenset(traits),
        aggregates=frozenset(aggregates.split()),
    )


WORLD = world_of(
    [
        provider("h1", VCPU=4),
        provider("h1_pf1", "h1", "CUSTOM_PHYSNET_A", SRIOV_NET_VF=2),
        provider("h1_pf2", "h1", "CUSTOM_PHYSNET_B", SRIOV_NET_VF=2),
        provider("h2", aggregates="agg", VCPU=2),
        provider("disk", None, SHARING, aggregates="agg", DISK_GB=100),
    ]
)
SNAPSHOT = snapshot_of(WORLD)


def found(*groups: Group, isolate: bool = False, limit: int | None = None) -> list[str]:
    query = CandidateQuery(groups=groups, isolate=isolate, limit=limit)
    return [
        "+".join(
            f"{suffix}@{','.join(SNAPSHOT.shape.trees.ids[row] for row in rows)}"
            for suffix, rows in candidate.mappings.items()
        )
        for candidate in search(SNAPSHOT, query).candidates
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
    assert len(search(SNAPSHOT, query).candidates) == 2
    apart = CandidateQuery(
        groups=(group("a", "SRIOV_NET_VF:1", "CUSTOM_PHYSNET_A"), group("b", "SRIOV_NET_VF:1")),
        same_subtrees=(("a", "b"),),
    )
    pf1 = SNAPSHOT.shape.trees.row_of["h1_pf1"]
    assert [c.mappings["b"] for c in search(SNAPSHOT, apart).candidates] == [(pf1,)]


def test_summaries_are_of_whole_trees() -> None:
    query = CandidateQuery(groups=(group("1", "SRIOV_NET_VF:1"),))
    rows = involved(SNAPSHOT, query, search(SNAPSHOT, query).candidates)
    assert [SNAPSHOT.shape.trees.ids[row] for row in rows] == ["h1", "h1_pf1", "h1_pf2"]


# Against the plain search -------------------------------------------------------------------------

CLASSES, TRAITS, AGGREGATES = ("A", "B", "C"), ("T1", "T2", "T3", SHARING), ("G1", "G2", "G3")


@st.composite
def worlds(draw: st.DrawFn) -> World:
    providers: list[Provider] = []
    for number in range(draw(st.integers(1, 7))):
        above = draw(st.sampled_from([None, *providers]))
        name = f"p{number}"
        stock = draw(
            st.dictionaries(
                st.sampled_from(CLASSES),
                st.builds(
                    Inventory,
                    capacity=st.integers(0, 4),
                    used=st.integers(0, 2),
                    min_unit=st.sampled_from([1, 1, 2]),
                    max_unit=st.sampled_from([1, 2, 9]),
                    step_size=st.sampled_from([1, 1, 2]),
                ),
                max_size=3,
            )
        )
        providers.append(
            Provider(
                id=name,
                parent=above.id if above else None,
                root=above.root if above else name,
                stock=stock,
                traits=draw(st.frozensets(st.sampled_from(TRAITS), max_size=2)),
                aggregates=draw(st.frozensets(st.sampled_from(AGGREGATES), max_size=2)),
            )
        )
    return world_of(providers)


def clauses(names: tuple[str, ...]) -> st.SearchStrategy[AnyOf]:
    some = st.frozensets(st.sampled_from(names), min_size=1, max_size=2)
    none = st.just(AnyOf())
    return none | st.builds(
        AnyOf,
        st.lists(some, max_size=2).map(tuple),
        st.frozensets(st.sampled_from(names), max_size=1),
    )


@st.composite
def queries(draw: st.DrawFn) -> CandidateQuery:
    suffixes = draw(st.lists(st.sampled_from(["", "1", "2", "3"]), min_size=1, unique=True))
    groups = []
    for suffix in suffixes:
        least = 0 if suffix and len(suffixes) > 1 else 1
        amounts = st.dictionaries(
            st.sampled_from(CLASSES), st.integers(1, 3), min_size=least, max_size=2
        )
        groups.append(
            Group(
                suffix=suffix,
                resources=tuple(draw(amounts).items()),
                traits=draw(clauses(TRAITS)),
                aggregates=draw(clauses(AGGREGATES)),
                in_tree=draw(st.sampled_from(["", "", "p0", "p3", "nobody"])),
            )
        )
    named = [group.suffix for group in groups if group.suffix]
    subtrees = st.lists(st.lists(st.sampled_from(named), min_size=1, unique=True).map(tuple))
    return CandidateQuery(
        groups=tuple(groups),
        isolate=draw(st.booleans()),
        root_traits=draw(clauses(TRAITS)),
        same_subtrees=tuple(draw(subtrees)) if named else (),
        # A group without resources came (1.36) when trees were long looked into (1.29).
        nested=not all(group.resources for group in groups)
        or draw(st.sampled_from([True, True, True, False])),
    )


def told(snapshot: Snapshot, candidate: Candidate) -> Found:
    ids = snapshot.shape.trees.ids
    return (
        frozenset(
            (ids[row], name, n)
            for row, part in candidate.amounts.items()
            for name, n in part.items()
        ),
        frozenset(
            (suffix, frozenset(ids[row] for row in rows))
            for suffix, rows in candidate.mappings.items()
        ),
    )


SLOW = settings(
    max_examples=size(25, 200), suppress_health_check=[HealthCheck.too_slow]
)  # worlds are large


@settings(SLOW, max_examples=size(60, 500))
@given(worlds(), queries(), st.booleans(), st.none() | st.integers(0, 9))
def test_what_is_found_is_what_multiplying_out_would_find(
    world: World, query: CandidateQuery, in_turn: bool, seed: int | None
) -> None:
    snapshot = snapshot_of(world)
    result = search(snapshot, query, Order(seed, in_turn))
    every = [told(snapshot, candidate) for candidate in result.candidates]
    assert set(every) == multiplied_out(world, query)
    assert len(set(every)) == len(every)
    assert all(all(one.amounts.values()) for one in result.candidates)  # nobody gives nothing
    assert not result.given_up


@SLOW
@given(worlds(), queries(), st.integers(1, 5), st.integers(0, 9))
def test_a_limit_takes_the_first_and_a_seed_repeats_itself(
    world: World, query: CandidateQuery, limit: int, seed: int
) -> None:
    snapshot = snapshot_of(world)
    bounded = CandidateQuery(**{f: getattr(query, f) for f in query.__slots__} | {"limit": limit})
    every = search(snapshot, query, Order(seed)).candidates
    assert search(snapshot, bounded, Order(seed)).candidates == every[:limit]


@SLOW
@given(worlds(), worlds(), st.frozensets(st.sampled_from([f"p{n}" for n in range(7)])), queries())
def test_a_snapshot_that_followed_changes_is_the_one_made_anew(
    before: World, after: World, kept: frozenset[str], query: CandidateQuery
) -> None:
    """From one world to the other in two steps: what changed first may still hang on the old."""
    ids = before.keys() | after.keys()
    followed = snapshot_of(before)
    followed = followed.with_lines(ids, lines_of(after.values()))
    touched = [p for p in after.values() if p.id in kept]
    followed = followed.with_stock(kept, lines_of(touched))
    anew = snapshot_of(after)
    one = {told(followed, candidate) for candidate in search(followed, query).candidates}
    assert one == {told(anew, candidate) for candidate in search(anew, query).candidates}


# Where multiplying out does not end ---------------------------------------------------------------


def eight_of(providers: int, capacity: int) -> Snapshot:
    """One host with so many equal devices, each a provider of its own."""
    devices = [provider(f"d{n}", "host", DEVICE=capacity) for n in range(providers)]
    return snapshot_of(world_of([provider("host"), *devices]))


EIGHT = tuple(group(str(n), "DEVICE:1") for n in range(8))


@pytest.mark.parametrize("isolate", [True, False])
def test_eight_groups_on_eight_devices_are_matched(isolate: bool) -> None:
    query = CandidateQuery(groups=EIGHT, isolate=isolate, limit=1000)
    result = search(eight_of(8, 1), query)
    assert len(result.candidates) == 1000
    assert not result.given_up


@pytest.mark.parametrize("isolate", [True, False])
@pytest.mark.parametrize("seed", [None, 5])
def test_groups_that_are_alike_are_put_on_devices_in_every_order(
    isolate: bool, seed: int | None
) -> None:
    """The group that stands between them, and what has room, keep their places."""
    between = group("x", "VCPU:1")
    groups = (EIGHT[0], between, *EIGHT[1:3])
    devices = [provider(f"d{n}", "host", DEVICE=1) for n in range(4)]
    snapshot = snapshot_of(world_of([provider("host", VCPU=9), *devices]))
    query = CandidateQuery(groups=groups, isolate=isolate)
    candidates = search(snapshot, query, Order(seed=seed)).candidates
    assert len({one.rows for one in candidates}) == len(candidates) == 4 * 3 * 2
    assert {one.mappings["x"] for one in candidates} == {(snapshot.shape.trees.row_of["host"],)}


@pytest.mark.parametrize("isolate", [True, False])
def test_that_one_is_missing_is_seen_without_trying_all_orders(isolate: bool) -> None:
    many = tuple(group(str(n), "DEVICE:1") for n in range(40))
    result = search(eight_of(39, 1), CandidateQuery(groups=many, isolate=isolate))
    assert result == type(result)(())


def test_a_dead_end_that_only_a_subtree_makes_is_not_tried_in_every_order() -> None:
    """Ten devices under two bridges of five: six of one bridge there are not."""
    bridges = [provider("left", "host", "BRIDGE"), provider("right", "host", "BRIDGE")]
    devices = [
        Provider(id=f"{b.id}{n}", parent=b.id, root="host", stock={"DEVICE": Inventory(1)})
        for b in bridges
        for n in range(5)
    ]
    snapshot = snapshot_of(world_of([provider("host"), *bridges, *devices]))
    groups = tuple(group(str(n), "DEVICE:1") for n in range(6))
    above = Group(suffix="bridge", traits=parse_traits(["BRIDGE"]))
    query = CandidateQuery(
        groups=(*groups, above),
        isolate=True,
        same_subtrees=(("bridge", *(str(n) for n in range(6))),),
    )
    result = search(snapshot, query)
    assert result == type(result)(())


def test_a_search_that_finds_nothing_more_ends() -> None:
    """Two groups want the one device, and ten classes could be had from any of ten others."""
    classes = [f"C{n}" for n in range(10)]
    stock = {name: Inventory(9) for name in (*classes, "Y")}
    others = [Provider(id=f"o{n}", parent="host", root="host", stock=stock) for n in range(10)]
    snapshot = snapshot_of(world_of([provider("host"), provider("x", "host", X=9), *others]))
    spread = Group(suffix="", resources=tuple((name, 1) for name in classes))
    groups = (spread, group("1", "X:1"), group("2", "X:1"), group("3", "Y:1"))
    assert search(snapshot, CandidateQuery(groups=groups, isolate=True, limit=1)).candidates == ()


def test_amounts_that_no_inventory_has_are_no_question() -> None:
    assert found(group("1", f"VCPU:{10**30}")) == []


def test_a_provider_that_hangs_in_the_air_is_left_out() -> None:
    lines = lines_of([provider("host", VCPU=1), Provider(id="lost", parent="gone", root="gone")])
    snapshot = Snapshot().with_lines(["host", "lost"], lines)
    assert snapshot.shape.trees.row_of.keys() == {"host"}
    query = CandidateQuery(groups=(group("1", "VCPU:1"),))
    assert len(search(snapshot, query).candidates) == 1
