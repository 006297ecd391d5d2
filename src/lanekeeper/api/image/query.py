"""What a list of images is asked for: filters, order, page."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import urlencode

from lanekeeper.api.row import Call
from lanekeeper.control.image.image import SORT_KEYS, Filter
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.image.record import ImageRecord, Visibility

PAGE = 100
PAGE_MAX = 1000
_VALUES_MAX = 1000
_TERMS_MAX = 100  # SQLite nests conditions, and not without end

_COLUMNS: Mapping[str, str] = {
    "id": "id",
    "name": "name",
    "status": "status",
    "owner": "owner",
    "disk_format": "disk_format",
    "container_format": "container_format",
    "checksum": "md5",
    "os_hash_value": "sha512",
}
_FLAGS: Mapping[str, str] = {"os_hidden": "hidden", "protected": "protected"}
_NUMBERS: Mapping[str, str] = {"min_disk": "min_disk_gib", "min_ram": "min_ram_mib"}
_PAGING = frozenset({"limit", "marker", "sort", "sort_key", "sort_dir"})
_IGNORED = frozenset({"member_status", "os_hash_algo", "changes-since"})
_COMPARISONS = frozenset({"eq", "neq", "gt", "gte", "lt", "lte"})
_BOOLEANS: Mapping[str, bool] = {"true": True, "1": True, "false": False, "0": False}


def read_filter(call: Call[None]) -> Filter:
    """The filters of a query; a name that Glance does not know is a property's.

    Raises:
        Invalid: a value that its filter cannot take.
    """
    if len(call.query) > _TERMS_MAX:
        raise Invalid(f"{len(call.query)} query parameters are too many; {_TERMS_MAX} are taken")
    any_of: dict[str, list[object]] = {"hidden": [False]}
    properties: dict[str, str] = {}
    moments: list[tuple[str, str, datetime]] = []
    special = _PAGING | _IGNORED | {"tag", "visibility", "size_min", "size_max"}
    for name, value in call.query:
        if name in _COLUMNS:
            any_of[_COLUMNS[name]] = list(_values(name, value))
        elif name in _FLAGS:
            any_of[_FLAGS[name]] = [_boolean(name, value)]
        elif name in _NUMBERS:
            any_of[_NUMBERS[name]] = [_number(name, value)]
        elif name in {"created_at", "updated_at"}:
            moments.append(_moment(name, value))
        elif name not in special:
            properties[name] = value
    return Filter(
        any_of=any_of,
        visibility=_visibility(call.asked("visibility")),
        tags=call.asked_all("tag"),
        properties=properties,
        sizes=(_size(call, "size_min"), _size(call, "size_max")),
        moments=moments,
    )


def read_sort(call: Call[None]) -> list[tuple[str, bool]]:
    """Keys and whether each descends; the newest come first when nothing is asked.

    Raises:
        Invalid: an unknown key or direction.
    """
    text = call.asked("sort")
    if text is not None:
        pairs = [one.strip().partition(":")[::2] for one in text.split(",")]
    else:
        directions = call.asked_all("sort_dir")
        pairs = [
            (key, directions[min(i, len(directions) - 1)] if directions else "desc")
            for i, key in enumerate(call.asked_all("sort_key"))
        ]
        if not pairs:
            pairs = [("created_at", directions[0] if directions else "desc")]
    found = dict.fromkeys(key for key, _ in pairs)
    for key, direction in pairs:
        if key not in SORT_KEYS or direction not in {"", "asc", "desc"}:
            raise Invalid(f"sort: {key}:{direction} is not one of {', '.join(SORT_KEYS)}:asc|desc")
    by_key = dict(reversed(pairs))
    return [(key, by_key[key] != "asc") for key in found]


def read_limit(call: Call[None]) -> int:
    """How many are asked for, at most a thousand.

    Raises:
        Invalid: not a whole number.
    """
    text = call.asked("limit")
    return PAGE if text is None else min(_number("limit", text), PAGE_MAX)


def next_link(call: Call[None], limit: int, shown: list[ImageRecord]) -> str | None:
    """Path of the next page, None where this one is not full."""
    if not shown or len(shown) < limit:
        return None
    kept = [(key, value) for key, value in call.query if key not in {"marker", "limit"}]
    return "/v2/images?" + urlencode([*kept, ("limit", str(limit)), ("marker", shown[-1].id)])


def _values(name: str, text: str) -> list[str]:
    """``in:A,"B,C"`` or one value."""
    if not text.startswith("in:"):
        return [text]
    found = next(csv.reader([text.removeprefix("in:").replace("\n", " ")]), [])
    if len(found) > _VALUES_MAX:
        raise Invalid(f"{name}: {len(found)} values are too many; {_VALUES_MAX} are taken")
    return found


def _boolean(name: str, text: str) -> bool:
    try:
        return _BOOLEANS[text.lower()]
    except KeyError:
        raise Invalid(f"{name}: {text!r} is neither true nor false") from None


def _number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < len(str(2**63))):
        raise Invalid(f"{name}: {text!r} is not a whole number")
    return int(text)


def _size(call: Call[None], name: str) -> int | None:
    text = call.asked(name)
    return None if text is None else _number(name, text)


def _visibility(text: str | None) -> str | None:
    if text is not None and text not in {*Visibility, "all"}:
        raise Invalid(f"visibility: {text!r} is not one of {', '.join(Visibility)}, all")
    return text


def _moment(name: str, text: str) -> tuple[str, str, datetime]:
    comparison, separator, rest = text.partition(":")
    if not separator or comparison not in _COMPARISONS:
        comparison, rest = "eq", text
    try:
        at = datetime.fromisoformat(rest)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError) as error:  # the latter: in UTC it is before year 1
        raise Invalid(f"{name}: {rest!r} is not a moment such as 2030-01-31T12:00:00Z") from error
    return name, comparison, at
