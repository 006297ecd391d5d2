import pytest

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.placement.query import (
    AnyOf,
    CandidateQuery,
    Group,
    check_query,
    parse_aggregates,
    parse_resources,
    parse_traits,
)


def group(suffix: str, resources: str, *required: str) -> Group:
    return Group(suffix=suffix, resources=parse_resources(resources), traits=parse_traits(required))


@pytest.mark.parametrize("text", ["VCPU", "VCPU:0", "vcpu:1", "VCPU:1,VCPU:2", "VCPU:-1", ""])
def test_malformed_resources_are_refused(text: str) -> None:
    with pytest.raises(Invalid, match=r"Malformed|twice"):
        parse_resources(text)


def test_traits_and_aggregates_are_clauses() -> None:
    assert parse_traits(["A,!B", "in:C,D"]) == AnyOf(
        (frozenset("A"), frozenset("CD")), frozenset("B")
    )
    with pytest.raises(Invalid, match="conflict"):
        parse_traits(["A,!A"])
    with pytest.raises(Invalid, match="UUID"):
        parse_aggregates(["nope"])


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (CandidateQuery(groups=()), "At least one group"),
        (
            CandidateQuery(groups=(group("", "VCPU:1"), Group(suffix="1"))),
            "must be associated with resources",
        ),
        (
            CandidateQuery(groups=(group("", "VCPU:1"),), same_subtrees=(("x",),)),
            "not there: x",
        ),
    ],
)
def test_queries_that_cannot_be_meant_are_refused(query: CandidateQuery, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        check_query(query)
