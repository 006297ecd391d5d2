"""Roles, where they are given, and which one brings which."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

ADMIN, MANAGER, MEMBER, READER, SERVICE = "admin", "manager", "member", "reader", "service"

STANDARD = (ADMIN, MANAGER, MEMBER, READER, SERVICE)
"""Made on the first start and never deleted: the policies' defaults name them."""

IMPLIED: Mapping[str, str] = {ADMIN: MANAGER, MANAGER: MEMBER, MEMBER: READER}
"""Source: keystone ``cmd/bootstrap.py``, which makes the same chain."""


class ScopeKind(StrEnum):
    """Where a role counts, or what a token is for."""

    NONE = ""
    PROJECT = "project"
    DOMAIN = "domain"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Scope:
    """Attributes:
    target_id: id of the project or domain, ``all`` for the system, empty for no scope.
    """

    kind: ScopeKind = ScopeKind.NONE
    target_id: str = ""


SYSTEM = Scope(ScopeKind.SYSTEM, "all")


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    id: str
    name: str
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """One role of one user in one scope."""

    user_id: str
    role_id: str
    scope: Scope


def with_implied(names: Iterable[str]) -> frozenset[str]:
    """All role names that *names* bring, themselves included; lower case."""
    found: set[str] = set()
    for name in names:
        following: str | None = name.lower()
        while following is not None and following not in found:
            found.add(following)
            following = IMPLIED.get(following)
    return frozenset(found)
