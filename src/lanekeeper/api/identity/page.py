"""Lists in pages, with Keystone's links, and the filters that lists share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlencode

from lanekeeper.api.row import Call
from lanekeeper.control.identity.project import PAGE
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.identity.project import DOMAIN_ID

_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


class Thing(Protocol):
    @property
    def id(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Page:
    """Attributes:
    after: id that the page begins behind; empty for the first.
    """

    after: str
    limit: int


def page(call: Call[Any]) -> Page:
    """Which page is asked for; one holds at most a thousand.

    Raises:
        Invalid: the limit is no number above 0.
    """
    text = call.asked("limit") or str(PAGE)
    if not (text.isascii() and text.isdigit() and int(text[:18]) > 0):
        raise Invalid(f"limit: {text!r} is not a number above 0")
    return Page(call.asked("marker") or "", min(int(text[:18]), PAGE))


def links(call: Call[Any], path: str, asked: Page, shown: Sequence[Thing]) -> dict[str, object]:
    """Links of a list; ``next`` is set where the page is full."""
    here = f"{call.base_url}/identity{path}"
    following = None
    if len(shown) == asked.limit:
        kept = [(key, value) for key, value in call.query if key not in {"marker", "limit"}]
        query = [*kept, ("limit", str(asked.limit)), ("marker", shown[-1].id)]
        following = f"{here}?{urlencode(query)}"
    return {"self": here, "previous": None, "next": following}


def one_page(call: Call[Any], path: str) -> dict[str, object]:
    """Links of a list that is always whole."""
    return {"self": f"{call.base_url}/identity{path}", "previous": None, "next": None}


def flag(call: Call[Any], name: str) -> bool | None:
    """A boolean of the query; Python's spelling too, None when absent or empty.

    Raises:
        Invalid: neither true nor false.
    """
    text = call.asked(name)
    if text is None or text in {"", "None"}:
        return None
    try:
        return _BOOLEANS[text.lower()]
    except KeyError:
        raise Invalid(f"{name}: {text!r} is neither true nor false") from None


def given(call: Call[Any], name: str) -> bool:
    """Whether a flag of the query is there and not said to be false."""
    return call.asked(name) is not None and call.asked(name) not in {"0", "false", "False"}


def other_domain(call: Call[Any]) -> bool:
    """Whether the list is asked of a domain that does not exist, so that it is empty."""
    return call.asked("domain_id") not in {None, "", "None", DOMAIN_ID}
