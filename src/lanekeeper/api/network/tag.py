"""``/v2.0/<things>/{id}/tags``, for every thing that can have tags."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Any

from msgspec import Meta

from lanekeeper.api.network.field import tags_of
from lanekeeper.api.row import MEMBER, READER, Call, Policy, Row, Strict
from lanekeeper.control.network.tag import TAGS_MAX, Tagged, change_tags, show_tags
from lanekeeper.domain.errors import NotFound

TagText = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[^,/]+$")]
"""Commas separate tags in filters, slashes separate parts of a path."""


class Tags(Strict, frozen=True):
    tags: Annotated[list[TagText], Meta(max_length=TAGS_MAX)]


Handler = Callable[[Call[Any]], Any]


def _rows(path: str, kind: Tagged) -> tuple[Row[Any], ...]:
    read = Policy(f"get_{kind.noun}s_tags", READER)
    write = Policy(f"update_{kind.noun}s_tags", MEMBER)
    every, one = f"/v2.0/{path}/{{id}}/tags", f"/v2.0/{path}/{{id}}/tags/{{tag}}"
    none = HTTPStatus.NO_CONTENT
    return (
        Row(method="GET", path=every, handler=_list(kind), policy=read),
        Row(method="PUT", path=every, handler=_replace(kind), accepts=Tags, policy=write),
        Row(method="DELETE", path=every, handler=_clear(kind), policy=write, status=none),
        Row(method="GET", path=one, handler=_has(kind), policy=read, status=none),
        Row(method="PUT", path=one, handler=_add(kind), policy=write, status=HTTPStatus.CREATED),
        Row(method="DELETE", path=one, handler=_remove(kind), policy=write, status=none),
    )


def _list(kind: Tagged) -> Handler:
    def handler(call: Call[None]) -> dict[str, list[str]]:
        """List the tags of a thing."""
        return {"tags": show_tags(call.site, call.caller, kind, call.path["id"])}

    return handler


def _replace(kind: Tagged) -> Handler:
    def handler(call: Call[Tags]) -> dict[str, list[str]]:
        """Replace the tags of a thing."""
        wanted = list(tags_of(call.body.tags))
        return {"tags": _change(call, kind, lambda _: wanted)}

    return handler


def _clear(kind: Tagged) -> Handler:
    def handler(call: Call[None]) -> None:
        """Take all tags off a thing."""
        _change(call, kind, lambda _: [])

    return handler


def _has(kind: Tagged) -> Handler:
    def handler(call: Call[None]) -> None:
        """Say whether a thing has a tag."""
        _demand(call, show_tags(call.site, call.caller, kind, call.path["id"]))

    return handler


def _add(kind: Tagged) -> Handler:
    def handler(call: Call[None]) -> None:
        """Put a tag on a thing."""
        tag = call.path["tag"]
        _change(call, kind, lambda tags: list(dict.fromkeys([*tags, tag])))

    return handler


def _remove(kind: Tagged) -> Handler:
    def handler(call: Call[None]) -> None:
        """Take a tag off a thing."""

        def without(tags: list[str]) -> list[str]:
            _demand(call, tags)
            return [tag for tag in tags if tag != call.path["tag"]]

        _change(call, kind, without)

    return handler


def _change(call: Call[Any], kind: Tagged, change: Callable[[list[str]], list[str]]) -> list[str]:
    return change_tags(call.site, call.caller, kind, call.path["id"], change)


def _demand(call: Call[Any], tags: list[str]) -> None:
    tag = call.path["tag"]
    if tag not in tags:
        raise NotFound(f"Tag {tag} could not be found", code="TagNotFound")


ROWS: tuple[Row[Any], ...] = (
    *_rows("networks", Tagged.NETWORK),
    *_rows("subnets", Tagged.SUBNET),
    *_rows("ports", Tagged.PORT),
    *_rows("security-groups", Tagged.SECURITY_GROUP),
)
