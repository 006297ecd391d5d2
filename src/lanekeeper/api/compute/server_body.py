"""What clients may say of a server, in words of the API, and what is made of it."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from lanekeeper.api.compute.value import (
    access_address,
    at_least,
    description_value,
    flag,
    integer,
    name_value,
)
from lanekeeper.api.row import Call, Strict
from lanekeeper.control.compute.server_nic import NicAsked
from lanekeeper.control.compute.server_order import NewServer
from lanekeeper.domain.errors import Forbidden, Invalid, NotOffered

USER_DATA_MAX = 65535
METADATA_MAX = 128
TAGS_MAX = 50
_TAG_LENGTH_MAX = 60
_COUNT_MAX = 100
_KEY = re.compile(r"[a-zA-Z0-9-_:. ]{1,255}", re.ASCII)
_HOSTNAME = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9.-]{0,253}[a-zA-Z0-9])?", re.ASCII)


class NetworkAsked(Strict, frozen=True):
    port: str | None = None
    uuid: str | None = None
    fixed_ip: str | None = None
    tag: str | UnsetType = UNSET


class GroupAsked(Strict, frozen=True):
    name: str


class ServerAsked(Strict, frozen=True):
    """Every field of every version; SINCE and UNTIL say which of them a version has."""

    name: str
    flavor_ref: str | int = msgspec.field(name="flavorRef")
    image_ref: str | None = msgspec.field(default="", name="imageRef")
    admin_pass: str | UnsetType = msgspec.field(default=UNSET, name="adminPass")
    metadata: dict[str, str] = msgspec.field(default_factory=dict)
    networks: list[NetworkAsked] | str | UnsetType | None = UNSET
    disk_config: str = msgspec.field(default="MANUAL", name="OS-DCF:diskConfig")
    access_ip_v4: str = msgspec.field(default="", name="accessIPv4")
    access_ip_v6: str = msgspec.field(default="", name="accessIPv6")
    personality: list[Any] | UnsetType = UNSET
    availability_zone: str | None = None
    block_device_mapping: list[dict[str, Any]] = msgspec.field(default_factory=list)
    block_device_mapping_v2: list[dict[str, Any]] = msgspec.field(default_factory=list)
    config_drive: bool | str | None = None
    key_name: str | None = None
    min_count: int | str = 1
    max_count: int | str | None = None
    return_reservation_id: bool | str = False
    security_groups: list[GroupAsked] = msgspec.field(default_factory=list)
    user_data: str | None = None
    description: str | UnsetType | None = UNSET
    tags: list[str] | UnsetType = UNSET
    trusted_image_certificates: list[str] | UnsetType | None = UNSET
    host: str | UnsetType = UNSET
    hypervisor_hostname: str | UnsetType = UNSET
    hostname: str | UnsetType = UNSET


_SINCE = {
    "description": "2.19",
    "tags": "2.52",
    "trusted_image_certificates": "2.63",
    "host": "2.74",
    "hypervisor_hostname": "2.74",
    "hostname": "2.90",
}
_UNTIL = {"personality": "2.57"}
"""The first version that has the field no more."""


class Create(Strict, frozen=True):
    server: ServerAsked
    hints: dict[str, Any] = msgspec.field(default_factory=dict, name="os:scheduler_hints")
    old_hints: dict[str, Any] = msgspec.field(
        default_factory=dict, name="OS-SCH-HNT:scheduler_hints"
    )


class ServerChange(Strict, frozen=True):
    name: str | UnsetType = UNSET
    disk_config: str | UnsetType = msgspec.field(default=UNSET, name="OS-DCF:diskConfig")
    access_ip_v4: str | UnsetType = msgspec.field(default=UNSET, name="accessIPv4")
    access_ip_v6: str | UnsetType = msgspec.field(default=UNSET, name="accessIPv6")
    description: str | UnsetType | None = UNSET
    hostname: str | UnsetType = UNSET


class Update(Strict, frozen=True):
    server: ServerChange


def new_server(call: Call[Create]) -> NewServer:
    """Check every value of a creation.

    Raises:
        Invalid: a value cannot be, or this version does not have the field.
        NotOffered: volumes, injected files and the like.
    """
    asked = call.body.server
    _of_version(call, asked)
    _not_offered(asked)
    _check_devices(asked)
    least = integer(asked.min_count, "min_count", 1, _COUNT_MAX)
    most = integer(asked.max_count or least, "max_count", 1, _COUNT_MAX)
    if most < least:
        raise Invalid("min_count must be <= max_count")
    description = None if asked.description is UNSET else description_value(asked.description)
    return NewServer(
        name=name_value(asked.name),
        flavor_id=str(asked.flavor_ref),
        image_id=asked.image_ref or "",
        networks=_networks(call, asked.networks),
        security_groups=tuple(group.name for group in asked.security_groups),
        description=description or "",
        hostname=None if asked.hostname is UNSET else hostname_value(asked.hostname),
        metadata=metadata_value(asked.metadata),
        tags=() if asked.tags is UNSET else tags_value(asked.tags),
        key_name=asked.key_name or None,
        user_data=_user_data(asked.user_data),
        config_drive=_config_drive(asked.config_drive),
        zone=asked.availability_zone or None,
        host=None if asked.host is UNSET else asked.host,
        hypervisor=None if asked.hypervisor_hostname is UNSET else asked.hypervisor_hostname,
        hints={**call.body.old_hints, **call.body.hints},
        access_ip_v4=access_address(asked.access_ip_v4, "accessIPv4", 4),
        access_ip_v6=access_address(asked.access_ip_v6, "accessIPv6", 6),
        disk_config=disk_config_value(asked.disk_config),
        min_count=least,
        max_count=most,
    )


def changes(call: Call[Update]) -> dict[str, Any]:
    """Check every value of a change; returns columns of the server's row.

    Raises:
        Invalid: a value cannot be, or this version does not have the field.
    """
    asked = call.body.server
    _of_version(call, asked)
    values: dict[str, Any] = {}
    if asked.name is not UNSET:
        values["name"] = name_value(asked.name)
    if asked.disk_config is not UNSET:
        values["disk_config"] = disk_config_value(asked.disk_config)
    if asked.access_ip_v4 is not UNSET:
        values["access_ip_v4"] = access_address(asked.access_ip_v4, "accessIPv4", 4)
    if asked.access_ip_v6 is not UNSET:
        values["access_ip_v6"] = access_address(asked.access_ip_v6, "accessIPv6", 6)
    if asked.description is not UNSET:
        values["description"] = description_value(asked.description) or ""
    if asked.hostname is not UNSET:
        values["hostname"] = hostname_value(asked.hostname)
    return values


def metadata_value(metadata: Mapping[str, str]) -> dict[str, str]:
    """Check keys, values and their number.

    Raises:
        Invalid: a key or value that cannot be.
        Forbidden: more than 128 of them; as Nova says it, though no quota is meant.
    """
    if len(metadata) > METADATA_MAX:
        raise Forbidden(f"Maximum number of metadata items exceeds {METADATA_MAX}")
    for key, value in metadata.items():
        if not _KEY.fullmatch(key):
            raise Invalid(
                f"metadata key {key[:60]!r} must have 1 to 255 letters, digits, blanks or "
                "any of - _ : ."
            )
        if len(value) > 255 or "\0" in value:  # noqa: PLR2004 as Nova's column
            raise Invalid(f"metadata {key}: the value has NUL or more than 255 characters")
    return dict(metadata)


def tags_value(tags: Sequence[str]) -> list[str]:
    """Check tags and leave out repetitions.

    Raises:
        Invalid: more than 50, or one that is empty, too long or has a comma or a slash.
    """
    if len(tags) > TAGS_MAX:
        raise Invalid(f"tags: at most {TAGS_MAX}, not {len(tags)}")
    for tag in tags:
        if not 1 <= len(tag) <= _TAG_LENGTH_MAX or set(tag) & {",", "/", "\0"}:
            raise Invalid(
                f"tag {tag[:70]!r} must have 1 to {_TAG_LENGTH_MAX} characters, no comma, no slash"
            )
    return list(dict.fromkeys(tags))


def hostname_value(text: str) -> str:
    """Check a host's name, alone or with its domain.

    Raises:
        Invalid: not a name that DNS could hold.
    """
    if not _HOSTNAME.fullmatch(text):
        raise Invalid(f"hostname {text[:70]!r} is not a host's name such as db-1")
    return text


def disk_config_value(text: str) -> str:
    if text not in ("AUTO", "MANUAL"):
        raise Invalid(f"OS-DCF:diskConfig {text[:40]!r} is neither AUTO nor MANUAL")
    return text


def _of_version(call: Call[Any], asked: ServerAsked | ServerChange) -> None:
    for name, since in _SINCE.items():
        if getattr(asked, name, UNSET) is not UNSET and not at_least(call, since):
            raise Invalid(
                f"Additional properties are not allowed ('{name}' was unexpected)",
                hint=f"{name} is there from microversion {since} on",
            )
    for name, gone in _UNTIL.items():
        if getattr(asked, name, UNSET) is not UNSET and at_least(call, gone):
            raise Invalid(
                f"Additional properties are not allowed ('{name}' was unexpected)",
                hint=f"{name} went with microversion {gone}",
            )


def _not_offered(asked: ServerAsked) -> None:
    if asked.personality not in (UNSET, []):
        raise NotOffered("personality: injecting files is not offered", hint="use user_data")
    if asked.trusted_image_certificates not in (UNSET, None, []):
        raise NotOffered("trusted_image_certificates: images are not checked by certificates")
    if asked.block_device_mapping:
        raise NotOffered(_VOLUMES, hint=_VOLUMES_HINT)


_VOLUMES = "volumes are Cinder's, which Lanekeeper does not have"
_VOLUMES_HINT = "boot from an image onto the host's own disk (--image)"


def _check_devices(asked: ServerAsked) -> None:
    """Take the one mapping that clients send for an image on the host's disk, and no other."""
    if not asked.block_device_mapping_v2:
        return
    if len(asked.block_device_mapping_v2) > 1:
        raise NotOffered(f"block_device_mapping_v2: one disk is offered; {_VOLUMES}")
    (mapping,) = asked.block_device_mapping_v2
    kind = (mapping.get("source_type"), mapping.get("destination_type", "local"))
    if kind != ("image", "local"):
        raise NotOffered(f"block_device_mapping_v2: {_VOLUMES}", hint=_VOLUMES_HINT)
    if str(mapping.get("boot_index", 0)) != "0":
        raise Invalid("Block Device Mapping is Invalid: boot_index of the only disk must be 0")
    if mapping.get("uuid") != asked.image_ref:
        raise Invalid("Block Device Mapping is Invalid: its uuid must be that of imageRef")


