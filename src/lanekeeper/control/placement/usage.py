"""What projects hold, added up."""

from __future__ import annotations

from dataclasses import dataclass

from lanekeeper.control.site import Site
from lanekeeper.store.placement.allocation import usage_of_project

UNKNOWN_TYPE = "unknown"


@dataclass(frozen=True, slots=True)
class Usage:
    """What consumers of a project hold: (consumer id, its type, class, units) each."""

    lines: tuple[tuple[str, str, str, int], ...]

    def kinds(self) -> list[str]:
        return sorted({kind for _, kind, _, _ in self.lines})

    def total(self, of_kind: str | None = None) -> dict[str, int]:
        amounts: dict[str, int] = {}
        for _, kind, name, amount in self.lines:
            if of_kind in (None, kind):
                amounts[name] = amounts.get(name, 0) + amount
        return amounts

    def count(self, of_kind: str | None = None) -> int:
        return len({line[0] for line in self.lines if of_kind in (None, line[1])})


def project_usage(site: Site, project_id: str, user_id: str | None) -> Usage:
    """What all consumers of a project, or of one user in it, hold now."""
    with site.database.read() as connection:
        lines = usage_of_project(connection, project_id, user_id)
    return Usage(
        tuple((id_, kind or UNKNOWN_TYPE, name, amount) for id_, kind, name, amount in lines)
    )
