"""The bytes of images: in and out, never whole in memory.

While bytes come in they lie under a name that nothing reads; they get their name when they are
all there, checked and on disk, and only then the image becomes active. So whoever is killed
leaves an image that is queued (after ``recover_uploads``) or active, never half a one.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from lanekeeper.control.caller import Caller
from lanekeeper.control.identity.private_file import sync_directory
from lanekeeper.control.image.copy import (
    INCOMING,
    create_incoming,
    note_copies,
    staged_elsewhere,
)
from lanekeeper.control.image.image import find_image, image_path, own_image, staged_path
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Conflict, Forbidden, Invalid, TooLarge
from lanekeeper.domain.image.disk_format import HEADER_BYTES, check_header
from lanekeeper.domain.image.record import ImageRecord, Status, is_image_id
from lanekeeper.store.image.copy import image_copy_add
from lanekeeper.store.image.image import image_move, image_status

_STAGED = frozenset({Status.UPLOADING, Status.IMPORTING})


@dataclass(frozen=True, slots=True)
class Received:
    """What was learnt of bytes while they went by."""

    size_bytes: int
    virtual_size_bytes: int
    md5: str
    sha512: str


class Upload:
    """One body on its way to disk. Not thread-safe: one caller at a time.

    Make it with ``begin_upload``; end it with exactly one of ``finish`` and ``abort``.
    """

    def __init__(self, site: Site, record: ImageRecord, *, stage: bool) -> None:
        self._site = site
        self._record = record
        self._stage = stage
        self._bytes_max = site.config.lanekeeper.image_bytes_max
        self._header = b""
        self._size_bytes = 0
        self._md5 = hashlib.md5(usedforsecurity=False)  # Glance's checksum; sha512 is the proof
        self._sha512 = hashlib.sha512()
        self._path, self._file = create_incoming(site, record.id)

    def write(self, chunk: bytes) -> None:
        """Take the next bytes.

        Raises:
            Invalid: they are not of the image's format.
            TooLarge: they are more than an image may have, or than the disk holds.
        """
        self._size_bytes += len(chunk)
        check_size(self._site, self._size_bytes)
        if len(self._header) < HEADER_BYTES:
            self._header += chunk[: HEADER_BYTES - len(self._header)]
            if len(self._header) == HEADER_BYTES:  # refuse early what is refused anyway
                self._check()
        self._md5.update(chunk)
        self._sha512.update(chunk)
        with _disk_may_be_full():
            self._file.write(chunk)

    def finish(self, expected_bytes: int | None = None) -> None:
        """Make the image of what has come: durable, then named, then active (or staged).

        Raises:
            Conflict: the image was deleted meanwhile.
            Invalid: not *expected_bytes*, or not of the image's format.
        """
        if expected_bytes is not None and expected_bytes != self._size_bytes:
            raise Invalid(
                f"{expected_bytes} bytes were announced and {self._size_bytes} came; "
                "the image stays queued"
            )
        virtual_size_bytes = self._check()
        with _disk_may_be_full():
            self._file.flush()
            os.fsync(self._file.fileno())
        self._file.close()
        image_id = self._record.id
        target = (staged_path if self._stage else image_path)(self._site, image_id)
        self._path.replace(target)
        sync_directory(target.parent)
        after = Status.UPLOADING if self._stage else Status.ACTIVE

        def work(connection: sa.Connection) -> bool:
            moved = image_move(
                connection,
                image_id,
                Status.SAVING,
                after,
                size_bytes=self._size_bytes,
                virtual_size_bytes=virtual_size_bytes,
                md5=self._md5.hexdigest(),
                sha512=self._sha512.hexdigest(),
                updated_at=self._site.clock(),
            )
            if moved:
                image_copy_add(connection, image_id, self._site.controller_id)
            return moved

        if not self._site.database.write(work):
            target.unlink(missing_ok=True)
            raise Conflict(f"image {image_id} was deleted while its data came in")

    def abort(self) -> None:
        """Leave nothing; the image is queued again. After ``finish`` succeeded do not call it."""
        self._file.close()
        self._path.unlink(missing_ok=True)
        self._site.database.write(
            lambda connection: image_move(connection, self._record.id, Status.SAVING, Status.QUEUED)
        )

    def _check(self) -> int:
        assert self._record.disk_format is not None, "begin_upload refuses an image without one"
        return check_header(self._header, self._record.disk_format, self._size_bytes)


def begin_upload(site: Site, caller: Caller, image_id: str, *, stage: bool = False) -> Upload:
    """Get ready for the bytes of a queued image; it is saving from now on.

    Raises:
        Conflict: the image has bytes, or another upload is under way.
        Forbidden: it is another project's.
        Invalid: its formats are not set.
        NotFound: there is none that the caller sees.
    """

    def work(connection: sa.Connection) -> ImageRecord:
        found = own_image(connection, caller, image_id)
        if not found.disk_format or not found.container_format:
            raise Invalid(
                "Properties disk_format, container_format must be set prior to saving data."
            )
        if not image_move(connection, image_id, Status.QUEUED, Status.SAVING):
            raise Conflict(
                f"Image status transition from {found.status} to saving is not allowed: "
                "only a queued image takes data"
            )
        return found

    record = site.database.write(work)
    try:
        return Upload(site, record, stage=stage)
    except BaseException:
        site.database.write(
            lambda connection: image_move(connection, image_id, Status.SAVING, Status.QUEUED)
        )
        raise


def check_size(site: Site, size_bytes: int) -> None:
    """Refuse what is larger than an image may be.

    Raises:
        TooLarge: it is.
    """
    most = site.config.lanekeeper.image_bytes_max
    if size_bytes > most:
        raise TooLarge(
            f"the image is larger than {most} bytes, the most that is taken here",
            hint="[lanekeeper] image_bytes_max of the controller says so",
        )


def import_staged(site: Site, caller: Caller, image_id: str) -> None:
    """Make an image of the bytes that were staged for it.

    What an earlier call began and could not end, since the database was away, goes on from there.

    Raises:
        Conflict: nothing was staged, or the image was deleted meanwhile.
        Forbidden: it is another project's.
        NotFound: there is none that the caller sees.
        Unavailable: it was staged on another controller.
    """
    staged, target = staged_path(site, image_id), image_path(site, image_id)

    def begin(connection: sa.Connection) -> None:
        found = own_image(connection, caller, image_id)
        if found.status not in _STAGED:
            raise Conflict(f"image {image_id} is {found.status}: PUT its data to /stage first")
        if not (staged.is_file() or target.is_file()):
            raise staged_elsewhere(site, image_id)
        image_move(connection, image_id, Status.UPLOADING, Status.IMPORTING)

    def end(connection: sa.Connection) -> bool:
        values = {"updated_at": site.clock()}
        moved = image_move(connection, image_id, Status.IMPORTING, Status.ACTIVE, **values)
        return moved or image_status(connection, image_id) is Status.ACTIVE  # by another call

    site.database.write(begin)
    with suppress(FileNotFoundError):  # it has its name already, from another call
        staged.replace(target)
        sync_directory(target.parent)
    if not site.database.write(end):
        target.unlink(missing_ok=True)
        raise Conflict(f"image {image_id} was deleted while it was imported")


def readable_image(site: Site, caller: Caller, image_id: str) -> ImageRecord | None:
    """An image whose bytes the caller may have; None when it has none yet.

    Raises:
        Forbidden: it is deactivated.
        NotFound: there is none that the caller sees.
    """
    with site.database.read() as connection:
        found = find_image(connection, caller, image_id)
    if found.status is Status.DEACTIVATED and not caller.is_admin:
        raise Forbidden(f"The requested image {image_id} has been deactivated.")
    return found if found.status in {Status.ACTIVE, Status.DEACTIVATED} else None


# After a kill -------------------------------------------------------------------------------------


def recover_uploads(site: Site) -> None:
    """Undo uploads that a kill has cut off; for the start, before anything is answered.

    Only what this controller's own directory tells of is touched: another controller on the same
    database may be in the middle of an upload. Bytes without a row stay: the database may be one
    that lost its history.
    """
    directory = site.state_dir / "images"
    kept = []
    for path in _files(directory / INCOMING):
        _move(site, path.name.partition(".")[0], Status.SAVING, Status.QUEUED)
        path.unlink(missing_ok=True)
    for path in _files(directory):
        image_id = path.name.removesuffix(".staged")
        with site.database.read() as connection:
            status = image_status(connection, image_id) if is_image_id(image_id) else None
        if status in {Status.SAVING, Status.QUEUED}:  # named, but not yet told to the database
            _move(site, image_id, Status.SAVING, Status.QUEUED)
            path.unlink(missing_ok=True)
        elif status is Status.IMPORTING:
            path.replace(staged_path(site, image_id))
            _move(site, image_id, Status.IMPORTING, Status.UPLOADING)
        if status is not None:
            kept.append(image_id)
    note_copies(site, kept)


def _move(site: Site, image_id: str, before: Status, after: Status) -> None:
    site.database.write(lambda connection: image_move(connection, image_id, before, after))


def _files(directory: Path) -> list[Path]:
    if not directory.is_dir():
        return []
    return sorted(path for path in directory.iterdir() if path.is_file())


@contextmanager
def _disk_may_be_full() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise
        raise TooLarge(f"Image storage media is full: {error.strerror}") from error
