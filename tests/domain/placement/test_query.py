import pytest

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.placement.query import (
    AnyOf,
    CandidateQuery,
    Group,
    check_conflicts,
    check_orphans,
    check_query,
    parse_aggregates,
    parse_resources,
    parse_traits,
    parse_tree,
)

A, B = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"
VCPU = Group(suffix="", resources=(("VCPU", 1),))


def test_resources_are_amounts_of_classes_and_the_last_of_a_class_counts() -> None:
    assert parse_resources("VCPU:1,MEMORY_MB:512,VCPU:2") == (("VCPU", 2), ("MEMORY_MB", 512))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("VCPU", "Badly formed"),
        ("", "empty string"),
        ("VCPU:1:2", "Badly formed"),
        ("VCPU:0", "amount >= 1"),
        ("VCPU:-1", "amount >= 1"),
        ("VCPU:one", "positive integer"),
        ("VCPU:" + "9" * 5000, "positive integer"),
        ("VCPU:\u0664", "positive integer"),
    ],
)
def test_malformed_resources_are_refused(text: str, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        parse_resources(text)


def test_traits_are_clauses() -> None:
    assert parse_traits(["A,!B", "in:C,D"]) == AnyOf(
        (frozenset("A"), frozenset("CD")), frozenset("B")
    )


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("A,", "empty trait"),
        ("!", "empty trait"),
        ("in:A,,B", "empty trait"),
        ("in:A,!B", "does not support forbidden"),
    ],
)
def test_malformed_traits_are_refused(value: str, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        parse_traits([value])


def test_older_versions_have_fewer_forms() -> None:
    with pytest.raises(Invalid, match="since microversion 1"):
        parse_traits(["in:A,B"], any_of=False)
    with pytest.raises(Invalid, match="Got: !A"):
        parse_traits(["!A"], may_forbid=False)
    with pytest.raises(Invalid, match="Multiple member_of1"):
        parse_aggregates([A, B], repeated=False, suffix="1")
    with pytest.raises(Invalid, match="Forbidden member_of"):
        parse_aggregates([f"!{A}"], may_forbid=False)


def test_aggregates_are_clauses() -> None:
    assert parse_aggregates([f"in:{A},{B}", A.replace("-", ""), f"!in:{B}"]) == AnyOf(
        (frozenset({A, B}), frozenset({A})), frozenset({B})
    )


@pytest.mark.parametrize("value", ["nope", f"{A},{B}", "in:", "!"])
def test_malformed_aggregates_are_refused(value: str) -> None:
    with pytest.raises(Invalid, match=r"UUID\(s\)|prefixed"):
        parse_aggregates([value])


def test_a_tree_is_named_by_a_provider() -> None:
    assert parse_tree(f" {A.replace('-', '')} ") == A
    with pytest.raises(Invalid, match="format of uuid"):
        parse_tree("root")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (CandidateQuery(groups=()), "at least one resources"),
        (CandidateQuery(groups=(VCPU, Group(suffix="1"))), "Resourceless"),
        (CandidateQuery(groups=(VCPU,), same_subtrees=(("x",),)), "x not found"),
        (
            CandidateQuery(
                groups=(Group(suffix="1", resources=(("VCPU", 1),), traits=parse_traits(["A,!A"])),)
            ),
            r"required1: \(A\)",
        ),
    ],
)
def test_queries_that_cannot_be_meant_are_refused(query: CandidateQuery, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        check_query(query)


def test_one_of_several_may_be_forbidden_but_not_all() -> None:
    some = Group(suffix="1", traits=parse_traits(["in:A,B", "!A"]))
    check_conflicts([some])
    with pytest.raises(Invalid, match=r"\(A, B\)"):
        check_conflicts([Group(suffix="1", traits=parse_traits(["in:A,B", "!A,!B"]))])


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ((), "At least one request group"),
        ((VCPU, Group(suffix="1", traits=parse_traits(["A"]))), "traits keys: required1"),
        ((Group(suffix="3", aggregates=parse_aggregates([A])),), "member_of keys: member_of3"),
        ((Group(suffix="", in_tree=A),), "must specify resources"),
    ],
)
def test_groups_without_resources_are_refused_where_no_subtree_can_name_them(
    groups: tuple[Group, ...], message: str
) -> None:
    with pytest.raises(Invalid, match=message):
        check_orphans(groups)
