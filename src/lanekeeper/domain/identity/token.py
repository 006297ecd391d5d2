"""What a token says. The text that clients carry is this, sealed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec

from lanekeeper.domain.identity.project import Project
from lanekeeper.domain.identity.role import Role, Scope, ScopeKind
from lanekeeper.domain.identity.user import User

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Claims(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """The sealed part: ids only, so that what they mean is looked up at each use.

    Attributes:
        methods: how the user logged in, as ``password``.
        issued_us, expires_us: microseconds since 1970.
        audit_ids: the token's own, then that of the first token it came from, if any.
        credential_id: of the application credential that was used, or empty.
    """

    user_id: str
    methods: tuple[str, ...]
    scope: ScopeKind
    target_id: str
    issued_us: int
    expires_us: int
    audit_ids: tuple[str, ...]
    credential_id: str = ""

    @property
    def where(self) -> Scope:
        return Scope(self.scope, self.target_id)

    @property
    def audit_id(self) -> str:
        return self.audit_ids[0]

    @property
    def issued_at(self) -> datetime:
        return from_microseconds(self.issued_us)

    @property
    def expires_at(self) -> datetime:
        return from_microseconds(self.expires_us)


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A valid token with what its ids mean now.

    Attributes:
        project: set exactly when the scope is a project.
        roles: those that count in the scope, implied ones included, by name.
    """

    claims: Claims
    user: User
    project: Project | None
    roles: tuple[Role, ...]


def microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def from_microseconds(number: int) -> datetime:
    return _EPOCH + number * _MICROSECOND
