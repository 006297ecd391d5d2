"""Allocation candidates over everything that is free at this moment."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace

import structlog

from lanekeeper.control.placement.resource_name import check_classes, check_traits
from lanekeeper.control.site import Site
from lanekeeper.domain.placement.candidate import Candidate, Order, search
from lanekeeper.domain.placement.query import CandidateQuery
from lanekeeper.domain.placement.snapshot import Snapshot

_MOST = 100_000
"""What ``max_allocation_candidates`` comes to at the most: about 100 MB of answer."""

log = structlog.get_logger("lanekeeper.placement")


@dataclass(frozen=True, slots=True)
class Candidates:
    """What was found, and the snapshot whose rows it speaks of."""

    snapshot: Snapshot
    found: tuple[Candidate, ...]


def find_candidates(site: Site, query: CandidateQuery) -> Candidates:
    """Search in what is committed now.

    Raises:
        Invalid: an unknown class or trait.
    """
    snapshot = site.inventory.current(site.database)
    _check_names(site, snapshot, query)
    settings = site.config.placement
    most = settings.max_allocation_candidates
    bound = _MOST if most < 0 else min(max(most, 1), _MOST)
    order = Order(
        seed=secrets.randbits(64) if settings.randomize_allocation_candidates else None,
        in_turn=settings.allocation_candidates_generation_strategy == "breadth-first",
    )
    limit = bound if query.limit is None else min(bound, query.limit)
    found = search(snapshot, replace(query, limit=limit), order)
    if found.given_up:
        log.warning("candidates.given_up", found=len(found.candidates), groups=len(query.groups))
    return Candidates(snapshot, found.candidates)


def _check_names(site: Site, snapshot: Snapshot, query: CandidateQuery) -> None:
    """Refuse names that nobody knows; what the snapshot has needs no look into the database."""
    classes = {n for g in query.groups for n, _ in g.resources if n not in snapshot.stocks}
    traits = query.root_traits.names.union(*(group.traits.names for group in query.groups))
    traits -= snapshot.shape.traits.rows_of.keys()
    if not (classes or traits):
        return
    with site.database.read() as connection:
        check_classes(connection, classes, "Invalid resource class in resources parameter")
        check_traits(connection, traits)
