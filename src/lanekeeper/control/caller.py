"""Who asks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """An authenticated user in a scope, as the token says.

    Attributes:
        project_id: None for a token without a project.
        roles: names of the roles in that scope, implied ones included, lower case.
        system: whether the token is scoped to the system.
        request_id: ``req-<uuid>`` of the request that this caller makes now.
    """

    user_id: str
    user_name: str
    project_id: str | None = None
    project_name: str | None = None
    domain_id: str | None = None
    roles: frozenset[str] = frozenset()
    system: bool = False
    audit_id: str = ""
    request_id: str = ""

    @property
    def is_admin(self) -> bool:
        return "admin" in self.roles

    def sees(self, project_id: str) -> bool:
        """Whether something of *project_id* is this caller's to see; an admin sees all."""
        return self.is_admin or project_id == self.project_id
