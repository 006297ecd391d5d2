"""What filters are told by the configuration: a part of it, so without what decides."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterSettings:
    """What filters are told by the configuration; see ``[filter_scheduler]``."""

    image_namespace: str | None = None
    image_separator: str = "."
    default_architecture: str | None = None
    servers_max: int = 50
    isolated_hosts: frozenset[str] = frozenset()
    isolated_images: frozenset[str] = frozenset()
    isolated_restrict: bool = True
