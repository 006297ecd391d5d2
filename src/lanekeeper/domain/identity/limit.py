"""How much projects may have: a registered limit for each of them, a limit for one of them."""

from __future__ import annotations

from dataclasses import dataclass

LIMIT_MAX = 2**31 - 1
"""Source: keystone ``limit/schema.py``, 0x7FFFFFFF."""
UNLIMITED = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredLimit:
    """What each project may have of a resource that has no limit of its own.

    Attributes:
        region_id: as its maker named it; there is one region, so it makes no difference.
        default_limit: -1 is without bound.
    """

    id: str
    resource_name: str
    default_limit: int
    region_id: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What one project may have of a resource, in place of the registered limit.

    Attributes:
        resource_limit: -1 is without bound.
        region_id: the registered limit's.
    """

    id: str
    project_id: str
    registered_id: str
    resource_name: str
    resource_limit: int
    region_id: str | None = None
    description: str | None = None
