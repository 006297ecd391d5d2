"""``/allocation_candidates``: who could give what."""

from __future__ import annotations

from typing import Any

from lanekeeper.api.placement.candidate_query import read_query
from lanekeeper.api.placement.candidate_text import names_of, requests_text, summaries_text
from lanekeeper.api.placement.views import at_least, fresh, rule
from lanekeeper.api.row import Call, Reply, Row
from lanekeeper.control.placement.candidate import find_candidates
from lanekeeper.domain.placement.candidate import involved

_EVERY_CLASS_SINCE = 27


def index(call: Call[bytes]) -> Reply:
    """List ways to serve a request, and all providers of the trees that are in them."""
    query, minor = read_query(call), call.microversion.minor
    answer = find_candidates(call.site, query)
    snapshot = answer.snapshot
    rows = involved(snapshot, query, answer.found)
    asked = {name for group in query.groups for name, _ in group.resources}
    classes = snapshot.stocks if at_least(call, _EVERY_CLASS_SINCE) else sorted(asked)
    names = names_of(snapshot.shape.trees.ids, rows)
    body = {
        "allocation_requests": requests_text(names, answer.found, minor),
        "provider_summaries": summaries_text(names, snapshot, rows, classes, minor),
    }
    return fresh(call, body)


ROWS: tuple[Row[Any], ...] = (
    Row(
        method="GET",
        path="/allocation_candidates",
        handler=index,
        policy=rule("allocation_candidates:list"),
        since="1.10",
    ),
)
