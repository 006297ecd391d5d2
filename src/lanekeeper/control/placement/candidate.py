"""Allocation candidates over everything that is free at this moment."""

from __future__ import annotations

import random
from dataclasses import replace

from lanekeeper.control.placement.resource_name import check_classes, check_traits
from lanekeeper.control.site import Site
from lanekeeper.domain.placement.candidate import Candidate, search
from lanekeeper.domain.placement.provider import Forest
from lanekeeper.domain.placement.query import CandidateQuery
from lanekeeper.store.placement.forest import forest_load


def find_candidates(site: Site, query: CandidateQuery) -> tuple[Forest, tuple[Candidate, ...]]:
    """Search, and return with the candidates the forest in which they were found.

    Raises:
        Invalid: an unknown class or trait.
    """
    with site.database.read() as connection:
        classes = {name for group in query.groups for name, _ in group.resources}
        check_classes(connection, classes, "Invalid resource class in resources parameter")
        traits = query.root_traits.names.union(*(group.traits.names for group in query.groups))
        check_traits(connection, traits)
        forest = forest_load(connection)
    return forest, _chosen(forest, query)


def _chosen(forest: Forest, query: CandidateQuery) -> tuple[Candidate, ...]:
    bounds = [bound for bound in (query.limit, query.most) if bound is not None]
    if query.limit is None or not query.by_chance:
        return search(forest, replace(query, limit=min(bounds, default=None)))
    made = search(forest, replace(query, limit=query.most))
    # Which of equals is taken keeps no secret.
    return tuple(random.sample(made, min(query.limit, len(made))))
