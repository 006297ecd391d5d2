"""Types of fields that Identity's bodies share, and how moments are written."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from msgspec import Meta

from lanekeeper.domain.errors import Invalid

Name = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"\S")]
Text = Annotated[str, Meta(max_length=4096)]
Id = Annotated[str, Meta(min_length=1, max_length=64)]
Secret = Annotated[str, Meta(min_length=1, max_length=1024)]


def moment(at: datetime) -> str:
    """Microseconds and Z, as Keystone writes moments."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def read_moment(name: str, text: str) -> datetime:
    """Read an ISO 8601 moment; without a zone it is UTC.

    Raises:
        Invalid: not one; *name* is the field that held it.
    """
    try:
        at = datetime.fromisoformat(text)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError) as error:  # the latter: in UTC it is before year 1
        raise Invalid(f"{name}: {text!r} is not a moment such as 2030-01-31T12:00:00") from error
