"""Hosts from the operator's side: who is there, letting one in or out, reading one back."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from msgspec import Meta

from lanekeeper.api.row import ADMIN, Call, Policy, Row, Strict
from lanekeeper.control.host.adoption import Adoption, adopt_host
from lanekeeper.control.host.enrolment import create_token, create_tokens, revoke_credential
from lanekeeper.control.host.standing import HostView, list_hosts
from lanekeeper.domain.errors import Invalid

MANAGE = Policy("lanekeeper:hosts:manage", ADMIN)


_MANY = 1000


class TokenBody(Strict, frozen=True):
    """``host_name`` empty lets any host use the token; ``host_names`` asks for one for each."""

    host_name: str = ""
    host_names: Annotated[list[str], Meta(min_length=1, max_length=_MANY)] | None = None


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
        "revoked": host.revoked,
        "refused_at": host.refused_at.isoformat() if host.refused_at else None,
    }


def index(call: Call[None]) -> dict[str, Any]:
    """List hosts with what their agents complain of."""
    return {"hosts": [_view(host) for host in list_hosts(call.site)]}


def create_enrolment(call: Call[TokenBody]) -> dict[str, Any]:
    """Make a one-time token with which a host's agent enrols, or one for each of many."""
    names = call.body.host_names
    if names is not None:
        if call.body.host_name or "" in names:
            raise Invalid("host_names: name each host, and leave host_name out")
        return {"tokens": create_tokens(call.site, names)}
    token = create_token(call.site, call.body.host_name)
    return {"token": token, "host_name": call.body.host_name}


class AdoptBody(Strict, frozen=True):
    """``dry_run`` only says what would be done."""

    dry_run: bool = False


def adopt(call: Call[AdoptBody]) -> dict[str, Any]:
    """Read a frozen host back into the database and let it obey again."""
    host_id, dry_run = call.path["host_id"], call.body.dry_run
    return {"adoption": _adoption(adopt_host(call.site, call.caller, host_id, dry_run=dry_run))}


def _adoption(adoption: Adoption) -> dict[str, Any]:
    return {
        "host": adoption.host_name,
        "kept": list(adoption.kept),
        "made": list(adoption.made),
        "lost": list(adoption.lost),
        "unknown": [
            {"id": one.id, "reason": one.reason, "devices": list(one.devices)}
            for one in adoption.unknown
        ],
    }


def revoke(call: Call[None]) -> dict[str, Any]:
    """Let a host's agent in no more."""
    return {"host": {"name": revoke_credential(call.site, call.path["host_id"])}}


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
        path="/hosts/{host_id}/adopt",
        handler=adopt,
        accepts=AdoptBody,
        policy=MANAGE,
    ),
    Row(method="POST", path="/hosts/{host_id}/revoke", handler=revoke, policy=MANAGE),
)
