"""Hosts from the operator's side: who is there, letting one in, letting one go on."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from lanekeeper.api.row import ADMIN, Call, Policy, Row, Strict
from lanekeeper.control.host.enrolment import create_token
from lanekeeper.control.host.host import HostView, list_hosts, thaw_host

MANAGE = Policy("lanekeeper:hosts:manage", ADMIN)


class TokenBody(Strict, frozen=True):
    """``host_name`` empty lets any host use the token."""

    host_name: str = ""


def _view(host: HostView) -> dict[str, Any]:
    return {
        "id": host.id,
        "name": host.name,
        "alive": host.alive,
        "enabled": host.enabled,
        "frozen_reason": host.frozen_reason,
        "seen_at": host.seen_at.isoformat() if host.seen_at else None,
        "agent_version": host.agent_version,
        "problems": list(host.problems),
        "wanted": host.wanted,
        "obeyed": host.obeyed,
    }


def index(call: Call[None]) -> dict[str, Any]:
    """List hosts with what their agents complain of."""
    return {"hosts": [_view(host) for host in list_hosts(call.site)]}


def create_enrolment(call: Call[TokenBody]) -> dict[str, Any]:
    """Make a one-time token with which a host's agent enrols."""
    token = create_token(call.site, call.body.host_name)
    return {"token": token, "host_name": call.body.host_name}


def thaw(call: Call[None]) -> None:
    """Let a frozen host obey again, from what this database wants of it now."""
    thaw_host(call.site, call.path["host_id"])


ROWS: tuple[Row[Any], ...] = (
    Row(method="GET", path="/hosts", handler=index, policy=MANAGE),
    Row(
        method="POST",
        path="/enrolments",
        handler=create_enrolment,
        accepts=TokenBody,
        policy=MANAGE,
        status=HTTPStatus.CREATED,
    ),
    Row(
        method="POST",
        path="/hosts/{host_id}/thaw",
        handler=thaw,
        policy=MANAGE,
        status=HTTPStatus.NO_CONTENT,
    ),
)
