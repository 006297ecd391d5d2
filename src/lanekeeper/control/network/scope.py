"""Who may see and change what of Network: one's own, what is shared, and for admins everything."""

from __future__ import annotations

from lanekeeper.control.caller import Caller
from lanekeeper.domain.errors import Forbidden, Invalid, NotFound

_ELEVATED = frozenset({"admin", "service"})


def sees_all(caller: Caller) -> bool:
    """Whether projects are no border for *caller*."""
    return bool(caller.roles & _ELEVATED)


def scope(caller: Caller) -> str | None:
    """The project to which *caller*'s view is narrowed; None for none."""
    return None if sees_all(caller) else caller.project_id or ""


def owns(caller: Caller, project_id: str) -> bool:
    return sees_all(caller) or project_id == caller.project_id


def owner_of_new(caller: Caller, project_id: str | None, what: str) -> str:
    """The project that a new thing is to belong to.

    Raises:
        Forbidden: another's, and *caller* is no admin.
        Invalid: the token has no project and none was named.
    """
    owner = project_id or caller.project_id
    if not owner:
        raise Invalid("project_id is missing, and the token is not scoped to a project")
    if not owns(caller, owner):
        raise refused(f"create_{what}:project_id", f"project {owner} is not yours")
    return owner


def demand_owner(caller: Caller, project_id: str, rule: str) -> None:
    """Pass the owner of a thing, and admins.

    Raises:
        Forbidden: somebody else, who sees it because it is shared.
    """
    if not owns(caller, project_id):
        raise refused(rule, "it belongs to another project")


def refused(rule: str, why: str) -> Forbidden:
    return Forbidden(
        f"Policy does not allow {rule} to be performed: {why}", code="PolicyNotAuthorized"
    )


def missing(kind: str, thing_id: str) -> NotFound:
    """*kind* as the error's type names it: ``Network``, ``SecurityGroup``."""
    return NotFound(f"{kind} {thing_id} could not be found", code=f"{kind}NotFound")
