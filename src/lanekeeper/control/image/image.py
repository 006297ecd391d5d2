"""What can be wanted of images, their bytes apart."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from lanekeeper.control.caller import Caller
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Conflict, Forbidden, Invalid, NotFound
from lanekeeper.domain.image.record import ImageRecord, Status, Visibility, is_image_id
from lanekeeper.domain.network.card import VNIC_TYPE_PROPERTY, parse_made
from lanekeeper.store.image.copy import image_copy_drop
from lanekeeper.store.image.image import (
    SORT_KEYS,
    Filter,
    Sight,
    image_forget,
    image_get,
    image_hold,
    image_insert,
    image_list,
    image_list_deleted,
    image_move,
    image_replace,
    image_users,
)

__all__ = ["SORT_KEYS", "Filter"]

IN_USE = "lanekeeper.image.in_use"
_NAMED_MAX = 5
_OPEN = {Visibility.PUBLIC, Visibility.COMMUNITY}
_FORMATS: Mapping[str, tuple[str, ...]] = {
    "disk": ("raw", "qcow2", "ami"),
    "kernel_id": ("aki", "raw"),
    "ramdisk_id": ("ari", "raw"),
}
"""What a host takes for each part of a server; an AMI, AKI or ARI is raw bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewImage:
    """Attributes:
    id: made when None.
    owner: the caller's project when None; only an admin may name another.
    """

    id: str | None = None
    name: str | None = None
    owner: str | None = None
    visibility: Visibility = Visibility.SHARED
    disk_format: str | None = None
    container_format: str | None = None
    min_disk_gib: int = 0
    min_ram_mib: int = 0
    protected: bool = False
    hidden: bool = False
    properties: Mapping[str, str]
    tags: tuple[str, ...] = ()


def image_path(site: Site, image_id: str) -> Path:
    """Where the bytes of an image lie; there are some when it is active.

    Raises:
        NotFound: *image_id* is no id, so that no path is made of it.
    """
    if not is_image_id(image_id):
        raise _missing(image_id)
    return site.state_dir / "images" / image_id


def image_for_server(
    connection: sa.Connection, caller: Caller, image_id: str, part: str = "disk"
) -> ImageRecord:
    """The image that a server boots from, or its kernel or ramdisk.

    Args:
        connection: of the transaction that makes the server.
        caller: who wants it.
        image_id: as it was named.
        part: ``disk``, or the image property that names it: ``kernel_id``, ``ramdisk_id``.

    Raises:
        Invalid: it has no bytes yet, is deactivated, or no guest can boot from its format.
        NotFound: there is none that the caller sees.
    """
    found = find_image(connection, caller, image_id)
    if found.status is not Status.ACTIVE:
        raise Invalid(f"Image {found.id} is not active: its status is {found.status}.")
    if found.disk_format not in _FORMATS[part]:
        what = "disk" if part == "disk" else part.removesuffix("_id")
        raise Invalid(
            f"Image {found.id} has disk_format {found.disk_format}, which is no {what} of a "
            f"server here; one of {', '.join(_FORMATS[part])} would do",
            hint="qemu-img convert -O qcow2 makes one" if part == "disk" else "",
        )
    return found


def hold_images(connection: sa.Connection, image_ids: Sequence[str]) -> None:
    """Keep images until the transaction ends; for the one that adds a server which needs them.

    Raises:
        Conflict: one of them was deleted since it was looked at.
    """
    gone = set(image_ids) - image_hold(connection, image_ids)
    if gone:
        raise Conflict(f"Image {', '.join(sorted(gone))} was deleted at this moment.")


def find_image(
    connection: sa.Connection, caller: Caller, image_id: str, *, lock: bool = False
) -> ImageRecord:
    """An image that the caller sees.

    Raises:
        NotFound: there is none.
    """
    found = image_get(connection, image_id, lock=lock) if is_image_id(image_id) else None
    if found is None or not (caller.sees(found.owner) or found.visibility in _OPEN):
        raise _missing(image_id)
    return found


def own_image(connection: sa.Connection, caller: Caller, image_id: str) -> ImageRecord:
    """An image that the caller may change, locked until the transaction ends.

    Raises:
        Forbidden: it is another project's.
        NotFound: there is none that the caller sees.
    """
    found = find_image(connection, caller, image_id, lock=True)
    if not caller.sees(found.owner):
        raise Forbidden(f"You are not permitted to change image {image_id}: it is not yours.")
    return found


def show_image(site: Site, caller: Caller, image_id: str) -> ImageRecord:
    """One image.

    Raises:
        NotFound: there is none that the caller sees.
    """
    with site.database.read() as connection:
        return find_image(connection, caller, image_id)


def list_images(
    site: Site,
    caller: Caller,
    wanted: Filter,
    *,
    sort: Sequence[tuple[str, bool]],
    after: str | None,
    limit: int,
) -> list[ImageRecord]:
    """Images that the caller sees, in the order of *sort* (a key, whether descending).

    Raises:
        Invalid: the image *after* is not there.
    """
    sight = Sight(everything=caller.is_admin, owner=caller.project_id)
    with site.database.read() as connection:
        if after is not None:
            try:
                find_image(connection, caller, after)
            except NotFound as error:
                raise Invalid(f"marker: {error}") from error
        return image_list(connection, sight, wanted, sort=sort, after=after, limit=limit)


