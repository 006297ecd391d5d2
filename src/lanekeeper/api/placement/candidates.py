"""``/allocation_candidates``: who could give what."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from lanekeeper.api.placement.views import at_least, canonical, rule
from lanekeeper.api.row import Call, Row
from lanekeeper.control.placement.candidate import Candidates, find_candidates
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.placement.candidate import Candidate, involved
from lanekeeper.domain.placement.query import (
    AnyOf,
    CandidateQuery,
    Group,
    check_query,
    parse_aggregates,
    parse_resources,
    parse_traits,
)
from lanekeeper.domain.placement.snapshot import among

_OLD_SUFFIX = r"(|[1-9][0-9]*)"
_SUFFIX = r"(|[a-zA-Z0-9_-]{1,64})"
_GROUP_KEYS = ("resources", "required", "member_of", "in_tree")
_LIMIT = re.compile(r"[1-9][0-9]{0,9}", re.ASCII)


def index(call: Call[None]) -> dict[str, Any]:
    """List ways to serve a request."""
    query = _query(call)
    answer = find_candidates(call.site, query)
    ids = answer.snapshot.shape.trees.ids
    return {
        "allocation_requests": [_request(call, ids, candidate) for candidate in answer.found],
        "provider_summaries": _summaries(call, query, answer),
    }


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
        nested=at_least(call, 29),
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


def _request(call: Call[None], ids: Sequence[str], candidate: Candidate) -> dict[str, Any]:
    allocations = {ids[row]: {"resources": part} for row, part in candidate.amounts.items()}
    if not at_least(call, 12):
        return {
            "allocations": [
                {"resource_provider": {"uuid": provider}, **share}
                for provider, share in allocations.items()
            ]
        }
    request: dict[str, Any] = {"allocations": allocations}
    if at_least(call, 34):
        request["mappings"] = {
            suffix: [ids[row] for row in rows] for suffix, rows in candidate.mappings.items()
        }
    return request


def _summaries(call: Call[None], query: CandidateQuery, answer: Candidates) -> dict[str, Any]:
    """Every provider of the trees involved; column by column, as the snapshot has them."""
    snapshot = answer.snapshot
    trees, traits = snapshot.shape.trees, snapshot.shape.traits
    rows = involved(snapshot, query, answer.found)
    resources: dict[int, dict[str, Any]] = {row: {} for row in rows.tolist()}
    asked = {name for group in query.groups for name, _ in group.resources}
    for name, stock in snapshot.stocks.items():
        if name in asked or at_least(call, 27):
            for row, capacity, used in zip(*map(np.ndarray.tolist, stock.at(rows)), strict=True):
                resources[row][name] = {"capacity": capacity, "used": used}
    summaries: dict[int, dict[str, Any]] = {
        row: {"resources": part} for row, part in resources.items()
    }
    if at_least(call, 17):
        for summary in summaries.values():
            summary["traits"] = []
        for name in sorted(traits.rows_of):
            carriers = traits.of(name)
            for row in carriers[among(carriers, rows)].tolist():
                summaries[row]["traits"].append(name)
    if at_least(call, 29):
        for row, parent, root in zip(
            rows.tolist(), trees.parent[rows].tolist(), trees.root[rows].tolist(), strict=True
        ):
            summaries[row]["parent_provider_uuid"] = trees.ids[parent] if parent >= 0 else None
            summaries[row]["root_provider_uuid"] = trees.ids[root]
    return {trees.ids[row]: summary for row, summary in summaries.items()}


ROWS: tuple[Row[Any], ...] = (
    Row(
        method="GET",
        path="/allocation_candidates",
        handler=index,
        policy=rule("allocation_candidates:list"),
        since="1.10",
    ),
)
