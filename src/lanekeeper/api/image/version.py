"""Image's version documents; they need no token."""

from __future__ import annotations

from http import HTTPStatus

from lanekeeper.api.row import Call, Reply, Row

CURRENT = "v2.17"
_SUPPORTED = tuple(
    f"v2.{minor}" for minor in (16, 15, 14, 13, 12, 11, 10, 9, 7, 6, 5, 4, 3, 2, 1, 0)
)


def _versions(call: Call[None]) -> dict[str, object]:
    link = {"rel": "self", "href": f"{call.base_url}/image/v2/"}
    numbers = [(CURRENT, "CURRENT"), *((number, "SUPPORTED") for number in _SUPPORTED)]
    return {
        "versions": [
            {"id": number, "status": status, "links": [link]} for number, status in numbers
        ]
    }


def choose(call: Call[None]) -> Reply:
    """List the versions at the service's root."""
    return Reply(body=_versions(call), status=HTTPStatus.MULTIPLE_CHOICES)


def list_versions(call: Call[None]) -> dict[str, object]:
    """List the versions."""
    return _versions(call)


ROWS = (
    Row(method="GET", path="/", handler=choose),
    Row(method="GET", path="/versions", handler=list_versions),
    Row(method="GET", path="/v2", handler=list_versions),
)
