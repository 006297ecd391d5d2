"""``/resource_classes``: the standard ones, and clients' own."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from lanekeeper.api.placement.schema import CUSTOM_NAME, Form, record
from lanekeeper.api.placement.views import GONE, fresh, location, rule
from lanekeeper.api.row import Call, Reply, Row
from lanekeeper.control.placement.resource_name import (
    delete_class,
    ensure_class,
    list_classes,
    rename_class,
    show_class,
)
from lanekeeper.domain.errors import Conflict

_NAMED = Form(record({"name": CUSTOM_NAME}, required=["name"]))


def _view(call: Call[bytes], name: str) -> dict[str, Any]:
    href = f"{call.mount}/resource_classes/{name}"
    return {"name": name, "links": [{"rel": "self", "href": href}]}


def index(call: Call[bytes]) -> Reply:
    """List resource classes."""
    names = list_classes(call.site)
    return fresh(call, {"resource_classes": [_view(call, name) for name in names]})


def show(call: Call[bytes]) -> Reply:
    """Show one resource class."""
    name = call.path["name"]
    show_class(call.site, name)
    return fresh(call, _view(call, name))


def create(call: Call[bytes]) -> Reply:
    """Make a custom resource class."""
    name = _NAMED.read(call.body)["name"]
    if not ensure_class(call.site, name):
        raise Conflict(f"Conflicting resource class already exists: {name}")
    there = location(call, f"/resource_classes/{name}")
    return Reply(status=HTTPStatus.CREATED, headers=there)


def rename(call: Call[bytes]) -> Reply:
    """Give a custom resource class another name (before 1.7)."""
    to = _NAMED.read(call.body)["name"]
    rename_class(call.site, call.path["name"], to)
    return Reply(body=_view(call, to))


def ensure(call: Call[bytes]) -> Reply:
    """Make sure that a custom resource class exists."""
    name = call.path["name"]
    _NAMED.check({"name": name}, "JSON does not validate")
    new = ensure_class(call.site, name)
    there = location(call, f"/resource_classes/{name}")
    return Reply(status=HTTPStatus.CREATED if new else GONE, headers=there)


def delete(call: Call[bytes]) -> None:
    """Delete a custom resource class."""
    delete_class(call.site, call.path["name"])


_ALL = "/resource_classes"
_ONE = "/resource_classes/{name}"
_UPDATE = rule("resource_classes:update")
ROWS: tuple[Row[Any], ...] = (
    Row(
        method="GET",
        path=_ALL,
        handler=index,
        policy=rule("resource_classes:list"),
        since="1.2",
    ),
    Row(
        method="POST",
        path=_ALL,
        handler=create,
        accepts=bytes,
        policy=rule("resource_classes:create"),
        since="1.2",
    ),
    Row(method="GET", path=_ONE, handler=show, policy=rule("resource_classes:show"), since="1.2"),
    Row(
        method="PUT",
        path=_ONE,
        handler=rename,
        accepts=bytes,
        policy=_UPDATE,
        since="1.2",
        until="1.6",
    ),
    Row(method="PUT", path=_ONE, handler=ensure, policy=_UPDATE, since="1.7"),
    Row(
        method="DELETE",
        path=_ONE,
        handler=delete,
        policy=rule("resource_classes:delete"),
        status=GONE,
        since="1.2",
    ),
)
