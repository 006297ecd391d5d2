"""``/allocation_candidates``: who could give what."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lanekeeper.api.placement.candidate_query import read_query
from lanekeeper.api.placement.views import at_least, fresh, rule
from lanekeeper.api.row import Call, Reply, Row
from lanekeeper.control.placement.candidate import find_candidates
from lanekeeper.domain.placement.candidate import Candidate, involved_trees
from lanekeeper.domain.placement.provider import Forest, Provider
from lanekeeper.domain.placement.query import CandidateQuery


def index(call: Call[bytes]) -> Reply:
    """List ways to serve a request."""
    query = read_query(call)
    forest, found = find_candidates(call.site, query)
    if not at_least(call, 29):
        found = tuple(c for c in found if _one_provider_a_tree(forest, c))
    body = {
        "allocation_requests": [_request(call, candidate) for candidate in found],
        "provider_summaries": {
            provider.id: _summary(call, provider, query)
            for provider in _summarised(call, forest, found)
        },
    }
    return fresh(call, body)


def _summarised(
    call: Call[bytes], forest: Forest, found: tuple[Candidate, ...]
) -> Iterable[Provider]:
    """Whole trees from 1.29 on; before, only who gives something."""
    trees = involved_trees(forest, found)
    if at_least(call, 29):
        return trees
    used = {provider for candidate in found for (provider, _), _ in candidate.amounts}
    return [provider for provider in trees if provider.id in used]


def _one_provider_a_tree(forest: Forest, candidate: Candidate) -> bool:
    providers = {provider for (provider, _), _ in candidate.amounts}
    return len({forest.by_id[p].root_id for p in providers}) == len(providers)


def _standard_first(trait: str) -> tuple[bool, str]:
    return trait.startswith("CUSTOM_"), trait


def _request(call: Call[bytes], candidate: Candidate) -> dict[str, Any]:
    allocations: dict[str, dict[str, dict[str, int]]] = {}
    for (provider, name), amount in candidate.amounts:
        allocations.setdefault(provider, {"resources": {}})["resources"][name] = amount
    if not at_least(call, 12):
        return {
            "allocations": [
                {"resource_provider": {"uuid": provider}, **share}
                for provider, share in allocations.items()
            ]
        }
    request: dict[str, Any] = {"allocations": allocations}
    if at_least(call, 34):
        request["mappings"] = {suffix: list(ids) for suffix, ids in candidate.mappings}
    return request


def _summary(call: Call[bytes], provider: Provider, query: CandidateQuery) -> dict[str, Any]:
    asked = {name for group in query.groups for name, _ in group.resources}
    summary: dict[str, Any] = {
        "resources": {
            name: {"capacity": record.capacity, "used": record.used}
            for name, record in provider.inventories.items()
            if at_least(call, 27) or name in asked
        }
    }
    if at_least(call, 17):
        summary["traits"] = sorted(provider.traits, key=_standard_first)
    if at_least(call, 29):
        summary |= {
            "parent_provider_uuid": provider.parent_id,
            "root_provider_uuid": provider.root_id,
        }
    return summary


ROWS: tuple[Row[Any], ...] = (
    Row(
        method="GET",
        path="/allocation_candidates",
        handler=index,
        policy=rule("allocation_candidates:list"),
        since="1.10",
    ),
)
