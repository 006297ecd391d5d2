"""What is written by hand reads as what would be encoded of objects."""

import json
from typing import Any

import pytest

from lanekeeper.api.placement.candidate_text import names_of, requests_text, summaries_text
from lanekeeper.domain.placement.candidate import Candidate, involved, search
from lanekeeper.domain.placement.query import CandidateQuery, Group, parse_resources, parse_traits
from placement_world import Inventory, Provider, snapshot_of, world_of

IDS = {name: f"00000000-0000-0000-0000-00000000000{at}" for at, name in enumerate("rabs")}
_PF = {"VF": Inventory(4, used=1), "DEVICE": Inventory(4)}
SNAPSHOT = snapshot_of(
    world_of(
        [
            Provider(IDS["r"], None, IDS["r"], {"VCPU": Inventory(8), "MEM": Inventory(512, 5)}),
            Provider(IDS["a"], IDS["r"], IDS["r"], _PF, frozenset({"CUSTOM_A", "HW_B"})),
            Provider(IDS["b"], IDS["r"], IDS["r"], _PF, frozenset({"CUSTOM_A"})),
        ]
    )
)
QUERY = CandidateQuery(
    groups=(
        Group(suffix="", resources=parse_resources("VCPU:2,MEM:16")),
        Group(suffix="_one", resources=parse_resources("VF:1,DEVICE:1")),
        Group(suffix="_two", resources=parse_resources("VF:2")),
        Group(suffix="_here", traits=parse_traits(["HW_B"])),
    )
)
ONE = CandidateQuery(groups=(Group(suffix="", resources=parse_resources("VCPU:1")),))


def found(query: CandidateQuery) -> tuple[Candidate, ...]:
    return search(SNAPSHOT, query).candidates


def written(query: CandidateQuery, minor: int) -> tuple[list[Any], dict[str, Any]]:
    candidates = found(query)
    rows = involved(SNAPSHOT, query, candidates)
    names = names_of(SNAPSHOT.shape.trees.ids, rows)
    requests = requests_text(names, candidates, minor)
    summaries = summaries_text(names, SNAPSHOT, rows, ["VF", "VCPU", "NOBODY_HAS"], minor)
    return json.loads(bytes(requests)), json.loads(bytes(summaries))


def of_objects(candidate: Candidate) -> dict[str, Any]:
    ids = SNAPSHOT.shape.trees.ids
    return {
        "allocations": {ids[row]: {"resources": part} for row, part in candidate.amounts.items()},
        "mappings": {
            suffix: [ids[row] for row in rows] for suffix, rows in candidate.mappings.items()
        },
    }


@pytest.mark.parametrize("query", [QUERY, ONE], ids=["groups that meet on a provider", "one slot"])
def test_requests_are_what_the_candidates_say(query: CandidateQuery) -> None:
    requests, _ = written(query, 39)
    assert requests == [of_objects(candidate) for candidate in found(query)]
    assert len(requests) == (4 if query is QUERY else 1)


def test_amounts_of_groups_on_one_provider_add_up() -> None:
    shares = [request["allocations"].get(IDS["a"]) for request in written(QUERY, 39)[0]]
    assert {"resources": {"VF": 3, "DEVICE": 1}} in shares


def test_older_clients_get_no_mappings_and_the_oldest_a_list() -> None:
    whole, _ = written(QUERY, 39)
    assert written(QUERY, 33)[0] == [{"allocations": one["allocations"]} for one in whole]
    assert written(QUERY, 11)[0] == [
        {
            "allocations": [
                {"resource_provider": {"uuid": id_}, **share}
                for id_, share in one["allocations"].items()
            ]
        }
        for one in whole
    ]


def test_nothing_found_is_nothing_written() -> None:
    nothing = CandidateQuery(groups=(Group(suffix="", resources=parse_resources("VCPU:9")),))
    assert written(nothing, 39) == ([], {})


def test_summaries_are_of_every_provider_of_the_tree() -> None:
    _, summaries = written(ONE, 39)
    assert summaries == {
        IDS["r"]: {
            "resources": {"VCPU": {"capacity": 8, "used": 0}},
            "traits": [],
            "parent_provider_uuid": None,
            "root_provider_uuid": IDS["r"],
        },
        IDS["a"]: {
            "resources": {"VF": {"capacity": 4, "used": 1}},
            "traits": ["HW_B", "CUSTOM_A"],
            "parent_provider_uuid": IDS["r"],
            "root_provider_uuid": IDS["r"],
        },
        IDS["b"]: {
            "resources": {"VF": {"capacity": 4, "used": 1}},
            "traits": ["CUSTOM_A"],
            "parent_provider_uuid": IDS["r"],
            "root_provider_uuid": IDS["r"],
        },
    }
    assert written(ONE, 16)[1][IDS["r"]] == {"resources": summaries[IDS["r"]]["resources"]}
    assert "root_provider_uuid" not in written(ONE, 28)[1][IDS["a"]]
