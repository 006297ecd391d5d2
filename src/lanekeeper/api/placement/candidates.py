"""``/allocation_candidates``: who could give what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lanekeeper.api.placement.candidate_query import read_query
from lanekeeper.api.placement.views import at_least, fresh, rule
from lanekeeper.api.row import Call, Reply, Row
from lanekeeper.control.placement.candidate import Candidates, find_candidates
from lanekeeper.domain.placement.candidate import Candidate, involved
from lanekeeper.domain.placement.query import CandidateQuery
from lanekeeper.domain.placement.rows import among


def index(call: Call[bytes]) -> Reply:
    """List ways to serve a request."""
    query = read_query(call)
    answer = find_candidates(call.site, query)
    ids = answer.snapshot.shape.trees.ids
    body = {
        "allocation_requests": [_request(call, ids, candidate) for candidate in answer.found],
        "provider_summaries": _summaries(call, query, answer),
    }
    return fresh(call, body)


def _request(call: Call[bytes], ids: Sequence[str], candidate: Candidate) -> dict[str, Any]:
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


def _summaries(call: Call[bytes], query: CandidateQuery, answer: Candidates) -> dict[str, Any]:
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
        for name in sorted(traits.rows_of, key=_standard_first):
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


def _standard_first(trait: str) -> tuple[bool, str]:
    return trait.startswith("CUSTOM_"), trait


ROWS: tuple[Row[Any], ...] = (
    Row(
        method="GET",
        path="/allocation_candidates",
        handler=index,
        policy=rule("allocation_candidates:list"),
        since="1.10",
    ),
)
