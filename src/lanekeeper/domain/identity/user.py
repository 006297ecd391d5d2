"""Users and their application credentials, without their secrets."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from lanekeeper.domain.identity.project import DOMAIN_ID


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Attributes:
    password_changed_at: tokens issued before it are void.
    """

    id: str
    name: str
    domain_id: str = DOMAIN_ID
    description: str = ""
    email: str = ""
    enabled: bool = True
    default_project_id: str | None = None
    password_changed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationCredential:
    """A second way to log in, bound to one project and some of the user's roles there.

    Attributes:
        roles: names, implied ones not included; they count only while the user has them too.
        unrestricted: whether its tokens may make and delete application credentials.
        expires_at: None for never.
    """

    id: str
    name: str
    user_id: str
    project_id: str
    description: str = ""
    roles: tuple[str, ...] = ()
    unrestricted: bool = False
    expires_at: datetime | None = None

    def expired(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now
