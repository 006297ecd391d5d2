"""How Placement's things look at a microversion."""

from __future__ import annotations

import uuid
from typing import Any

from lanekeeper.api.microversion import Microversion
from lanekeeper.api.row import ADMIN, Call, Policy
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.placement.inventory import Inventory
from lanekeeper.domain.placement.provider import Provider

PREFIX = "/placement"
_LINKS = (
    ("self", "", 0),
    ("inventories", "/inventories", 0),
    ("usages", "/usages", 0),
    ("aggregates", "/aggregates", 1),
    ("traits", "/traits", 6),
    ("allocations", "/allocations", 11),
)


def rule(name: str, default: str = ADMIN) -> Policy:
    return Policy(f"placement:{name}", default)


def at_least(call: Call[Any], minor: int) -> bool:
    return call.microversion >= Microversion(1, minor)


def provider_view(provider: Provider, call: Call[Any]) -> dict[str, Any]:
    """A provider; its parent and root from 1.14 on."""
    home = f"{PREFIX}/resource_providers/{provider.id}"
    view: dict[str, Any] = {
        "uuid": provider.id,
        "name": provider.name,
        "generation": provider.generation,
        "links": [
            {"rel": rel, "href": home + path}
            for rel, path, since in _LINKS
            if call.microversion.minor >= since
        ],
    }
    if at_least(call, 14):
        view |= {
            "parent_provider_uuid": provider.parent_id,
            "root_provider_uuid": provider.root_id,
        }
    return view


def inventory_view(record: Inventory) -> dict[str, Any]:
    return {
        "total": record.total,
        "reserved": record.reserved,
        "min_unit": record.min_unit,
        "max_unit": record.max_unit,
        "step_size": record.step_size,
        "allocation_ratio": record.allocation_ratio,
    }


def canonical(text: str, what: str) -> str:
    """A UUID in its usual spelling; without dashes it is taken too.

    Raises:
        Invalid: it is none.
    """
    try:
        return str(uuid.UUID(text))
    except ValueError as error:
        raise Invalid(f"{what} {text[:60]!r} is not a UUID") from error


def only(call: Call[Any], *known: str) -> None:
    """Refuse query parameters that nobody knows, as Placement does.

    Raises:
        Invalid: one is not in *known*.
    """
    for name, _ in call.query:
        if name not in known:
            raise Invalid(
                f"Invalid query string parameters: Additional properties are not allowed "
                f"({name!r} was unexpected)"
            )
