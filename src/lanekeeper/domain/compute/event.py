"""What was asked of a server, kept also when it has gone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

MEND_PORT = "mend_port"
"""Nobody asks for it: a host has set a VF again as its port wants it."""
HOLD_PORT = "hold_port"
"""Likewise: a host keeps the link of a port's VF down, since nothing passes at its uplink."""
UNASKED = (MEND_PORT, HOLD_PORT)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerEvent:
    """Something that was asked of a server; *message* says what went wrong, if anything did.

    Attributes:
        detail: plain data; a creation keeps its rejections there, a mend what was mended.
    """

    server_id: str
    action: str
    at: datetime
    request_id: str = ""
    project_id: str = ""
    user_id: str = ""
    message: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)
    id: int = 0
