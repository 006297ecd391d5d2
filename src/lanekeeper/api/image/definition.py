"""Metadata definitions as Glance answers them: namespaces, and what is in each."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from lanekeeper.api.image.query import read_limit
from lanekeeper.api.row import READER, Call, Policy, Row
from lanekeeper.control.image.definition import (
    Namespace,
    list_namespaces,
    resource_types,
    show_namespace,
    show_property,
)
from lanekeeper.domain.errors import Invalid, NotFound

_HOME = "/v2/metadefs/namespaces"
_ONE = _HOME + "/{namespace}"
_VISIBILITIES = ("public", "private")


def _view(one: Namespace) -> dict[str, object]:
    """What a list tells of a namespace."""
    return {
        "namespace": one.namespace,
        "display_name": one.display_name,
        "description": one.description,
        "visibility": one.visibility,
        "protected": one.protected,
        "owner": "admin",
        "resource_type_associations": one.resource_type_associations,
        "self": f"{_HOME}/{one.namespace}",
        "schema": "/v2/schemas/metadefs/namespace",
    }


def index(call: Call[None]) -> dict[str, object]:
    """List namespaces by name; ``resource_types``, ``visibility``, ``limit`` and ``marker``."""
    visibility = call.asked("visibility")
    if visibility is not None and visibility not in _VISIBILITIES:
        raise Invalid(f"visibility {visibility[:40]!r} is neither public nor private")
    kinds = [word for text in call.asked_all("resource_types") for word in text.split(",") if word]
    limit = read_limit(call)
    found = list_namespaces(
        kinds, visibility=visibility, after=call.asked("marker"), limit=limit + 1
    )
    told: dict[str, object] = {
        "namespaces": [_view(one) for one in found[:limit]],
        "first": _HOME,
        "schema": "/v2/schemas/metadefs/namespaces",
    }
    if 0 < limit < len(found):
        kept = [pair for pair in call.query if pair[0] != "marker"]
        told["next"] = f"{_HOME}?{urlencode([*kept, ('marker', found[limit - 1].namespace)])}"
    return told


def show(call: Call[None]) -> dict[str, object]:
    """Show a namespace with all that is in it."""
    one = show_namespace(call.path["namespace"])
    return _view(one) | {"properties": one.properties, "objects": one.objects, "tags": one.tags}


def properties(call: Call[None]) -> dict[str, object]:
    """List a namespace's properties, each with its JSON schema."""
    return {"properties": show_namespace(call.path["namespace"]).properties}


def show_one(call: Call[None]) -> dict[str, object]:
    """Show a property."""
    name = call.path["name"]
    return {"name": name, **show_property(call.path["namespace"], name)}


def objects(call: Call[None]) -> dict[str, object]:
    """List a namespace's objects."""
    one = show_namespace(call.path["namespace"])
    return {
        "objects": one.objects,
        "first": f"{_HOME}/{one.namespace}/objects",
        "schema": "/v2/schemas/metadefs/objects",
    }


def tags(call: Call[None]) -> dict[str, object]:
    """List a namespace's tags."""
    one = show_namespace(call.path["namespace"])
    return {
        "tags": one.tags,
        "first": f"{_HOME}/{one.namespace}/tags",
        "schema": "/v2/schemas/metadefs/tags",
    }


def no_such_part(call: Call[None]) -> object:
    """Show an object or a tag: no namespace has any."""
    one = show_namespace(call.path["namespace"])
    raise NotFound(f"{one.namespace} has no object or tag {call.path['name'][:60]!r}")


def associations(call: Call[None]) -> dict[str, object]:
    """List what a namespace's properties are for."""
    one = show_namespace(call.path["namespace"])
    return {"resource_type_associations": one.resource_type_associations}


def types(call: Call[None]) -> dict[str, object]:
    """List what properties of any namespace are for."""
    del call
    return {"resource_types": [{"name": name} for name in resource_types()]}


_NAMESPACE = Policy("get_metadef_namespace", READER)
_PROPERTY = Policy("get_metadef_property", READER)
_OBJECT = Policy("get_metadef_object", READER)
_TAG = Policy("get_metadef_tag", READER)

ROWS: tuple[Row[Any], ...] = (
    Row(method="GET", path=_HOME, handler=index, policy=Policy("get_metadef_namespaces", READER)),
    Row(method="GET", path=_ONE, handler=show, policy=_NAMESPACE),
    Row(
        method="GET",
        path=_ONE + "/properties",
        handler=properties,
        policy=Policy("get_metadef_properties", READER),
    ),
    Row(method="GET", path=_ONE + "/properties/{name}", handler=show_one, policy=_PROPERTY),
    Row(
        method="GET",
        path=_ONE + "/objects",
        handler=objects,
        policy=Policy("get_metadef_objects", READER),
    ),
    Row(method="GET", path=_ONE + "/objects/{name}", handler=no_such_part, policy=_OBJECT),
    Row(method="GET", path=_ONE + "/tags", handler=tags, policy=Policy("get_metadef_tags", READER)),
    Row(method="GET", path=_ONE + "/tags/{name}", handler=no_such_part, policy=_TAG),
    Row(
        method="GET",
        path=_ONE + "/resource_types",
        handler=associations,
        policy=Policy("get_metadef_resource_type", READER),
    ),
    Row(
        method="GET",
        path="/v2/metadefs/resource_types",
        handler=types,
        policy=Policy("list_metadef_resource_types", READER),
    ),
)
