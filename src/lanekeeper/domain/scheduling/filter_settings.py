"""What filters are told beside request and hosts; a part of the configuration reads it, too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterSettings:
    """What filters are told by the configuration; see ``[filter_scheduler]``.

    Attributes:
        builds: how many servers each host, by id, is building now; read for each decision.
    """

    image_namespace: str | None = None
    image_separator: str = "."
    default_architecture: str | None = None
    servers_max: int = 50
    builds_max: int = 8
    isolated_hosts: frozenset[str] = frozenset()
    isolated_images: frozenset[str] = frozenset()
    isolated_restrict: bool = True
    builds: Mapping[str, int] = field(default_factory=dict)
