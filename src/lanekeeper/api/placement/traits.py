"""``/traits`` and the traits of a provider."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from lanekeeper.api.placement.schema import INTEGER, Form, record, text
from lanekeeper.api.placement.views import GONE, PROVIDER, check_query, fresh, location, rule
from lanekeeper.api.row import Call, Reply, Row
from lanekeeper.control.placement.provider_label import list_traits_of, put_traits
from lanekeeper.control.placement.resource_name import (
    delete_trait,
    ensure_trait,
    list_traits,
    show_trait,
)
from lanekeeper.domain.errors import Invalid

GENERATION = "resource_provider_generation"
_SET = Form(
    record(
        {"traits": {"type": "array", "items": text(1, 255)}, GENERATION: INTEGER},
        required=["traits", GENERATION],
    )
)
_LIST = Form(record({"name": text(), "associated": text()}))


def index(call: Call[bytes]) -> Reply:
    """List names of traits."""
    asked = check_query(call, _LIST)
    keep = _chosen(asked["name"]) if "name" in asked else _any
    associated = asked.get("associated", "").lower()
    if "associated" in asked and associated not in ("true", "false"):
        raise Invalid('The query parameter "associated" only accepts "true" or "false"')
    wanted = associated == "true" if associated else None
    return fresh(call, {"traits": list_traits(call.site, keep, associated=wanted)})


def _any(_: str) -> bool:
    return True


def _chosen(asked: str) -> Callable[[str], bool]:
    operation, colon, value = asked.partition(":")
    if not colon:
        raise Invalid(
            "Badly formatted name parameter. Expected name query string parameter in form: "
            f'?name=[in|startswith]:[name1,name2|prefix]. Got: "{asked[:300]}"'
        )
    if operation == "in":
        names = frozenset(value.split(","))
        return lambda name: name in names
    if operation == "startswith":
        return lambda name: name.startswith(value)
    return _any


def show(call: Call[bytes]) -> Reply:
    """Say whether a trait exists."""
    show_trait(call.site, call.path["name"])
    return fresh(call, None, status=GONE)


def ensure(call: Call[bytes]) -> Reply:
    """Make a custom trait."""
    name = call.path["name"]
    new = ensure_trait(call.site, name)
    status = HTTPStatus.CREATED if new else GONE
    return fresh(call, None, status=status, headers=location(call, f"/traits/{name}"))


def delete(call: Call[bytes]) -> None:
    """Delete a custom trait."""
    delete_trait(call.site, call.path["name"])


def of_provider(call: Call[bytes]) -> Reply:
    """List a provider's traits."""
    provider, names = list_traits_of(call.site, call.path["id"])
    return fresh(call, {"traits": names, GENERATION: provider.generation})


def replace(call: Call[bytes]) -> Reply:
    """Replace a provider's traits."""
    body = _SET.read(call.body)
    names = set(body["traits"])
    generation = put_traits(call.site, call.path["id"], int(body[GENERATION]), names)
    return fresh(call, {"traits": sorted(names), GENERATION: generation})


def remove(call: Call[bytes]) -> None:
    """Take every trait from a provider."""
    put_traits(call.site, call.path["id"], None, set())


_ONE = "/traits/{name}"
_OF = f"{PROVIDER}/traits"
ROWS: tuple[Row[Any], ...] = (
    Row(method="GET", path="/traits", handler=index, policy=rule("traits:list"), since="1.6"),
    Row(
        method="GET",
        path=_ONE,
        handler=show,
        policy=rule("traits:show"),
        status=GONE,
        since="1.6",
    ),
    Row(method="PUT", path=_ONE, handler=ensure, policy=rule("traits:update"), since="1.6"),
    Row(
        method="DELETE",
        path=_ONE,
        handler=delete,
        policy=rule("traits:delete"),
        status=GONE,
        since="1.6",
    ),
    Row(
        method="GET",
        path=_OF,
        handler=of_provider,
        policy=rule("resource_providers:traits:list"),
        since="1.6",
    ),
    Row(
        method="PUT",
        path=_OF,
        handler=replace,
        accepts=bytes,
        policy=rule("resource_providers:traits:update"),
        since="1.6",
    ),
    Row(
        method="DELETE",
        path=_OF,
        handler=remove,
        policy=rule("resource_providers:traits:delete"),
        status=GONE,
        since="1.6",
    ),
)
