"""Explaining decisions over HTTP: for a server that is there, or one that might be."""

from __future__ import annotations

from typing import Any

from msgspec import field

from lanekeeper.api.row import ADMIN, READER, Call, Policy, Row, Strict
from lanekeeper.control.compute.explain import (
    Answer,
    explain,
    explain_server,
    list_refusals,
)
from lanekeeper.control.compute.question import Question
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.network.port import VnicType

_EXPLAIN = Policy("lanekeeper:explain", READER)
_REFUSALS = Policy("lanekeeper:refusals:list", ADMIN)
_REFUSALS_SHOWN, _REFUSALS_MAX = 100, 1000
_PORTS_MAX = 64


class Asked(Strict, frozen=True):
    """A server that might be asked for; flavor, ports and networks by id or name, the image by id.

    Attributes:
        networks: a port of *vnic_type* is made on each, of the kind that a creation makes where
            none is said; *trusted* is what its profile says.
        security_groups: of the ports that are made, by id or name.
        project: whose server it is, by id or name; None for the caller's. For admins.
    """

    flavor: str
    image: str | None = None
    ports: list[str] = field(default_factory=list)
    networks: list[str] = field(default_factory=list)
    vnic_type: VnicType | None = None
    trusted: bool | None = None
    security_groups: list[str] = field(default_factory=list)
    availability_zone: str | None = None
    host: str | None = None
    hints: dict[str, Any] = field(default_factory=dict)
    project: str | None = None

    @property
    def question(self) -> Question:
        """The same, checked for its size.

        Raises:
            Invalid: more ports than a server may have.
        """
        if len(self.ports) + len(self.networks) > _PORTS_MAX:
            raise Invalid(
                f"ports and networks: at most {_PORTS_MAX}, not "
                f"{len(self.ports) + len(self.networks)}"
            )
        return Question(
            flavor=self.flavor,
            image_id=self.image,
            ports=tuple(self.ports),
            networks=tuple(self.networks),
            vnic_type=self.vnic_type,
            trusted=self.trusted,
            security_groups=tuple(self.security_groups),
            zone=self.availability_zone,
            host=self.host,
            hints=self.hints,
        )


def _view(answer: Answer) -> dict[str, object]:
    return {
        "fits": answer.fits,
        "summary": answer.summary,
        "decided_at": answer.at.isoformat() if answer.at else None,
        "asked": answer.asked,
        "hosts": [
            {
                "host": one.hosts[0] if one.count == len(one.hosts) == 1 else None,
                "hosts": list(one.hosts),
                "count": one.count,
                "rank": one.rank,
                "devices": list(one.devices),
                "cells": list(one.cells),
                "verdicts": list(one.verdicts),
            }
            for one in answer.hosts
        ],
    }


def ask(call: Call[Asked]) -> dict[str, object]:
    """Explain where such a server would go now, and why not elsewhere."""
    return _view(explain(call.site, call.caller, call.body.question, project=call.body.project))


def server(call: Call[None]) -> dict[str, object]:
    """Explain why a server was put where it is, or nowhere."""
    return _view(explain_server(call.site, call.caller, call.path["server_id"]))


def refusals(call: Call[None]) -> dict[str, object]:
    """List servers that found no host, the latest first."""
    text = call.asked("limit") or str(_REFUSALS_SHOWN)
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= _REFUSALS_MAX):
        raise Invalid(f"limit {text[:20]!r} is not a number from 1 to {_REFUSALS_MAX}")
    return {
        "refusals": [
            {
                "server_id": event.server_id,
                "project_id": event.project_id,
                "request_id": event.request_id,
                "at": event.at.isoformat(),
                "summary": event.message,
                "rejections": event.detail["rejections"],
            }
            for event in list_refusals(call.site, int(text))
        ]
    }


ROWS: tuple[Row[Any], ...] = (
    Row(method="POST", path="/explain", handler=ask, policy=_EXPLAIN, accepts=Asked),
    Row(method="GET", path="/servers/{server_id}/explain", handler=server, policy=_EXPLAIN),
    Row(method="GET", path="/refusals", handler=refusals, policy=_REFUSALS),
)
