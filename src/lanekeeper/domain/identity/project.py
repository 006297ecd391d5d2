"""Projects and the one domain that they are in."""

from __future__ import annotations

from dataclasses import dataclass

DOMAIN_ID = "default"
DOMAIN_NAME = "Default"
"""The only domain; Keystone's bootstrap makes it under this id and name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    id: str
    name: str
    domain_id: str = DOMAIN_ID
    description: str = ""
    enabled: bool = True


def is_domain(*, domain_id: str | None = None, name: str | None = None) -> bool:
    """Whether a domain that a request names, by id or by name, is the one there is."""
    if domain_id is not None:
        return domain_id == DOMAIN_ID
    return name == DOMAIN_NAME
