"""Key pairs: what guests trust."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """The public half of a key; the private one is never kept."""

    user_id: str
    name: str
    number: int
    type: str
    public_key: str
    fingerprint: str
    created_at: datetime
