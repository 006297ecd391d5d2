"""Allocation candidates over everything that is free at this moment."""

from __future__ import annotations

from lanekeeper.control.placement.resource_name import class_exists, trait_exists
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Invalid
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
        for group in query.groups:
            for name, _ in group.resources:
                if not class_exists(connection, name):
                    raise Invalid(f"Invalid resource class in resources parameter: {name}")
            unknown = [n for n in group.traits.names if not trait_exists(connection, n)]
            if unknown:
                raise Invalid(f"No such trait(s): {', '.join(sorted(unknown))}.")
        forest = forest_load(connection)
    return forest, search(forest, query)
