"""Images without their bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType
from starlette.exceptions import HTTPException

from lanekeeper.api.image.field import (
    check_tags,
    image_body,
    read_id,
    read_tag,
    remove_member,
    replace_member,
    set_member,
)
from lanekeeper.api.image.query import next_link, read_filter, read_limit, read_sort
from lanekeeper.api.row import ADMIN, MEMBER, READER, Call, Policy, Reply, Row, Strict
from lanekeeper.control.image import image
from lanekeeper.domain.errors import Invalid, NotFound
from lanekeeper.domain.image.record import ImageRecord, Status, Visibility

PATCH_TYPE = "application/openstack-images-v2.1-json-patch"
_OPERATIONS_MAX = 500

_PUBLISH = Policy("publicize_image", ADMIN)
_MODIFY = Policy("modify_image", MEMBER)
_REACTIVATE = Policy("reactivate", ADMIN)
_DEACTIVATE = Policy("deactivate", ADMIN)


class Operation(Strict, frozen=True):
    """One line of a JSON patch (RFC 6902), of which Glance takes three kinds."""

    op: Literal["add", "replace", "remove"]
    path: Annotated[str, Meta(min_length=2, max_length=1024, pattern=r"^/")]
    value: Any | UnsetType = UNSET


def create_image(call: Call[dict[str, Any]]) -> Reply:
    """Create an image; its data comes next."""
    members = dict(call.body)
    image_id = read_id(members.pop("id")) if members.get("id") is not None else None
    owner = members.pop("owner", None)
    draft = _draft(call)
    for name, value in members.items():
        draft = set_member(draft, name, value)
    if owner is not None:
        draft = set_member(draft, "owner", owner)
    _check_visibility(call, draft.visibility)
    made = image.create_image(
        call.site,
        call.caller,
        image.NewImage(
            id=image_id,
            name=draft.name,
            owner=owner,
            visibility=draft.visibility,
            disk_format=draft.disk_format,
            container_format=draft.container_format,
            min_disk_gib=draft.min_disk_gib,
            min_ram_mib=draft.min_ram_mib,
            protected=draft.protected,
            hidden=draft.hidden,
            properties=draft.properties,
            tags=draft.tags,
        ),
    )
    headers = {
        "Location": f"{call.base_url}/image/v2/images/{made.id}",
        "OpenStack-image-import-methods": "glance-direct",
    }
    return Reply(body=image_body(made), headers=headers)


def _draft(call: Call[Any]) -> ImageRecord:
    """What an image is before the client has said anything about it."""
    now = call.site.clock()
    return ImageRecord(
        id="",
        name=None,
        status=Status.QUEUED,
        owner="",
        visibility=Visibility.SHARED,
        created_at=now,
        updated_at=now,
    )


def list_images(call: Call[None]) -> dict[str, object]:
    """List images, in pages."""
    limit = read_limit(call)
    found = (
        image.list_images(
            call.site,
            call.caller,
            read_filter(call),
            sort=read_sort(call),
            after=call.asked("marker") or None,
            limit=limit,
        )
        if limit
        else []
    )
    body: dict[str, object] = {
        "images": [image_body(one) for one in found],
        "first": "/v2/images",
        "schema": "/v2/schemas/images",
    }
    following = next_link(call, limit, found)
    return body if following is None else {**body, "next": following}


def show_image(call: Call[None]) -> dict[str, object]:
    """Show one image."""
    return image_body(image.show_image(call.site, call.caller, call.path["image"]))


def change_image(call: Call[list[Operation]]) -> dict[str, object]:
    """Change members of an image by a JSON patch."""
    media_type = call.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != PATCH_TYPE:
        raise HTTPException(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"Content-Type {media_type or 'missing'}; PATCH takes {PATCH_TYPE}",
        )
    if len(call.body) > _OPERATIONS_MAX:
        raise Invalid(f"{len(call.body)} operations are too many; {_OPERATIONS_MAX} are taken")

    def change(before: ImageRecord) -> ImageRecord:
        after = before
        for operation in call.body:
            after = _apply(after, operation)
        if after.visibility != before.visibility:
            _check_visibility(call, after.visibility)
        return after

    changed = image.change_image(call.site, call.caller, call.path["image"], change)
    return image_body(changed)


def _apply(before: ImageRecord, operation: Operation) -> ImageRecord:
    name = _member(operation.path)
    if operation.op == "remove":
        return remove_member(before, name)
    if operation.value is UNSET:
        raise Invalid(f"the operation {operation.op} of {operation.path} has no value")
    setter = set_member if operation.op == "add" else replace_member
    return setter(before, name, operation.value)


def _member(path: str) -> str:
    """Read a JSON pointer (RFC 6901) of one step: ``~1`` is a slash, ``~0`` a tilde."""
    name = path.removeprefix("/")
    if "/" in name or "~" in name.replace("~0", "").replace("~1", ""):
        raise Invalid(
            f"Invalid JSON pointer for this resource: {path!r}; it has one step, in which a slash "
            "is written ~1 and a tilde ~0"
        )
    return name.replace("~1", "/").replace("~0", "~")


def delete_image(call: Call[None]) -> None:
    """Delete an image and its data; refused while servers boot from it."""
    image.delete_image(call.site, call.caller, call.path["image"])


# Small things -------------------------------------------------------------------------------------


def add_tag(call: Call[None]) -> None:
    """Add a tag."""
    tag = read_tag(call.path["tag"])
    _change(call, lambda before: replace(before, tags=check_tags((*before.tags, tag))))


def remove_tag(call: Call[None]) -> None:
    """Remove a tag."""
    tag = call.path["tag"]

    def change(before: ImageRecord) -> ImageRecord:
        if tag not in before.tags:
            raise NotFound(f"image {before.id} has no tag {tag!r}")
        return replace(before, tags=tuple(one for one in before.tags if one != tag))

    _change(call, change)


def deactivate(call: Call[None]) -> None:
    """Let nobody use the image."""
    image.set_active(call.site, call.caller, call.path["image"], active=False)


def reactivate(call: Call[None]) -> None:
    """Let the image be used again."""
    image.set_active(call.site, call.caller, call.path["image"], active=True)


def _change(call: Call[None], change: Callable[[ImageRecord], ImageRecord]) -> None:
    image.change_image(call.site, call.caller, call.path["image"], change)


def _check_visibility(call: Call[Any], wanted: Visibility) -> None:
    if wanted is Visibility.PUBLIC:
        call.demand(_PUBLISH)


_ONE = "/v2/images/{image}"
_NO_CONTENT = HTTPStatus.NO_CONTENT

ROWS: tuple[Row[Any], ...] = (
    Row(
        method="POST",
        path="/v2/images",
        handler=create_image,
        accepts=dict[str, Any],
        policy=Policy("add_image", MEMBER),
        asks=(_PUBLISH,),
        status=HTTPStatus.CREATED,
    ),
    Row(
        method="GET",
        path="/v2/images",
        handler=list_images,
        policy=Policy("get_images", READER),
    ),
    Row(method="GET", path=_ONE, handler=show_image, policy=Policy("get_image", READER)),
    Row(
        method="PATCH",
        path=_ONE,
        handler=change_image,
        accepts=list[Operation],
        policy=_MODIFY,
        asks=(_PUBLISH,),
    ),
    Row(
        method="DELETE",
        path=_ONE,
        handler=delete_image,
        policy=Policy("delete_image", MEMBER),
        status=_NO_CONTENT,
    ),
    Row(
        method="PUT",
        path=_ONE + "/tags/{tag}",
        handler=add_tag,
        policy=_MODIFY,
        status=_NO_CONTENT,
    ),
    Row(
        method="DELETE",
        path=_ONE + "/tags/{tag}",
        handler=remove_tag,
        policy=_MODIFY,
        status=_NO_CONTENT,
    ),
    Row(
        method="POST",
        path=_ONE + "/actions/deactivate",
        handler=deactivate,
        policy=_DEACTIVATE,
        status=_NO_CONTENT,
    ),
    Row(
        method="POST",
        path=_ONE + "/actions/reactivate",
        handler=reactivate,
        policy=_REACTIVATE,
        status=_NO_CONTENT,
    ),
)
