"""Network v2.0, the whole of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lanekeeper.api.network import (
    agent,
    elsewhere,
    extension,
    ip_availability,
    network,
    port,
    port_binding,
    qos,
    qos_rule,
    quota,
    rbac,
    security_group,
    segment,
    subnet,
    tag,
)
from lanekeeper.api.network.fault import envelope
from lanekeeper.api.network.listing import View
from lanekeeper.api.row import Call, Face, Row

PREFIX = "/network"


def versions(call: Call[None]) -> View:
    """List the versions of Network."""
    href = f"{call.base_url}{PREFIX}/v2.0/"
    link = {"rel": "self", "href": href}
    return {"versions": [{"id": "v2.0", "status": "CURRENT", "links": [link]}]}


def resources(call: Call[None]) -> View:
    """List what version 2.0 has."""
    found = {"networks": "network", "subnets": "subnet", "ports": "port"}
    return {
        "resources": [
            {
                "name": single,
                "collection": plural,
                "links": [{"rel": "self", "href": f"{call.base_url}{PREFIX}/v2.0/{plural}"}],
            }
            for plural, single in found.items()
        ]
    }


def _as_json(rows: tuple[Row[Any], ...]) -> tuple[Row[Any], ...]:
    """The same operations below paths that end in ``.json``, as old shells write them."""
    return tuple(replace(row, path=f"{row.path}.json") for row in rows)


_ROWS: tuple[Row[Any], ...] = (
    *network.ROWS,
    *subnet.ROWS,
    *port.ROWS,
    *port_binding.ROWS,
    *security_group.ROWS,
    *segment.ROWS,
    *agent.ROWS,
    *extension.ROWS,
    *qos.ROWS,
    *qos_rule.ROWS,
    *quota.ROWS,
    *rbac.ROWS,
    *ip_availability.ROWS,
    *elsewhere.ROWS,
    *tag.ROWS,
)
FACE = Face(
    name="network",
    prefix=PREFIX,
    envelope=envelope,
    rows=(
        Row(method="GET", path="/", handler=versions),
        Row(method="GET", path="/v2.0", handler=resources),
        *_as_json(_ROWS),  # first: {id} would take the ending for a part of the id
        *_ROWS,
    ),
)
