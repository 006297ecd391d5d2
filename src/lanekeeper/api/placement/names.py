"""Traits, aggregates and resource classes."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from lanekeeper.api.placement.views import PREFIX, at_least, canonical, only, rule
from lanekeeper.api.row import READER, Call, Reply, Row, Strict
from lanekeeper.control.placement.resource_name import (
    delete_class,
    delete_trait,
    ensure_class,
    ensure_trait,
    list_classes,
    list_traits,
)
from lanekeeper.control.placement.resource_provider import put_aggregates, put_traits, show_provider
from lanekeeper.domain.errors import Conflict, Invalid, NotFound


class TraitsBody(Strict, frozen=True):
    traits: list[str]
    resource_provider_generation: int


class AggregatesBody(Strict, frozen=True):
    aggregates: list[str]
    resource_provider_generation: int


class ClassBody(Strict, frozen=True):
    name: str


# Traits -------------------------------------------------------------------------------------------


def traits(call: Call[None]) -> dict[str, Any]:
    """List names of traits."""
    only(call, "name", "associated")
    associated = call.asked("associated")
    if associated is not None and associated.lower() not in ("true", "false"):
        raise Invalid(f"associated is true or false, not {associated!r}")
    wanted = None if associated is None else associated.lower() == "true"
    return {"traits": list_traits(call.site, _chosen(call.asked("name")), associated=wanted)}


def _chosen(text: str | None) -> Callable[[str], bool]:
    if text is None:
        return lambda _: True
    if text.startswith("in:"):
        names = frozenset(text[3:].split(","))
        return lambda name: name in names
    if text.startswith("startswith:"):
        return lambda name: name.startswith(text.removeprefix("startswith:"))
    raise Invalid(f"name is in:A,B or startswith:PREFIX, not {text!r}")


def show_trait(call: Call[None]) -> None:
    """Say whether a trait exists."""
    name = call.path["name"]
    if name not in list_traits(call.site, lambda known: known == name, associated=None):
        raise NotFound(f"No such trait {name}.")


def put_trait(call: Call[None]) -> Reply:
    """Make a custom trait."""
    name = call.path["name"]
    new = ensure_trait(call.site, name)
    return Reply(
        status=HTTPStatus.CREATED if new else HTTPStatus.NO_CONTENT,
        headers={"Location": f"{call.base_url}{PREFIX}/traits/{name}"},
    )


def remove_trait(call: Call[None]) -> None:
    """Delete a custom trait."""
    delete_trait(call.site, call.path["name"])


def provider_traits(call: Call[None]) -> dict[str, Any]:
    """List a provider's traits."""
    provider = show_provider(call.site, call.path["id"])
    return {
        "traits": sorted(provider.traits),
        "resource_provider_generation": provider.generation,
    }


def put_provider_traits(call: Call[TraitsBody]) -> dict[str, Any]:
    """Replace a provider's traits."""
    body = call.body
    put_traits(call.site, call.path["id"], body.resource_provider_generation, set(body.traits))
    return provider_traits(call)  # type: ignore[arg-type]  # the body is not looked at


def delete_provider_traits(call: Call[None]) -> None:
    """Take every trait from a provider."""
    put_traits(call.site, call.path["id"], None, set())


# Aggregates ---------------------------------------------------------------------------------------


def provider_aggregates(call: Call[None]) -> dict[str, Any]:
    """List the aggregates that a provider belongs to."""
    provider = show_provider(call.site, call.path["id"])
    body: dict[str, Any] = {"aggregates": sorted(provider.aggregates)}
    if at_least(call, 19):
        body["resource_provider_generation"] = provider.generation
    return body


def put_provider_aggregates(call: Call[AggregatesBody]) -> dict[str, Any]:
    """Replace the aggregates that a provider belongs to."""
    members = {canonical(name, "aggregate") for name in call.body.aggregates}
    put_aggregates(call.site, call.path["id"], call.body.resource_provider_generation, members)
    return provider_aggregates(call)  # type: ignore[arg-type]  # the body is not looked at


def put_provider_aggregate_list(call: Call[list[str]]) -> dict[str, Any]:
    """Replace the aggregates that a provider belongs to, generation unseen (before 1.19)."""
    members = {canonical(name, "aggregate") for name in call.body}
    put_aggregates(call.site, call.path["id"], None, members)
    return provider_aggregates(call)  # type: ignore[arg-type]  # the body is not looked at


