"""Values of Compute's bodies and queries: what Nova's schemas take, and links."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from lanekeeper.api.microversion import Microversion
from lanekeeper.api.row import Call
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.pci.flag import parse_flag

NAME_MAX = 255
DESCRIPTION_MAX = 65535
INTEGER_MAX = 2**31 - 1
PAGE_MAX = 1000
"""The most that one list answers; nova ``[api] max_limit``."""
_VERSION_PREFIX = "/compute/v2.1"
_BOOKMARK_PREFIX = "/compute"


def at_least(call: Call[Any], version: str) -> bool:
    """Whether the request speaks *version* or a later one."""
    return call.microversion >= Microversion.parse(version)


def name_value(text: str, what: str = "name") -> str:
    """Check a name: 1 to 255 printable characters, no blanks around them.

    Raises:
        Invalid: anything else; the name is not repeated.

    Source: nova ``api/validation/parameter_types.py``, name.
    """
    if not 1 <= len(text) <= NAME_MAX:
        raise Invalid(f"{what} must have 1 to {NAME_MAX} characters, not {len(text)}")
    if not text.isprintable() or text != text.strip():
        raise Invalid(f"{what} must be printable, without blanks at either end")
    return text


def description_value(text: str | None) -> str | None:
    """Check a description.

    Raises:
        Invalid: longer than 65535 characters, or with control characters.
    """
    if text is None:
        return None
    if len(text) > DESCRIPTION_MAX:
        raise Invalid(f"description must have at most {DESCRIPTION_MAX} characters")
    if any(ord(letter) < ord(" ") and letter not in "\t\n\r" for letter in text):
        raise Invalid("description must not contain control characters")
    return text


def integer(value: int | str, what: str, least: int = 0, most: int = INTEGER_MAX) -> int:
    """Read a whole number; text of digits is one too.

    Raises:
        Invalid: not a number, or out of its range.
    """
    text = str(value)
    digits = text.removeprefix("-")
    if isinstance(value, bool) or not (digits.isascii() and digits.isdigit() and len(digits) <= 18):  # noqa: PLR2004 fits 64 bits
        raise Invalid(f"{what} {text[:40]!r} is not a whole number")
    if not least <= int(text) <= most:
        raise Invalid(f"{what} {text} is not in {least} to {most}")
    return int(text)


def flag(value: bool | str | int, what: str) -> bool:
    return parse_flag(value, what)


def asked_flag(call: Call[Any], name: str, *, default: bool = False) -> bool:
    """A yes or no of the query, in any of Python's and OpenStack's spellings."""
    text = call.asked(name)
    return default if text in (None, "") else parse_flag(text, name)


def moment(text: str, what: str) -> datetime:
    """Read a date and time; without a zone it is UTC.

    Raises:
        Invalid: not an ISO 8601 moment, or none that UTC has.
    """
    try:
        read = datetime.fromisoformat(text.replace(" ", "+"))
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Invalid(f"{what} {text[:40]!r} is not a moment such as 2026-01-02T03:04:05Z") from (
            error
        )


def access_address(text: str, what: str, version: int) -> str:
    """Check ``accessIPv4`` or ``accessIPv6``; empty is none.

    Raises:
        Invalid: not an address of that version.
    """
    if not text:
        return ""
    try:
        parsed = ipaddress.ip_address(text)
    except ValueError as error:
        raise Invalid(f"{what} {text[:60]!r} is not an IPv{version} address") from error
    if parsed.version != version:
        raise Invalid(f"{what} {text[:60]!r} is not an IPv{version} address")
    return text


def only(call: Call[Any], names: Collection[str], since: str = "2.75") -> None:
    """Refuse unknown query parameters from *since* on, as Nova does.

    Raises:
        Invalid: names the parameter and those that exist.
    """
    if not at_least(call, since):
        return
    for key, _ in call.query:
        if key not in names:
            raise Invalid(
                f"Additional properties are not allowed ({key[:60]!r} was unexpected)",
                hint=f"query parameters here: {', '.join(sorted(names))}",
            )


def links(call: Call[Any], path: str) -> list[dict[str, str]]:
    """The two links that Compute's things carry; *path* as in ``servers/ID``."""
    return [
        {"rel": "self", "href": f"{call.base_url}{_VERSION_PREFIX}/{path}"},
        {"rel": "bookmark", "href": f"{call.base_url}{_BOOKMARK_PREFIX}/{path}"},
    ]


def next_link(call: Call[Any], path: str, marker: str) -> list[dict[str, str]]:
    """The link to the page after the one that ends at *marker*."""
    from urllib.parse import urlencode

    query = [(key, value) for key, value in call.query if key != "marker"]
    text = urlencode([*query, ("marker", marker)])
    return [{"rel": "next", "href": f"{call.base_url}{_VERSION_PREFIX}/{path}?{text}"}]


def limit_of(call: Call[Any]) -> int:
    """How many a page holds: what is asked for, at most 1000.

    Raises:
        Invalid: not a whole number from 0 on.
    """
    text = call.asked("limit")
    asked = PAGE_MAX if text is None else integer(text, "limit")
    return min(asked or PAGE_MAX, PAGE_MAX)


def stamp(at: datetime) -> str:
    """``2026-11-21T09:00:00Z``."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def bare_stamp(at: datetime | None) -> str | None:
    """``2026-11-21T09:00:00.000000``: microseconds, no zone, as older parts of Compute have it."""
    return None if at is None else at.strftime("%Y-%m-%dT%H:%M:%S.%f")
