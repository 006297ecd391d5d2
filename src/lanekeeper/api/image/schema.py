"""Schemas that glanceclient asks for, and small answers to what clients ask in passing."""

from __future__ import annotations

from typing import Any

from lanekeeper.api.row import ADMIN, MEMBER, READER, Call, Policy, Row
from lanekeeper.control.image import image
from lanekeeper.domain.errors import NotFound, NotOffered
from lanekeeper.domain.image.record import CONTAINER_FORMATS, DISK_FORMATS, Status, Visibility

_READ = Policy("get_schema", READER)
_ANY_TEXT = {"type": ["null", "string"], "maxLength": 255}
_TEXT = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 0}

# glanceclient refuses an answer of ours that these do not allow: what can be null says so.
_PROPERTIES: dict[str, dict[str, object]] = {
    "id": {"type": "string"},
    "name": _ANY_TEXT,
    "status": {"type": "string", "readOnly": True, "enum": list(Status)},
    "visibility": {"type": "string", "enum": list(Visibility)},
    "owner": _ANY_TEXT,
    "disk_format": {"type": ["null", "string"], "enum": [None, *DISK_FORMATS]},
    "container_format": {"type": ["null", "string"], "enum": [None, *CONTAINER_FORMATS]},
    "size": {"type": ["null", "integer"], "readOnly": True},
    "virtual_size": {"type": ["null", "integer"], "readOnly": True},
    "checksum": {**_ANY_TEXT, "readOnly": True},
    "os_hash_algo": {**_ANY_TEXT, "readOnly": True},
    "os_hash_value": {**_ANY_TEXT, "readOnly": True},
    "min_disk": _COUNT,
    "min_ram": _COUNT,
    "protected": {"type": "boolean"},
    "os_hidden": {"type": "boolean"},
    "tags": {"type": "array", "items": {"type": "string", "maxLength": 255}},
    "kernel_id": {"type": ["null", "string"], "is_base": False},
    "ramdisk_id": {"type": ["null", "string"], "is_base": False},
    "created_at": {**_TEXT, "readOnly": True},
    "updated_at": {**_TEXT, "readOnly": True},
    "self": {**_TEXT, "readOnly": True},
    "file": {**_TEXT, "readOnly": True},
    "schema": {**_TEXT, "readOnly": True},
}
_IMAGE: dict[str, object] = {
    "name": "image",
    "properties": _PROPERTIES,
    "additionalProperties": {"type": "string"},
    "links": [
        {"rel": "self", "href": "{self}"},
        {"rel": "enclosure", "href": "{file}"},
        {"rel": "describedby", "href": "{schema}"},
    ],
}
_MEMBER: dict[str, object] = {
    "name": "member",
    "properties": dict.fromkeys(
        ("member_id", "image_id", "status", "created_at", "updated_at", "schema"), _TEXT
    ),
}


def _list_of(noun: str, item: dict[str, object]) -> dict[str, object]:
    return {
        "name": noun,
        "properties": {
            noun: {"type": "array", "items": item},
            "first": _TEXT,
            "next": _TEXT,
            "schema": _TEXT,
        },
        "links": [
            {"rel": "first", "href": "{first}"},
            {"rel": "next", "href": "{next}"},
            {"rel": "describedby", "href": "{schema}"},
        ],
    }


_SCHEMAS: dict[str, dict[str, object]] = {
    "image": _IMAGE,
    "images": _list_of("images", _IMAGE),
    "member": _MEMBER,
    "members": _list_of("members", _MEMBER),
}


def show_schema(call: Call[None]) -> dict[str, object]:
    """Show the schema of an answer."""
    found = _SCHEMAS.get(call.path["noun"])
    if found is None:
        raise NotFound(f"no schema {call.path['noun'][:64]!r}; there are {', '.join(_SCHEMAS)}")
    return found


def show_definition_schema(call: Call[None]) -> dict[str, object]:
    """Show a schema of metadata definitions: anything, since nobody may write them."""
    return {"name": call.path["noun"][:64], "properties": {}, "additionalProperties": True}


def list_import_methods(call: Call[None]) -> dict[str, object]:
    """List the ways in which staged data becomes an image."""
    del call
    return {
        "import-methods": {
            "description": "Import methods available.",
            "type": "array",
            "value": ["glance-direct"],
        }
    }


def list_stores(call: Call[None]) -> dict[str, object]:
    """List where images are kept."""
    del call
    return {"stores": [{"id": "file", "default": "true"}]}


def list_members(call: Call[None]) -> dict[str, object]:
    """List the projects that an image is shared with: none."""
    image.show_image(call.site, call.caller, call.path["image"])
    return {"members": [], "schema": "/v2/schemas/members"}


def show_member(call: Call[None]) -> object:
    """Show a project that an image is shared with: there is none."""
    image.show_image(call.site, call.caller, call.path["image"])
    raise NotFound(f"image {call.path['image']} is not shared with {call.path['member'][:64]!r}")


def refuse_member(call: Call[None]) -> object:
    """Say that images are not shared with single projects."""
    image.show_image(call.site, call.caller, call.path["image"])
    raise NotOffered(
        "images cannot be shared with single projects",
        hint="visibility community or public lets others use it",
    )


def list_tasks(call: Call[None]) -> dict[str, object]:
    """List an image's tasks: an import is done when it has been answered."""
    image.show_image(call.site, call.caller, call.path["image"])
    return {"tasks": []}


_ONE = "/v2/images/{image}"
_MEMBERS = _ONE + "/members"
_SHARE = Policy("add_member", MEMBER)

ROWS: tuple[Row[Any], ...] = (
    Row(method="GET", path="/v2/schemas/{noun}", handler=show_schema, policy=_READ),
    Row(
        method="GET",
        path="/v2/schemas/metadefs/{noun}",
        handler=show_definition_schema,
        policy=_READ,
    ),
    Row(method="GET", path="/v2/info/import", handler=list_import_methods, policy=_READ),
    Row(method="GET", path="/v2/info/stores", handler=list_stores, policy=_READ),
    Row(method="GET", path=_MEMBERS, handler=list_members, policy=Policy("get_members", READER)),
    Row(method="POST", path=_MEMBERS, handler=refuse_member, policy=_SHARE),
    Row(
        method="GET",
        path=_MEMBERS + "/{member}",
        handler=show_member,
        policy=Policy("get_member", READER),
    ),
    Row(method="PUT", path=_MEMBERS + "/{member}", handler=show_member, policy=_SHARE),
    Row(method="DELETE", path=_MEMBERS + "/{member}", handler=show_member, policy=_SHARE),
    Row(
        method="GET",
        path=_ONE + "/tasks",
        handler=list_tasks,
        policy=Policy("get_task", ADMIN),
    ),
)
