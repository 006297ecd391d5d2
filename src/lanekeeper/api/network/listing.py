"""Lists: equality filters, tags, ``fields``, sorting and paging, as Neutron has them.

Source: neutron ``api/v2/base.py`` and ``api_common.py``; extensions filter-validation, sorting,
pagination, standard-attr-tag.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from lanekeeper.api.network.field import flag
from lanekeeper.api.row import Call
from lanekeeper.domain.errors import Invalid

View = dict[str, Any]
Match = Callable[[View, str], bool]
"""Whether a thing has what one value of a filter asks for."""

LIMIT_MAX = 10_000
_CONTROLS = frozenset({"fields", "limit", "marker", "page_reverse", "sort_key", "sort_dir"})
_ALIASES = {"tenant_id": "project_id"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """One collection of the API.

    Attributes:
        path: below ``/v2.0``; also where its pages' links lead.
        plural: the key of a list, ``security_groups``.
        attributes: every attribute that a filter or ``fields`` may name.
        unfiltered: those of them that no filter may name.
        sort_keys: those of them that ``sort_key`` may name; None is all.
        columns: those that the store narrows by.
        special: filters that are no plain equality.
        key: the attribute by which markers name an element.
    """

    path: str
    plural: str
    attributes: frozenset[str]
    columns: frozenset[str] = frozenset()
    unfiltered: frozenset[str] = frozenset()
    sort_keys: frozenset[str] | None = None
    special: Mapping[str, Match] = field(default_factory=dict)
    key: str = "id"


def wanted_columns(call: Call[Any], kind: Collected) -> dict[str, tuple[str, ...]]:
    """What of the query the store can narrow by.

    Raises:
        Invalid: a filter that the collection does not have.
    """
    filters = (kind.attributes | set(kind.special)) - kind.unfiltered
    known = filters | set(_TAG_FILTERS) | _CONTROLS | {"tenant_id"}
    found: dict[str, tuple[str, ...]] = {}
    for name, value in call.query:
        if name not in known:
            raise Invalid(
                f"{name!r} is not a filter of {kind.plural}",
                hint=f"there are: {', '.join(sorted(known))}",
            )
        column = _ALIASES.get(name, name)
        if column in kind.columns:
            found[column] = (*found.get(column, ()), value)
    return found


def answer(call: Call[Any], kind: Collected, views: Sequence[View]) -> View:
    """The list that the query asks for out of all that the caller sees, in the API's shape.

    Raises:
        Invalid: a bad limit, marker, sort key or flag.
    """
    kept = [view for view in views if _matches(call, kind, view)]
    ordered = _sorted(call, kind, kept)
    page, links = _page(call, kind, ordered)
    body: View = {kind.plural: [only(view, call.asked_all("fields")) for view in page]}
    return body | ({f"{kind.plural}_links": links} if links else {})


def only(view: View, fields: Collection[str]) -> View:
    """The part of a view that ``fields`` names; all of it when nothing is named."""
    return {name: view[name] for name in view if name in fields} if any(fields) else view


def _matches(call: Call[Any], kind: Collected, view: View) -> bool:
    by_name: dict[str, list[str]] = {}
    for name, value in call.query:
        by_name.setdefault(_ALIASES.get(name, name), []).append(value)
    for name, values in by_name.items():
        if name in _CONTROLS:
            continue
        match = kind.special.get(name) or _TAG_FILTERS.get(name) or _equals(name)
        if not any(match(view, value) for value in values):
            return False
    return True


def _equals(name: str) -> Match:
    def match(view: View, wanted: str) -> bool:
        value = view.get(name)
        if isinstance(value, bool):
            return value is flag(wanted, name)
        if isinstance(value, list):
            return wanted in [str(one) for one in value]
        return ("" if value is None else str(value)) == wanted

    return match


def _tags(text: str) -> set[str]:
    return {tag for tag in text.split(",") if tag}


_TAG_FILTERS: Mapping[str, Match] = {
    "tags": lambda view, text: _tags(text) <= set(view.get("tags", ())),
    "tags-any": lambda view, text: bool(_tags(text) & set(view.get("tags", ()))),
    "not-tags": lambda view, text: not _tags(text) <= set(view.get("tags", ())),
    "not-tags-any": lambda view, text: not _tags(text) & set(view.get("tags", ())),
}


def _sorted(call: Call[Any], kind: Collected, views: list[View]) -> list[View]:
    keys, directions = call.asked_all("sort_key"), call.asked_all("sort_dir")
    if len(directions) != len(keys):
        raise Invalid("sort_key and sort_dir must be given equally often")
    pairs = list(zip(keys, directions, strict=True))
    known = kind.attributes if kind.sort_keys is None else kind.sort_keys
    for key, direction in pairs:
        if key not in known:
            raise Invalid(
                f"sort_key {key!r} is nothing that {kind.plural} are sorted by",
                hint=f"there are: {', '.join(sorted(known))}",
            )
        if direction not in ("asc", "desc"):
            raise Invalid(f"sort_dir {direction!r} is neither asc nor desc")
    for key, direction in reversed(pairs):
        views = sorted(views, key=_rank(key), reverse=direction == "desc")
    return views


def _rank(key: str) -> Callable[[View], tuple[bool, Any]]:
    """Order by a value: nothing last, numbers by size, everything else by its text."""

    def rank(view: View) -> tuple[bool, Any]:
        value = view.get(key)
        is_number = isinstance(value, int)
        return (value is None, value if is_number else str(value or ""))

    return rank


def _page(call: Call[Any], kind: Collected, views: list[View]) -> tuple[list[View], list[View]]:
    limit = _limit(call)
    reverse = flag(call.asked("page_reverse") or "false", "page_reverse")
    ordered = views[::-1] if reverse else views
    start = _after(call, kind, ordered)
    page = ordered[start : start + limit] if limit else ordered[start:]
    more = start + len(page) < len(ordered)
    if reverse:
        page = page[::-1]
    if not page or not limit:
        return page, []
    links = []
    if more or reverse:
        links.append(_link(call, kind, "next", page[-1][kind.key], reverse=False))
    if start or (reverse and more):
        links.append(_link(call, kind, "previous", page[0][kind.key], reverse=True))
    return page, links


def _limit(call: Call[Any]) -> int:
    text = call.asked("limit")
    if text is None:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= 9):  # noqa: PLR2004 a bound
        raise Invalid(f"limit {text[:32]!r} is not a whole number from 0 on", code="BadRequest")
    return min(int(text), LIMIT_MAX)


def _after(call: Call[Any], kind: Collected, ordered: Sequence[View]) -> int:
    marker = call.asked("marker")
    if not marker:
        return 0
    for position, view in enumerate(ordered):
        if view[kind.key] == marker:
            return position + 1
    raise Invalid(f"marker {marker[:64]!r} is not one of these {kind.plural}")


def _link(call: Call[Any], kind: Collected, rel: str, marker: str, *, reverse: bool) -> View:
    kept = [pair for pair in call.query if pair[0] not in ("marker", "page_reverse")]
    kept.append(("marker", marker))
    if reverse:
        kept.append(("page_reverse", "True"))
    return {"rel": rel, "href": f"{call.base_url}/network/v2.0/{kind.path}?{urlencode(kept)}"}
