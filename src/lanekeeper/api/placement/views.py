"""How Placement's things look at a microversion, and what handlers share."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime
from http import HTTPStatus
from typing import Any

from lanekeeper.api.placement.schema import Form
from lanekeeper.api.placement.version import CACHED_SINCE
from lanekeeper.api.row import Call, Policy, Reply
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.placement.inventory import Inventory
from lanekeeper.domain.placement.listing import ProviderRow

PREFIX = "/placement"
PROVIDER = "/resource_providers/{id}"
GONE = HTTPStatus.NO_CONTENT
_LINKS = (
    ("self", "", 0),
    ("inventories", "/inventories", 0),
    ("usages", "/usages", 0),
    ("aggregates", "/aggregates", 1),
    ("traits", "/traits", 6),
    ("allocations", "/allocations", 11),
)
_OLD_RULE = "role:admin"
_SCOPES = ("project",)
BASES = (
    Policy("admin_api", "role:admin", scopes=_SCOPES),
    Policy("service_api", "role:service", _OLD_RULE, _SCOPES),
    Policy("admin_or_service_api", "role:admin or role:service", _OLD_RULE, _SCOPES),
    Policy("project_reader_api", "role:reader and project_id:%(project_id)s", _OLD_RULE),
    Policy(
        "admin_or_project_reader_or_service_api",
        "role:admin or rule:project_reader_api or role:service",
        _OLD_RULE,
        _SCOPES,
    ),
)
"""Source: placement ``policies/base.py``."""


def rule(name: str, default: str = "rule:admin_or_service_api") -> Policy:
    return Policy(f"placement:{name}", default, scopes=_SCOPES)


def at_least(call: Call[Any], minor: int) -> bool:
    return call.microversion.minor >= minor


def fresh(
    call: Call[Any],
    body: object,
    modified: datetime | None = None,
    *,
    status: HTTPStatus | None = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """Answer with *body*, and from 1.15 on with when it last changed; None is now."""
    told = dict(headers or {})
    if at_least(call, CACHED_SINCE):
        moment = modified or call.site.clock()
        told |= {
            "Last-Modified": format_datetime(moment, usegmt=True),
            "Cache-Control": "no-cache",
        }
    return Reply(body=body, status=status, headers=told)


def location(call: Call[Any], path: str) -> dict[str, str]:
    return {"Location": f"{call.base_url}{call.mount}{path}"}


def provider_view(provider: ProviderRow, call: Call[Any]) -> dict[str, Any]:
    """A provider; its parent and root from 1.14 on."""
    home = f"{call.mount}/resource_providers/{provider.id}"
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


def last(call: Call[Any]) -> dict[str, str]:
    """Query parameters by name, of repeated ones the last."""
    return dict(call.query)


def check_query(call: Call[Any], form: Form) -> dict[str, str]:
    """Return the query parameters, of repeated ones the last.

    Raises:
        Invalid: they are not of *form*.
    """
    parameters = last(call)
    form.check(parameters, "Invalid query string parameters")
    return parameters
