"""An image as JSON: which members it has, who may write them, and what they may hold.

A member that Glance does not know is a property of the client's own, and holds text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException

from lanekeeper.domain.errors import Forbidden, Invalid, TooLarge
from lanekeeper.domain.image.record import (
    CONTAINER_FORMATS,
    DISK_FORMATS,
    ImageRecord,
    Status,
    Visibility,
    is_image_id,
)

NAME_MAX = 255
PROPERTIES_MAX = 128
TAGS_MAX = 128
"""Source: glance ``image_property_quota`` and ``image_tag_quota``."""

_VALUE_MAX = 65535
_NUMBER_MAX = 2**31 - 1

READ_ONLY = frozenset(
    {
        *("status", "size", "virtual_size", "checksum", "os_hash_algo", "os_hash_value"),
        *("created_at", "updated_at", "file", "schema", "self", "direct_url", "stores"),
    }
)
_NOT_OFFERED = frozenset({"locations"})
_RESERVED = "os_glance"

Changer = Callable[[ImageRecord, Any], ImageRecord]


def moment(at: datetime) -> str:
    """Seconds and Z, as Glance writes moments."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def image_body(shown: ImageRecord) -> dict[str, object]:
    """An image as Glance shows it, its properties beside its own members."""
    ready = shown.status in {Status.ACTIVE, Status.DEACTIVATED}
    return {
        **shown.properties,
        "id": shown.id,
        "name": shown.name,
        "status": shown.status,
        "visibility": shown.visibility,
        "owner": shown.owner,
        "disk_format": shown.disk_format,
        "container_format": shown.container_format,
        "size": shown.size_bytes if ready else None,
        "virtual_size": shown.virtual_size_bytes if ready else None,
        "checksum": shown.md5 if ready else None,
        "os_hash_algo": "sha512" if ready else None,
        "os_hash_value": shown.sha512 if ready else None,
        "min_disk": shown.min_disk_gib,
        "min_ram": shown.min_ram_mib,
        "protected": shown.protected,
        "os_hidden": shown.hidden,
        "tags": sorted(shown.tags),
        "created_at": moment(shown.created_at),
        "updated_at": moment(shown.updated_at),
        "self": f"/v2/images/{shown.id}",
        "file": f"/v2/images/{shown.id}/file",
        "schema": "/v2/schemas/image",
    }


# Writing ------------------------------------------------------------------------------------------


def set_member(image: ImageRecord, name: str, value: Any) -> ImageRecord:
    """The image with one member set, whether or not it had it.

    Raises:
        Forbidden: clients do not write that member.
        Invalid: it cannot hold that value.
        TooLarge: the image has as many properties or tags as it can.
    """
    refuse_read_only(name)
    changer = _MEMBERS.get(name)
    return changer(image, value) if changer else _set_property(image, name, value)


def remove_member(image: ImageRecord, name: str) -> ImageRecord:
    """The image without one property.

    Raises:
        Forbidden: every image has that member.
        HTTPException: 409, the image has no such property.
    """
    refuse_read_only(name)
    if name in _MEMBERS:
        raise Forbidden(f"Property {name!r} may not be removed.")
    if name not in image.properties:
        raise _absent(name)
    return replace(image, properties={k: v for k, v in image.properties.items() if k != name})


def replace_member(image: ImageRecord, name: str, value: Any) -> ImageRecord:
    """The image with one member changed, which it must have.

    Raises:
        HTTPException: 409, the image has no such property.
    """
    refuse_read_only(name)
    if name not in _MEMBERS and name not in image.properties:
        raise _absent(name)
    return set_member(image, name, value)


def refuse_read_only(name: str) -> None:
    """Raises Forbidden for members that the service writes."""
    if name in READ_ONLY or name == "id":
        raise Forbidden(f"Attribute '{name}' is read-only.")
    if name in _NOT_OFFERED or name.startswith(_RESERVED):
        raise Forbidden(f"Attribute '{name}' is reserved.")


def read_id(value: Any) -> str:
    """The id that a client chose.

    Raises:
        Invalid: not a UUID in lower case.
    """
    if not isinstance(value, str) or not is_image_id(value):
        raise Invalid("Invalid input for id: it must be a UUID in lower case, with dashes")
    return value


def read_tag(value: Any) -> str:
    """One tag.

    Raises:
        Invalid: not text of 1 to 255 characters.
    """
    if not isinstance(value, str) or not 0 < len(value) <= NAME_MAX:
        raise Invalid(f"Invalid input for tags: a tag is text of 1 to {NAME_MAX} characters")
    return value


