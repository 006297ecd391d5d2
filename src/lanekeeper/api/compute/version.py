"""The version documents of Compute, which anybody may read."""

from __future__ import annotations

from typing import Any

from lanekeeper.api.microversion import Microversion, Versions
from lanekeeper.api.row import Call, Row

VERSIONS = Versions(
    service="compute",
    least=Microversion(2, 1),
    most=Microversion(2, 100),
    legacy_header="x-openstack-nova-api-version",
)


def document(call: Call[None]) -> dict[str, object]:
    """What clients find below /compute and /compute/v2.1.

    Source: nova ``api/openstack/compute/versionsV21.py``.
    """
    return {
        "id": "v2.1",
        "status": "CURRENT",
        "version": str(VERSIONS.most),
        "min_version": str(VERSIONS.least),
        "updated": "2013-07-23T11:33:21Z",
        "links": [{"rel": "self", "href": f"{call.base_url}/compute/v2.1/"}],
    }


def list_versions(call: Call[None]) -> dict[str, object]:
    """List the versions of the API."""
    return {"versions": [document(call)]}


def show_version(call: Call[None]) -> dict[str, object]:
    """Show the one version of the API."""
    described = {"rel": "describedby", "type": "text/html", "href": "https://docs.openstack.org/"}
    kind = "application/vnd.openstack.compute+json;version=2.1"
    shown = document(call)
    return {
        "version": shown
        | {
            "links": [{"rel": "self", "href": f"{call.base_url}/compute/v2.1/"}, described],
            "media-types": [{"base": "application/json", "type": kind}],
        }
    }


ROWS: tuple[Row[Any], ...] = (
    Row(method="GET", path="/", handler=list_versions),
    Row(method="GET", path="/v2.1", handler=show_version),
)