def _networks(
    call: Call[Create], asked: list[NetworkAsked] | str | UnsetType | None
) -> tuple[NicAsked, ...] | Any:
    if not at_least(call, "2.37"):
        if isinstance(asked, str):
            raise Invalid("networks must be a list", hint="'auto' and 'none' came with 2.37")
        asked = [] if asked in (UNSET, None) else asked
    if asked in (UNSET, None):
        raise Invalid("Object missing required field `networks`", hint="'none' is one, too")
    if isinstance(asked, str):
        if asked not in ("auto", "none"):
            raise Invalid(f"networks {asked[:40]!r} is neither a list, 'auto' nor 'none'")
        return asked
    assert isinstance(asked, list)
    return tuple(_nic(one) for one in asked)


def _nic(asked: NetworkAsked) -> NicAsked:
    if not asked.port and not asked.uuid:
        raise Invalid("networks: each item needs a port or a uuid")
    if asked.fixed_ip:
        version = 6 if ":" in asked.fixed_ip else 4
        access_address(asked.fixed_ip, "networks: fixed_ip", version)
    tag = "" if asked.tag is UNSET else tags_value([asked.tag])[0]
    return NicAsked(
        port_id=asked.port or None,
        network_id=None if asked.port else asked.uuid,
        fixed_ip=asked.fixed_ip,
        tag=tag,
    )


def _config_drive(value: bool | str | None) -> bool:
    # Guests learn their addresses from it, so they have one unless somebody says no.
    return True if value in (None, "") else flag(value or False, "config_drive")


def _user_data(text: str | None) -> str | None:
    if not text:
        return None
    if len(text) > USER_DATA_MAX:
        raise Invalid(f"user_data has {len(text)} characters; the most is {USER_DATA_MAX}")
    try:
        base64.b64decode(text, validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise Invalid(
            "user_data is not base64 of UTF-8 text", hint="compressed user data is not carried"
        ) from error
    return text