def check_tags(tags: tuple[str, ...]) -> tuple[str, ...]:
    """Each once.

    Raises:
        TooLarge: too many.
    """
    once = tuple(dict.fromkeys(tags))
    if len(once) > TAGS_MAX:
        raise TooLarge(f"tags: {len(once)} are too many; an image has at most {TAGS_MAX}")
    return once


def _absent(name: str) -> HTTPException:
    return HTTPException(HTTPStatus.CONFLICT, f"Property {name!r} does not exist.")


def _set_property(image: ImageRecord, name: str, value: Any) -> ImageRecord:
    if not 0 < len(name) <= NAME_MAX:
        raise Invalid(f"the name of a property has 1 to {NAME_MAX} characters, not {len(name)}")
    if value is None and name in {"kernel_id", "ramdisk_id"}:  # nullable in Glance's schema
        return replace(image, properties={k: v for k, v in image.properties.items() if k != name})
    if not isinstance(value, str):
        raise Invalid(f"Invalid input for {name}: a property holds text, not {_json_type(value)}")
    if len(value) > _VALUE_MAX:
        raise Invalid(f"Invalid input for {name}: {len(value)} characters; {_VALUE_MAX} fit")
    if name in {"kernel_id", "ramdisk_id"} and not is_image_id(value):
        raise Invalid(f"Invalid input for {name}: it must be the id of an image")
    properties = {**image.properties, name: value}
    if len(properties) > PROPERTIES_MAX:
        raise TooLarge(
            f"an image has at most {PROPERTIES_MAX} properties; {name!r} would be one more"
        )
    return replace(image, properties=properties)


def _name(image: ImageRecord, value: Any) -> ImageRecord:
    if value is not None and (not isinstance(value, str) or len(value) > NAME_MAX):
        raise Invalid(f"Invalid input for name: text of at most {NAME_MAX} characters, or null")
    return replace(image, name=value)


def _visibility(image: ImageRecord, value: Any) -> ImageRecord:
    try:
        return replace(image, visibility=Visibility(value))
    except ValueError as error:
        raise Invalid(f"Invalid input for visibility: one of {_words(Visibility)}") from error


def _owner(image: ImageRecord, value: Any) -> ImageRecord:
    if not isinstance(value, str) or not 0 < len(value) <= NAME_MAX:
        raise Invalid("Invalid input for owner: the id of a project")
    return replace(image, owner=value)


def _one_of(member: str, known: tuple[str, ...]) -> Changer:
    def change(image: ImageRecord, value: Any) -> ImageRecord:
        if value is not None and value not in known:
            raise Invalid(f"Invalid input for {member}: one of {', '.join(known)}, or null")
        return replace(image, **{member: value})

    return change


def _number(member: str, column: str) -> Changer:
    def change(image: ImageRecord, value: Any) -> ImageRecord:
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _NUMBER_MAX:
            raise Invalid(f"Invalid input for {member}: a whole number from 0 to {_NUMBER_MAX}")
        changes: dict[str, Any] = {column: value}
        return replace(image, **changes)

    return change


def _flag(member: str, column: str) -> Changer:
    def change(image: ImageRecord, value: Any) -> ImageRecord:
        if not isinstance(value, bool):
            raise Invalid(f"Invalid input for {member}: true or false")
        changes: dict[str, Any] = {column: value}
        return replace(image, **changes)

    return change


def _tags(image: ImageRecord, value: Any) -> ImageRecord:
    if not isinstance(value, list):
        raise Invalid("Invalid input for tags: a list of texts")
    return replace(image, tags=check_tags(tuple(read_tag(tag) for tag in value)))


def _words(words: Any) -> str:
    return ", ".join(words)


def _json_type(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    return "a number" if isinstance(value, int | float) else "a list or an object"


_MEMBERS: Mapping[str, Changer] = {
    "name": _name,
    "visibility": _visibility,
    "owner": _owner,
    "disk_format": _one_of("disk_format", DISK_FORMATS),
    "container_format": _one_of("container_format", CONTAINER_FORMATS),
    "min_disk": _number("min_disk", "min_disk_gib"),
    "min_ram": _number("min_ram", "min_ram_mib"),
    "protected": _flag("protected", "protected"),
    "os_hidden": _flag("os_hidden", "hidden"),
    "tags": _tags,
}
