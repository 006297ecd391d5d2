"""Host aggregates: groups of hosts with notes, of which one makes an availability zone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from lanekeeper.domain.errors import Invalid

ZONE_KEY = "availability_zone"
DEVICES_ONLY_KEY = "lanekeeper:devices_only"
"""True keeps the aggregate's hosts for servers that ask for devices."""


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


_YES = frozenset({"1", "on", "true", "yes"})
_NO = frozenset({"0", "off", "false", "no"})


def devices_only(text: str) -> bool:
    """Whether a value of DEVICES_ONLY_KEY keeps hosts apart: all do but those that say no."""
    return text.strip().lower() not in _NO


def check_own(metadata: Mapping[str, str | None]) -> None:
    """Refuse metadata in our name space that means nothing.

    Raises:
        Invalid: a key other than DEVICES_ONLY_KEY.
    """
    scope = DEVICES_ONLY_KEY.partition(":")[0] + ":"
    for key, value in metadata.items():
        if key.lower().startswith(scope) and key != DEVICES_ONLY_KEY and value is not None:
            raise Invalid(
                f"aggregate metadata {key[:60]} does not exist",
                hint=f"did you mean {DEVICES_ONLY_KEY}? Nothing else begins with {scope}",
            )


def check_devices_only(text: str) -> None:
    """Check a value of DEVICES_ONLY_KEY before it is kept.

    Raises:
        Invalid: neither yes nor no.
    """
    if text.strip().lower() not in _YES | _NO:
        raise Invalid(
            f"aggregate metadata {DEVICES_ONLY_KEY}={text[:40]!r} is neither true nor false",
            hint=f"{DEVICES_ONLY_KEY}=true keeps its hosts for servers that ask for devices",
        )