def create_image(site: Site, caller: Caller, new: NewImage) -> ImageRecord:
    """Make an image without bytes.

    Raises:
        Conflict: the id is taken.
        Invalid: it wants ports of a vnic type that no host carries.
        Forbidden: the token has no project, or another's is named by one who is no admin.
    """
    owner = new.owner or caller.project_id
    if owner is None:
        raise Forbidden("images belong to projects: use a token that is scoped to one")
    _check_vnic_type(new.properties)
    if not caller.sees(owner):
        raise Forbidden(f"You are not permitted to create images owned by {owner}.")
    now = site.clock()
    made = ImageRecord(
        id=new.id or str(uuid.uuid4()),
        name=new.name,
        status=Status.QUEUED,
        owner=owner,
        visibility=new.visibility,
        created_at=now,
        updated_at=now,
        disk_format=new.disk_format,
        container_format=new.container_format,
        min_disk_gib=new.min_disk_gib,
        min_ram_mib=new.min_ram_mib,
        protected=new.protected,
        hidden=new.hidden,
        properties=new.properties,
        tags=new.tags,
    )
    try:
        site.database.write(lambda connection: image_insert(connection, made))
    except IntegrityError as error:
        raise Conflict(f"Image ID {made.id} already exists!") from error
    return made


def change_image(
    site: Site, caller: Caller, image_id: str, change: Callable[[ImageRecord], ImageRecord]
) -> ImageRecord:
    """Put *change* of an image in its place; it may be called more than once.

    Raises:
        Forbidden: it is another project's, or its format changes under its bytes.
        Invalid: as ``create_image``.
        NotFound: there is none that the caller sees.
    """

    def work(connection: sa.Connection) -> ImageRecord:
        before = own_image(connection, caller, image_id)
        after = change(before)
        formats = (before.disk_format, before.container_format)
        if before.status is not Status.QUEUED and formats != (
            after.disk_format,
            after.container_format,
        ):
            raise Forbidden(
                "disk_format and container_format cannot be changed once the image has data"
            )
        if after.owner != before.owner and not caller.is_admin:
            raise Forbidden("owner: only an admin may give an image to another project")
        if after.properties != before.properties:
            _check_vnic_type(after.properties)
        changed = replace(after, updated_at=site.clock())
        image_replace(connection, changed)
        return changed

    return site.database.write(work)


def _check_vnic_type(properties: Mapping[str, str]) -> None:
    if VNIC_TYPE_PROPERTY in properties:
        parse_made(properties[VNIC_TYPE_PROPERTY], VNIC_TYPE_PROPERTY)


def set_active(site: Site, caller: Caller, image_id: str, *, active: bool) -> None:
    """Let an image be used, or not; a second time changes nothing.

    Raises:
        Conflict: it has no bytes.
        NotFound: there is none.
    """
    wanted = Status.ACTIVE if active else Status.DEACTIVATED
    before = Status.DEACTIVATED if active else Status.ACTIVE

    def work(connection: sa.Connection) -> None:
        found = own_image(connection, caller, image_id)
        if found.status is wanted:
            return
        if not image_move(connection, image_id, before, wanted, updated_at=site.clock()):
            raise Conflict(f"image {image_id} is {found.status}; only an active one is switched")

    site.database.write(work)


def delete_image(site: Site, caller: Caller, image_id: str) -> None:
    """Remove an image and its bytes.

    Raises:
        Conflict: servers boot from it, and need its bytes when they move or are rebuilt.
        Forbidden: it is protected, or another project's.
        NotFound: there is none that the caller sees.
    """

    def work(connection: sa.Connection) -> None:
        found = own_image(connection, caller, image_id)
        if found.protected:
            raise Forbidden(
                f"Image {image_id} is protected and cannot be deleted.",
                hint="openstack image set --unprotected",
            )
        # The lock above came first: a server that was made meanwhile is seen here.
        users = image_users(connection, image_id, _NAMED_MAX)
        if users:
            named = ", ".join(f"{name} ({server_id})" for server_id, name in users)
            raise Conflict(
                f"Image {image_id} could not be deleted because it is in use by servers: {named}",
                code=IN_USE,
            )
        image_move(connection, image_id, found.status, Status.DELETED)

    site.database.write(work)
    _remove(site, image_id)


def finish_deletions(site: Site) -> None:
    """Remove what is here of images that are deleted: by another controller, or before a kill."""
    with site.database.read() as connection:
        left = image_list_deleted(connection)
    for image_id in left:
        _remove(site, image_id)


def _remove(site: Site, image_id: str) -> None:
    image_path(site, image_id).unlink(missing_ok=True)
    staged_path(site, image_id).unlink(missing_ok=True)

    def work(connection: sa.Connection) -> None:
        image_copy_drop(connection, image_id, site.controller_id)
        image_forget(connection, image_id)  # whoever has another copy does so when it is gone

    site.database.write(work)


def staged_path(site: Site, image_id: str) -> Path:
    """Where bytes wait for the import."""
    return image_path(site, image_id).with_name(f"{image_id}.staged")


def _missing(image_id: str) -> NotFound:
    return NotFound(f"No image found with ID {image_id[:64]!r}.")
