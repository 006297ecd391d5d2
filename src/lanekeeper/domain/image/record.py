"""What is known of an image beside its bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

DISK_FORMATS = ("ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop")
CONTAINER_FORMATS = ("ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed")
"""Source: glance ``common/config.py``, image_format_opts."""


class Status(StrEnum):
    """QUEUED has no bytes, SAVING gets them, UPLOADING has them staged, ACTIVE is ready.

    DELETED rows are seen by nobody: their bytes are being removed.
    """

    QUEUED = "queued"
    SAVING = "saving"
    UPLOADING = "uploading"
    IMPORTING = "importing"
    ACTIVE = "active"
    DEACTIVATED = "deactivated"
    DELETED = "deleted"


class Visibility(StrEnum):
    """COMMUNITY is seen by all who know it, and listed only when asked for."""

    PUBLIC = "public"
    COMMUNITY = "community"
    SHARED = "shared"
    PRIVATE = "private"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRecord:
    """An image as the database has it.

    Attributes:
        owner: id of its project.
        size_bytes, virtual_size_bytes, md5, sha512: None until there are bytes; the virtual size
            is that of the disk that a guest sees.
        properties: names of the client's own choosing to text, as ``hw_machine_type``.
    """

    id: str
    name: str | None
    status: Status
    owner: str
    visibility: Visibility
    created_at: datetime
    updated_at: datetime
    disk_format: str | None = None
    container_format: str | None = None
    size_bytes: int | None = None
    virtual_size_bytes: int | None = None
    md5: str | None = None
    sha512: str | None = None
    min_disk_gib: int = 0
    min_ram_mib: int = 0
    protected: bool = False
    hidden: bool = False
    properties: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()


def is_image_id(text: str) -> bool:
    """Whether *text* is an id such as images have; nothing else ever becomes a file name."""
    return _ID.fullmatch(text) is not None
