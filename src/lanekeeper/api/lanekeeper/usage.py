"""Usage over HTTP: how long projects had servers and devices."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from lanekeeper.api.row import READER, Call, Policy, Row
from lanekeeper.control.compute.usage import usage
from lanekeeper.domain.errors import Invalid

_USAGE = Policy("lanekeeper:usage", READER)


def show(call: Call[None]) -> dict[str, object]:
    """Show how long projects had servers, and devices by resource class and alias."""
    found = usage(
        call.site,
        call.caller,
        start=_moment(call, "start"),
        end=_moment(call, "end"),
        project=call.asked("project"),
    )
    return {
        "start": found.start.isoformat(),
        "end": found.end.isoformat(),
        "projects": [
            {**asdict(one), "project_name": found.names.get(one.project_id)}
            for one in found.projects
        ],
    }


def _moment(call: Call[None], name: str) -> datetime | None:
    """A moment of the query; without a zone it is UTC.

    Raises:
        Invalid: it is none.
    """
    text = call.asked(name)
    if text is None:
        return None
    try:
        read = datetime.fromisoformat(text)
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Invalid(
            f"{name} {text[:40]!r} is neither a day such as 2026-01-31 nor a moment such as "
            "2026-01-31T12:00:00"
        ) from error


ROWS: tuple[Row[Any], ...] = (Row(method="GET", path="/usage", handler=show, policy=_USAGE),)
