"""The one domain, and what Identity lists as empty because it is not had."""

from __future__ import annotations

from collections.abc import Callable

from lanekeeper.api.identity.page import flag, one_page
from lanekeeper.api.row import ANYONE, Call, Policy, Row
from lanekeeper.domain.errors import NotFound, NotOffered
from lanekeeper.domain.identity.project import DOMAIN_ID, DOMAIN_NAME

_ADMIN = "role:admin"
_LIST = Policy("identity:list_domains", ANYONE)
_GET = Policy("identity:get_domain", ANYONE)
_CHANGE = Policy("identity:create_domain", _ADMIN)


def check_domain(domain_id: str | None) -> None:
    """Let a body name the one domain or none.

    Raises:
        NotFound: it names another.
    """
    if domain_id not in {None, DOMAIN_ID}:
        raise NotFound(f"Could not find domain: {domain_id}. There is one, {DOMAIN_ID!r}.")


def list_domains(call: Call[None]) -> dict[str, object]:
    """List the one domain."""
    there = call.asked("name") in {None, DOMAIN_NAME} and flag(call, "enabled") in {None, True}
    found = [_domain(call)] if there else []
    return {"domains": found, "links": one_page(call, "/v3/domains")}


def show_domain(call: Call[None]) -> dict[str, object]:
    """Show the one domain."""
    check_domain(call.path["domain"])
    return {"domain": _domain(call)}


def list_own(call: Call[None]) -> dict[str, object]:
    """List the domains that the token's user has a role in."""
    found = [_domain(call)] if call.caller.domain_id == DOMAIN_ID else []
    return {"domains": found, "links": one_page(call, "/v3/auth/domains")}


def refuse_change(call: Call[None]) -> object:
    """Say that there is one domain."""
    raise NotOffered("there is one domain, and it cannot be changed", hint="use projects")


def _empty(noun: str) -> Callable[[Call[None]], object]:
    def answer(call: Call[None]) -> dict[str, object]:
        return {noun: [], "links": one_page(call, f"/v3/{noun}")}

    answer.__doc__ = f"List no {noun}: they are not had here."
    return answer


def _domain(call: Call[None]) -> dict[str, object]:
    return {
        "id": DOMAIN_ID,
        "name": DOMAIN_NAME,
        "description": "The default domain",
        "enabled": True,
        "tags": [],
        "options": {},
        "links": {"self": f"{call.base_url}/identity/v3/domains/{DOMAIN_ID}"},
    }


ROWS = (
    Row(method="GET", path="/v3/domains", handler=list_domains, policy=_LIST),
    Row(method="GET", path="/v3/domains/{domain}", handler=show_domain, policy=_GET),
    Row(
        method="GET",
        path="/v3/auth/domains",
        handler=list_own,
        policy=Policy("identity:get_auth_domains", ANYONE),
    ),
    Row(method="POST", path="/v3/domains", handler=refuse_change, policy=_CHANGE),
    Row(method="PATCH", path="/v3/domains/{domain}", handler=refuse_change, policy=_CHANGE),
    Row(method="DELETE", path="/v3/domains/{domain}", handler=refuse_change, policy=_CHANGE),
    Row(
        method="GET",
        path="/v3/groups",
        handler=_empty("groups"),
        policy=Policy("identity:list_groups", _ADMIN),
    ),
    Row(
        method="GET",
        path="/v3/users/{user}/groups",
        handler=_empty("groups"),
        policy=Policy("identity:list_groups_for_user", ANYONE),
    ),
    Row(
        method="GET",
        path="/v3/credentials",
        handler=_empty("credentials"),
        policy=Policy("identity:list_credentials", ANYONE),
    ),
)
