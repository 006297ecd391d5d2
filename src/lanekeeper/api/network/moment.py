"""Times as Network writes them."""

from __future__ import annotations

from datetime import datetime


def moment(at: datetime) -> str:
    """``2026-11-20T21:26:44Z``."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def agent_moment(at: datetime | None) -> str | None:
    """``2026-11-20 21:26:43.098823``, as agents' times are, which gophercloud parses exactly."""
    return None if at is None else at.strftime("%Y-%m-%d %H:%M:%S.%f")