# Resource classes ---------------------------------------------------------------------------------


def _class(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "links": [{"rel": "self", "href": f"{PREFIX}/resource_classes/{name}"}],
    }


def classes(call: Call[None]) -> dict[str, Any]:
    """List resource classes."""
    return {"resource_classes": [_class(name) for name in list_classes(call.site)]}


def show_class(call: Call[None]) -> dict[str, Any]:
    """Show one resource class."""
    name = call.path["name"]
    if name not in list_classes(call.site):
        raise NotFound(f"No such resource class {name}")
    return _class(name)


def create_class(call: Call[ClassBody]) -> Reply:
    """Make a custom resource class."""
    name = call.body.name
    if not ensure_class(call.site, name):
        raise Conflict(f"resource class {name} already exists")
    return Reply(
        status=HTTPStatus.CREATED,
        headers={"Location": f"{call.base_url}{PREFIX}/resource_classes/{name}"},
    )


def put_class(call: Call[None]) -> Reply:
    """Make sure that a custom resource class exists."""
    name = call.path["name"]
    new = ensure_class(call.site, name)
    return Reply(
        status=HTTPStatus.CREATED if new else HTTPStatus.NO_CONTENT,
        headers={"Location": f"{call.base_url}{PREFIX}/resource_classes/{name}"},
    )


def remove_class(call: Call[None]) -> None:
    """Delete a custom resource class."""
    delete_class(call.site, call.path["name"])


_GONE = HTTPStatus.NO_CONTENT
_TRAITS = "/resource_providers/{id}/traits"
_AGGREGATES = "/resource_providers/{id}/aggregates"
_CLASS = "/resource_classes/{name}"
_READ_TRAITS = rule("resource_providers:traits:list")
_READ_CLASSES = rule("resource_classes:list", READER)
_WRITE_AGGREGATES = rule("resource_providers:aggregates:update")
ROWS: tuple[Row[Any], ...] = (
    Row(method="GET", path="/traits", handler=traits, policy=rule("traits:list"), since="1.6"),
    Row(
        method="GET",
        path="/traits/{name}",
        handler=show_trait,
        policy=rule("traits:show"),
        status=_GONE,
        since="1.6",
    ),
    Row(
        method="PUT",
        path="/traits/{name}",
        handler=put_trait,
        policy=rule("traits:update"),
        since="1.6",
    ),
    Row(
        method="DELETE",
        path="/traits/{name}",
        handler=remove_trait,
        policy=rule("traits:delete"),
        status=_GONE,
        since="1.6",
    ),
    Row(method="GET", path=_TRAITS, handler=provider_traits, policy=_READ_TRAITS, since="1.6"),
    Row(
        method="PUT",
        path=_TRAITS,
        handler=put_provider_traits,
        accepts=TraitsBody,
        policy=rule("resource_providers:traits:update"),
        since="1.6",
    ),
    Row(
        method="DELETE",
        path=_TRAITS,
        handler=delete_provider_traits,
        policy=rule("resource_providers:traits:delete"),
        status=_GONE,
        since="1.6",
    ),
    Row(
        method="GET",
        path=_AGGREGATES,
        handler=provider_aggregates,
        policy=rule("resource_providers:aggregates:list"),
        since="1.1",
    ),
    Row(
        method="PUT",
        path=_AGGREGATES,
        handler=put_provider_aggregates,
        accepts=AggregatesBody,
        policy=_WRITE_AGGREGATES,
        since="1.19",
    ),
    Row(
        method="PUT",
        path=_AGGREGATES,
        handler=put_provider_aggregate_list,
        accepts=list[str],
        policy=_WRITE_AGGREGATES,
        since="1.1",
        until="1.18",
    ),
    Row(method="GET", path="/resource_classes", handler=classes, policy=_READ_CLASSES, since="1.2"),
    Row(
        method="POST",
        path="/resource_classes",
        handler=create_class,
        accepts=ClassBody,
        policy=rule("resource_classes:create"),
        since="1.2",
    ),
    Row(method="GET", path=_CLASS, handler=show_class, policy=_READ_CLASSES, since="1.2"),
    Row(
        method="PUT",
        path=_CLASS,
        handler=put_class,
        policy=rule("resource_classes:update"),
        since="1.7",
    ),
    Row(
        method="DELETE",
        path=_CLASS,
        handler=remove_class,
        policy=rule("resource_classes:delete"),
        status=_GONE,
        since="1.2",
    ),
)
