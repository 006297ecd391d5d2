"""Where the two are known to part: Placement's own faults for good, Lanekeeper's until mended.

A reason here takes one kind of answer out of the comparison, and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from placement.world import Query

_CANDIDATES = "/allocation_candidates"
_REFUSED = 400
_BROKEN = 500


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and what both answered: status, and body or error code."""

    method: str
    path: str
    body: Any
    minor: int
    theirs: tuple[int, Any]
    ours: tuple[int, Any]

    @property
    def both_refused(self) -> bool:
        return _REFUSED <= self.ours[0] < _BROKEN and self.theirs[0] >= _REFUSED

    @property
    def asks_candidates(self) -> bool:
        return self.path.startswith(_CANDIDATES) and self.ours[0] < _REFUSED


def peer_miscounts(query: Query) -> bool:
    """Whether Placement may ask too much of a provider: a class in several groups, not "none".

    It adds up amounts in objects that candidates share, and copies them for ``group_policy=none``
    only. Source: placement ``objects/research_context.py``, ``copy_arr_if_needed``.
    """
    classes = [
        item.split(":")[0]
        for name, value in query.parameters
        if name.startswith("resources")
        for item in value.split(",")
    ]
    return len(set(classes)) < len(classes) and ("group_policy", "none") not in query.parameters


def _peer_breaks(exchange: Exchange) -> bool:
    return exchange.theirs[0] == _BROKEN and exchange.ours[0] < _BROKEN


_REFUSALS = (
    # Where two things are wrong at once: method, end of the path, Placement's status, ours.
    ("POST", r"/resource_providers", 400, 409),  # no such parent; the name is taken
    ("PUT", r"/resource_providers/[^/]+", 400, 409),  # a loop; the name is taken
    ("DELETE", r"/resource_providers/[^/]+", 409, 409),  # it has children; it is in use
    ("PUT", r"/traits", 409, 400),  # stale generation; no such trait
    ("PUT", r"/inventories", 409, 400),  # stale generation; more reserved than there is
    ("PUT", r"/inventories/[^/]+", 409, 400),  # the same, or no such record
    ("PUT", r"/allocations/[^/]+", 400, 409),  # no such provider; another one is full
    ("POST", r"/allocations", 400, 409),
    ("GET", rf"{_CANDIDATES}\?.*", 400, 400),  # the same status with another code
)


def _another_refusal_first(exchange: Exchange) -> bool:
    answered = (exchange.method, exchange.theirs[0], exchange.ours[0])
    return any(
        answered == (method, theirs, ours) and re.search(f"{path}$", exchange.path) is not None
        for method, path, theirs, ours in _REFUSALS
    )


def _newer_parameter(exchange: Exchange) -> bool:
    return exchange.asks_candidates and exchange.theirs[0] == _REFUSED and exchange.minor < 39


def _nameless_subtree(exchange: Exchange) -> bool:
    refused = exchange.theirs == (_REFUSED, "placement.query.bad_value")
    return exchange.asks_candidates and refused and "same_subtree=" in exchange.path


def _candidate_of_each_anchor(exchange: Exchange) -> bool:
    if not exchange.asks_candidates or exchange.theirs[0] != exchange.ours[0]:
        return False
    theirs, ours = exchange.theirs[1], exchange.ours[1]
    once: list[Any] = []
    for candidate in ours["allocation_requests"]:
        if candidate not in once:
            once.append(candidate)
    return once == theirs["allocation_requests"] and (
        exchange.minor < 29 or ours["provider_summaries"] == theirs["provider_summaries"]
    )


def _summaries_of_old(exchange: Exchange) -> bool:
    if not exchange.asks_candidates or exchange.minor >= 29 or exchange.theirs[0] >= _REFUSED:
        return False
    return bool(
        exchange.theirs[1]["allocation_requests"] == exchange.ours[1]["allocation_requests"]
    )


def _aggregates_generation(exchange: Exchange) -> bool:
    return exchange.path.endswith("/aggregates") and exchange.method == "PUT"


def _no_reshaper(exchange: Exchange) -> bool:
    return exchange.path == "/reshaper" and exchange.ours[0] == 501


def _overfull(exchange: Exchange) -> bool:
    answered = exchange.theirs[0] < _REFUSED and exchange.ours[0] == 409
    return exchange.path.startswith("/allocations") and answered


def _no_capacity(exchange: Exchange) -> bool:
    """Before 1.26 an inventory must leave something to use."""
    refused = exchange.theirs[0] == _REFUSED and exchange.ours[0] < _REFUSED
    return "/inventories" in exchange.path and exchange.minor < 26 and refused


KNOWN: dict[str, Callable[[Exchange], bool]] = {
    # Placement's.
    "Placement breaks (500)": _peer_breaks,
    # Lanekeeper's, to be mended; an entry goes with its mending.
    "of two reasons to refuse, another comes first": _another_refusal_first,
    "a parameter that the microversion does not know is taken": _newer_parameter,
    "same_subtree may name a group that is not there": _nameless_subtree,
    "a sharing provider's candidate is listed once for each anchor": _candidate_of_each_anchor,
    "before 1.29 the summaries hold providers that no candidate uses": _summaries_of_old,
    "PUT aggregates moves the generation only when something changes": _aggregates_generation,
    "the reshaper is not there": _no_reshaper,
    "a provider over its capacity refuses also what does not add to its use": _overfull,
    "before 1.26 an inventory without capacity is taken": _no_capacity,
}


def known(exchange: Exchange) -> str:
    """The reason for which these answers may differ; empty when there is none."""
    return next((reason for reason, applies in KNOWN.items() if applies(exchange)), "")
