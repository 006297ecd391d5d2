"""Who asks, where Placement runs without Lanekeeper's own Identity."""

from __future__ import annotations

from starlette.requests import Request

from lanekeeper.api.app import Authenticate, bearer
from lanekeeper.control.caller import Caller
from lanekeeper.control.identity.outside import Outside


def by_its_word(request: Request, request_id: str) -> Caller:
    """Believe the token ``USER[:PROJECT]``: ``admin`` has the role admin, others have none.

    ``X-Roles`` names the roles instead; ``OpenStack-System-Scope`` makes the scope the system.

    Raises:
        Unauthenticated: there is no token.

    Source: placement ``auth.py``, NoAuthMiddleware.
    """
    user, _, project = bearer(request).partition(":")
    roles = request.headers.get("x-roles")
    named = {"admin"} if roles is None and user == "admin" else set((roles or "").split(","))
    system = bool(request.headers.get("openstack-system-scope"))
    return Caller(
        user_id=user,
        user_name=user,
        project_id=None if system else request.headers.get("x-project-id") or project or user,
        roles=frozenset(name.strip().lower() for name in named if name.strip()),
        system=system,
        request_id=request_id,
    )


def by_keystone(outside: Outside) -> Authenticate:
    """Ask an outside Keystone what a token stands for."""

    def authenticate(request: Request, request_id: str) -> Caller:
        return outside.caller(bearer(request), request_id)

    return authenticate
