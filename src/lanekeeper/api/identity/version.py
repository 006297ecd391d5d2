"""Identity's version documents; they need no token."""

from __future__ import annotations

from http import HTTPStatus

from lanekeeper.api.row import Call, Reply, Row

VERSION = "v3.14"


def version(base_url: str) -> dict[str, object]:
    """The one version, as keystoneauth reads it: id, status and links are indispensable."""
    return {
        "id": VERSION,
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": f"{base_url}/identity/v3/"}],
        "media-types": [
            {"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}
        ],
    }


def versions(base_url: str) -> dict[str, object]:
    """All versions; the site's root answers it too."""
    return {"versions": {"values": [version(base_url)]}}


def list_versions(call: Call[None]) -> Reply:
    """List the versions."""
    return Reply(
        body=versions(call.base_url),
        status=HTTPStatus.MULTIPLE_CHOICES,
        headers={"Location": f"{call.base_url}/identity/v3/", "Vary": "X-Auth-Token"},
    )


def show_version(call: Call[None]) -> Reply:
    """Show the version."""
    return Reply(body={"version": version(call.base_url)}, headers={"Vary": "X-Auth-Token"})


ROWS = (
    Row(method="GET", path="/", handler=list_versions),
    Row(method="GET", path="/v3", handler=show_version),
)
