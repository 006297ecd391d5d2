"""Notes on a server over HTTP: its metadata and its tags."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from lanekeeper.api.compute.server_body import TAGS_MAX, metadata_value, tags_value
from lanekeeper.api.compute.value import links
from lanekeeper.api.row import MEMBER, READER, Call, Policy, Reply, Row, Strict
from lanekeeper.control.compute.server import change_metadata, change_tags
from lanekeeper.control.compute.server_list import show_server
from lanekeeper.domain.errors import Invalid, NotFound

_META = "os_compute_api:server-metadata:"
_LIST, _SHOW = Policy(_META + "index", READER), Policy(_META + "show", READER)
_CREATE, _UPDATE = Policy(_META + "create", MEMBER), Policy(_META + "update", MEMBER)
_REPLACE, _DELETE = Policy(_META + "update_all", MEMBER), Policy(_META + "delete", MEMBER)
_TAGS = "os_compute_api:os-server-tags:"
_TAGS_LIST, _TAGS_SHOW = Policy(_TAGS + "index", READER), Policy(_TAGS + "show", READER)
_TAGS_SET, _TAG_ADD = Policy(_TAGS + "update_all", MEMBER), Policy(_TAGS + "update", MEMBER)
_TAGS_CLEAR, _TAG_DROP = Policy(_TAGS + "delete_all", MEMBER), Policy(_TAGS + "delete", MEMBER)


class Metadata(Strict, frozen=True):
    metadata: dict[str, str]


class Item(Strict, frozen=True):
    meta: dict[str, str]


class Tags(Strict, frozen=True):
    tags: list[str]


def metadata(call: Call[None]) -> dict[str, object]:
    """List a server's metadata."""
    return {"metadata": _of(call)}


def _of(call: Call[Any]) -> Mapping[str, str]:
    return show_server(call.site, call.caller, call.path["server_id"]).record.metadata


def merge(call: Call[Metadata]) -> dict[str, object]:
    """Add to a server's metadata."""
    new = metadata_value(call.body.metadata)
    return {"metadata": _change(call, lambda old: metadata_value(old | new))}


def replace(call: Call[Metadata]) -> dict[str, object]:
    """Replace a server's metadata."""
    new = metadata_value(call.body.metadata)
    return {"metadata": _change(call, lambda _: new)}


def show_item(call: Call[None]) -> dict[str, object]:
    """Show one item."""
    key, found = call.path["key"], _of(call)
    if key not in found:
        raise _missing(key)
    return {"meta": {key: found[key]}}


def set_item(call: Call[Item]) -> dict[str, object]:
    """Set one item."""
    key, new = call.path["key"], metadata_value(call.body.meta)
    if set(new) != {key}:
        raise Invalid("Request body and URI mismatch: meta must have the URL's key, and no other")
    _change(call, lambda old: metadata_value(old | new))
    return {"meta": new}


def drop_item(call: Call[None]) -> None:
    """Remove one item."""
    key = call.path["key"]

    def without(old: dict[str, str]) -> dict[str, str]:
        if key not in old:
            raise _missing(key)
        return {name: value for name, value in old.items() if name != key}

    _change(call, without)


def _change(call: Call[Any], change: Any) -> Mapping[str, str]:
    return change_metadata(call.site, call.caller, call.path["server_id"], change)


def _missing(key: str) -> NotFound:
    return NotFound(f"Metadata item was not found: {key[:255]}")


def tags(call: Call[None]) -> dict[str, object]:
    """List a server's tags."""
    return {"tags": _tags(call)}


def _tags(call: Call[Any]) -> list[str]:
    return list(show_server(call.site, call.caller, call.path["server_id"]).record.tags)


def replace_tags(call: Call[Tags]) -> dict[str, object]:
    """Replace a server's tags."""
    new = tags_value(call.body.tags)
    return {"tags": _change_tags(call, lambda _: new)}


def clear_tags(call: Call[None]) -> None:
    """Remove all of a server's tags."""
    _change_tags(call, lambda _: [])


def show_tag(call: Call[None]) -> Reply:
    """Tell whether a server has a tag."""
    if call.path["tag"] not in _tags(call):
        raise _no_tag(call)
    return Reply(status=HTTPStatus.NO_CONTENT)


def add_tag(call: Call[None]) -> Reply:
    """Add a tag."""
    server_id, tag = call.path["server_id"], call.path["tag"]
    tags_value([tag])
    if tag in _tags(call):
        return Reply(status=HTTPStatus.NO_CONTENT)
    _change_tags(call, lambda old: tags_value([*old, tag]) if tag not in old else old)
    location = links(call, f"servers/{server_id}/tags/{quote(tag)}")[0]["href"]
    return Reply(status=HTTPStatus.CREATED, headers={"Location": location})


def drop_tag(call: Call[None]) -> None:
    """Remove a tag."""
    tag = call.path["tag"]

    def without(old: list[str]) -> list[str]:
        if tag not in old:
            raise _no_tag(call)
        return [one for one in old if one != tag]

    _change_tags(call, without)


def _change_tags(call: Call[Any], change: Any) -> list[str]:
    changed = list(change_tags(call.site, call.caller, call.path["server_id"], change))
    assert len(changed) <= TAGS_MAX
    return changed


def _no_tag(call: Call[Any]) -> NotFound:
    return NotFound(f"Server {call.path['server_id'][:80]} has no tag '{call.path['tag'][:80]}'")


_META_PATH, _TAGS_PATH = "/v2.1/servers/{server_id}/metadata", "/v2.1/servers/{server_id}/tags"
_ITEM_PATH, _TAG_PATH = _META_PATH + "/{key}", _TAGS_PATH + "/{tag}"
_NONE = HTTPStatus.NO_CONTENT

ROWS: tuple[Row[Any], ...] = (
    Row(method="GET", path=_META_PATH, handler=metadata, policy=_LIST),
    Row(method="POST", path=_META_PATH, handler=merge, policy=_CREATE, accepts=Metadata),
    Row(method="PUT", path=_META_PATH, handler=replace, policy=_REPLACE, accepts=Metadata),
    Row(method="GET", path=_ITEM_PATH, handler=show_item, policy=_SHOW),
    Row(method="PUT", path=_ITEM_PATH, handler=set_item, policy=_UPDATE, accepts=Item),
    Row(method="DELETE", path=_ITEM_PATH, handler=drop_item, policy=_DELETE, status=_NONE),
    Row(method="GET", path=_TAGS_PATH, handler=tags, policy=_TAGS_LIST, since="2.26"),
    Row(
        method="PUT",
        path=_TAGS_PATH,
        handler=replace_tags,
        policy=_TAGS_SET,
        accepts=Tags,
        since="2.26",
    ),
    Row(
        method="DELETE",
        path=_TAGS_PATH,
        handler=clear_tags,
        policy=_TAGS_CLEAR,
        status=_NONE,
        since="2.26",
    ),
    Row(method="GET", path=_TAG_PATH, handler=show_tag, policy=_TAGS_SHOW, since="2.26"),
    Row(method="PUT", path=_TAG_PATH, handler=add_tag, policy=_TAG_ADD, since="2.26"),
    Row(
        method="DELETE",
        path=_TAG_PATH,
        handler=drop_tag,
        policy=_TAG_DROP,
        status=_NONE,
        since="2.26",
    ),
)
