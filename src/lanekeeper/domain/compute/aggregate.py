"""Host aggregates: groups of hosts with notes, of which one makes an availability zone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

ZONE_KEY = "availability_zone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregate:
    """One aggregate; *hosts* are names, in the order in which they joined."""

    id: int
    uuid: str
    name: str
    metadata: Mapping[str, str]
    hosts: Sequence[str]
    created_at: datetime
    updated_at: datetime | None

    @property
    def zone(self) -> str | None:
        return self.metadata.get(ZONE_KEY)
