"""``/allocation_candidates``: who could give what."""

from __future__ import annotations

import re
from typing import Any

from lanekeeper.api.placement.views import at_least, canonical, rule
from lanekeeper.api.row import Call, Row
from lanekeeper.control.placement.candidate import find_candidates
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.placement.candidate import Candidate, involved_trees
from lanekeeper.domain.placement.provider import Forest, Provider
from lanekeeper.domain.placement.query import (
    AnyOf,
    CandidateQuery,
    Group,
    check_query,
    parse_aggregates,
    parse_resources,
    parse_traits,
)

_OLD_SUFFIX = r"(|[1-9][0-9]*)"
_SUFFIX = r"(|[a-zA-Z0-9_-]{1,64})"
_GROUP_KEYS = ("resources", "required", "member_of", "in_tree")
_LIMIT = re.compile(r"[1-9][0-9]{0,9}", re.ASCII)


def index(call: Call[None]) -> dict[str, Any]:
    """List ways to serve a request."""
    query = _query(call)
    forest, found = find_candidates(call.site, query)
    if not at_least(call, 29):
        found = tuple(c for c in found if _one_provider_a_tree(forest, c))
    return {
        "allocation_requests": [_request(call, candidate) for candidate in found],
        "provider_summaries": {
            provider.id: _summary(call, provider, query)
            for provider in involved_trees(forest, found)
        },
    }


def _one_provider_a_tree(forest: Forest, candidate: Candidate) -> bool:
    providers = {provider for (provider, _), _ in candidate.amounts}
    return len({forest.by_id[p].root_id for p in providers}) == len(providers)


def _query(call: Call[None]) -> CandidateQuery:
    pattern = _SUFFIX if at_least(call, 33) else _OLD_SUFFIX if at_least(call, 25) else "()"
    key_of = re.compile(rf"({'|'.join(_GROUP_KEYS)}){pattern}", re.ASCII)
    suffixes: dict[str, None] = {}
    for name, _ in call.query:
        found = key_of.fullmatch(name)
        if found is not None:
            suffixes.setdefault(found[2])
        elif name not in ("limit", "group_policy", "root_required", "same_subtree"):
            raise Invalid(f"Invalid query string parameters: {name!r} was unexpected")
    for subtree in call.asked_all("same_subtree"):
        for suffix in subtree.split(","):
            suffixes.setdefault(suffix)
    query = CandidateQuery(
        groups=tuple(_group(call, suffix) for suffix in suffixes),
        isolate=_isolate(call, [suffix for suffix in suffixes if suffix]),
        root_traits=_root_traits(call),
        same_subtrees=tuple(
            tuple(subtree.split(",")) for subtree in call.asked_all("same_subtree")
        ),
        limit=_limit(call),
    )
    check_query(query)
    return query


def _group(call: Call[None], suffix: str) -> Group:
    resources = call.asked(f"resources{suffix}")
    in_tree = call.asked(f"in_tree{suffix}")
    required = call.asked_all(f"required{suffix}")
    return Group(
        suffix=suffix,
        resources=parse_resources(resources) if resources else (),
        traits=parse_traits(required if at_least(call, 39) else required[-1:]),
        aggregates=parse_aggregates(call.asked_all(f"member_of{suffix}")),
        in_tree=canonical(in_tree, "in_tree") if in_tree else "",
    )


def _isolate(call: Call[None], suffixed: list[str]) -> bool:
    policy = next((value for key, value in call.query if key == "group_policy"), None)
    if policy not in (None, "none", "isolate"):
        raise Invalid(f"group_policy is none or isolate, not {policy!r}")
    with_resources = [suffix for suffix in suffixed if call.asked(f"resources{suffix}")]
    if policy is None and len(with_resources) > 1:
        raise Invalid(
            "The 'group_policy' parameter is required when specifying more than one "
            "'resources{N}' parameter."
        )
    return policy == "isolate"


def _root_traits(call: Call[None]) -> AnyOf:
    given = call.asked_all("root_required")
    if len(given) > 1:
        raise Invalid(
            "Query parameter 'root_required' may be specified only once.",
            code="placement.query.duplicate_key",
        )
    return parse_traits(given, any_of=False)


def _limit(call: Call[None]) -> int | None:
    text = next((value for key, value in call.query if key == "limit"), None)
    if text is None:
        return None
    if not _LIMIT.fullmatch(text):
        raise Invalid(f"limit is a whole number from 1, not {text!r}")
    return int(text)


def _request(call: Call[None], candidate: Candidate) -> dict[str, Any]:
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


def _summary(call: Call[None], provider: Provider, query: CandidateQuery) -> dict[str, Any]:
    asked = {name for group in query.groups for name, _ in group.resources}
    summary: dict[str, Any] = {
        "resources": {
            name: {"capacity": record.capacity, "used": record.used}
            for name, record in provider.inventories.items()
            if at_least(call, 27) or name in asked
        }
    }
    if at_least(call, 17):
        summary["traits"] = sorted(provider.traits)
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
