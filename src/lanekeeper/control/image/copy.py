"""The bytes of an image on every controller: who lacks them gets them from one that has them.

The database knows which controllers have a copy, and where each answers. A copy is taken whole,
checked against the image's SHA-512, and only then named: so what a controller has is right.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import secrets
import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

import httpx
import sqlalchemy as sa

from lanekeeper.control.identity.authority import open_authority
from lanekeeper.control.identity.errand import seal_errand
from lanekeeper.control.identity.private_file import sync_directory
from lanekeeper.control.image.image import image_path
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import NotFound, Unavailable
from lanekeeper.domain.image.record import ImageRecord, Status, is_image_id
from lanekeeper.store.image.copy import (
    Holder,
    controller_forget_others,
    controller_put,
    image_copy_add,
    image_holders,
)
from lanekeeper.store.image.image import image_get

PREFIX = "/lanekeeper/controller/v1"
INCOMING = "incoming"
_HAS_BYTES = {Status.ACTIVE, Status.DEACTIVATED}
_PIECE_BYTES = 2**20
_TIMEOUT = httpx.Timeout(20.0, connect=5.0)  # seconds without a byte
_SAID_MAX = 300  # characters of a refusal that are repeated


def introduce(site: Site, url: str) -> None:
    """Tell the other controllers on this database where this one answers; for the start.

    SQLite has one controller only: whoever was noted before was this one with another state
    directory.
    """
    now = site.clock()
    machine = socket.gethostname()
    alone = site.database.engine.dialect.name == "sqlite"

    def work(connection: sa.Connection) -> None:
        if alone:
            controller_forget_others(connection, site.controller_id)
        controller_put(connection, site.controller_id, machine, url, now)

    site.database.write(work)


def image_bytes(site: Site, record: ImageRecord) -> Future[Path]:
    """Where the bytes of an image that has some lie, as soon as they are here.

    The future raises:
        Unavailable: no controller that has them could be asked; it is said which.
    """
    path = image_path(site, record.id)
    if path.is_file():
        here: Future[Path] = Future()
        here.set_result(path)
        return here
    return site.fetches.start(record.id, lambda: _fetch(site, record))


def copy_path(site: Site, image_id: str) -> Path:
    """Where the bytes lie that another controller asks for.

    Raises:
        NotFound: they are not here, or the image has none any more.
    """
    with site.database.read() as connection:
        record = image_get(connection, image_id) if is_image_id(image_id) else None
    if record is None or record.status not in _HAS_BYTES:
        raise NotFound(f"image {image_id[:64]!r} has no bytes")
    path = image_path(site, image_id)
    if not path.is_file():
        raise NotFound(f"the bytes of image {image_id} are gone from {path.parent}")
    return path


def staged_elsewhere(site: Site, image_id: str) -> Unavailable:
    """The refusal for an image whose staged bytes are on another controller."""
    with site.database.read() as connection:
        holders = image_holders(connection, image_id)
    others = [holder for holder in holders if holder.id != site.controller_id]
    where = _named(others[0]) if others else "another controller"
    return Unavailable(
        f"the data that was staged for image {image_id} is on {where}, not on this one",
        hint="ask that one for the import, or PUT the data to /file instead of /stage",
    )


def note_copies(site: Site, image_ids: list[str]) -> None:
    """Tell the database of bytes that are here; for the start, after an upgrade or a restore."""

    def work(connection: sa.Connection) -> None:
        for image_id in sorted(image_ids):
            record = image_get(connection, image_id, lock=True)
            if record is None or record.status not in _HAS_BYTES | {Status.UPLOADING}:
                continue
            path = image_path(site, image_id)
            if path.is_file() and path.stat().st_size != record.size_bytes:
                continue  # not what the image is; nobody is told that it is here
            image_copy_add(connection, image_id, site.controller_id)

    if image_ids:
        site.database.write(work)


def create_incoming(site: Site, image_id: str) -> tuple[Path, BinaryIO]:
    """A fresh private file for bytes that come in; nothing reads it under that name."""
    directory = image_path(site, image_id).parent
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = directory / INCOMING / f"{image_id}.{secrets.token_hex(8)}"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    return path, os.fdopen(handle, "wb")


# From another controller --------------------------------------------------------------------------


def _fetch(site: Site, record: ImageRecord) -> Path:
    with site.database.read() as connection:
        holders = image_holders(connection, record.id)
    others = [holder for holder in holders if holder.id != site.controller_id]
    if not others:
        raise Unavailable(
            f"the data of image {record.id} is on no controller that is known",
            hint=f"put it back as images/{record.id} in a controller's state directory and start "
            "that controller again; or delete the image and upload it again",
        )
    reasons = []
    for holder in others:
        try:
            return _fetch_from(site, record, holder)
        except Unavailable as error:
            reasons.append(f"{_named(holder)} has it, but {error}")
    raise Unavailable(
        f"the data of image {record.id} is not on this controller: {'; '.join(reasons)}",
        hint=f"mend or start that controller, or copy images/{record.id} from its state directory "
        "into that of this one",
    )


def _fetch_from(site: Site, record: ImageRecord, holder: Holder) -> Path:
    """Take a copy; raises Unavailable, and leaves nothing then."""
    if not holder.url:
        raise Unavailable("it has not said yet where it answers other controllers")
    if _is_loopback(holder.url) and holder.machine != socket.gethostname():
        raise Unavailable(
            f"it listens on loopback only ({holder.url}): start it with --listen https://ADDRESS:PORT"
        )
    fresh, file = create_incoming(site, record.id)
    try:
        with file, _opened(site, record, holder) as pieces:
            _store(site, record, pieces, file)
        target = image_path(site, record.id)
        fresh.replace(target)
        sync_directory(target.parent)
        if not _note(site, record.id):
            target.unlink(missing_ok=True)
            raise Unavailable("the image was deleted meanwhile")
    except OSError as error:
        raise Unavailable(f"it cannot be kept here: {error.strerror}") from error
    finally:
        fresh.unlink(missing_ok=True)
    return target


@contextmanager
def _opened(site: Site, record: ImageRecord, holder: Holder) -> Iterator[Iterator[bytes]]:
    verify: ssl.SSLContext | bool = False  # plain HTTP: on this very machine
    if holder.url.startswith("https:"):
        verify = ssl.create_default_context(cadata=open_authority(site).certificate_pem)
    headers = {"Authorization": f"Bearer {seal_errand(site, holder.id)}"}
    try:
        with (
            httpx.Client(verify=verify, timeout=_TIMEOUT, trust_env=False) as http,
            http.stream(
                "GET", f"{holder.url}{PREFIX}/images/{record.id}", headers=headers
            ) as answer,
        ):
            if answer.status_code != httpx.codes.OK:
                answer.read()
                raise Unavailable(f"answers {answer.status_code}: {_said(answer)}")
            yield answer.iter_bytes(_PIECE_BYTES)
    except httpx.HTTPError as error:
        raise Unavailable(f"does not answer: {error or type(error).__name__}") from error


def _store(site: Site, record: ImageRecord, pieces: Iterator[bytes], file: BinaryIO) -> None:
    """Write what comes, as long as it can be the image; raises Unavailable when it is not."""
    most = record.size_bytes or 0
    size_bytes = 0
    digest = hashlib.sha512()
    for piece in pieces:
        size_bytes += len(piece)
        if site.fetches.closed:
            raise Unavailable("this controller is being stopped")
        if size_bytes > most:
            raise Unavailable(f"sends more than the image's {most} bytes")
        digest.update(piece)
        file.write(piece)
    if size_bytes != most or digest.hexdigest() != record.sha512:
        raise Unavailable(
            f"sent {size_bytes} of {most} bytes, and not those whose SHA-512 the image has"
        )
    file.flush()
    os.fsync(file.fileno())


def _note(site: Site, image_id: str) -> bool:
    """Tell the database that the bytes are here; False when the image is gone."""

    def work(connection: sa.Connection) -> bool:
        record = image_get(connection, image_id, lock=True)
        if record is None:
            return False
        image_copy_add(connection, image_id, site.controller_id)
        return True

    return site.database.write(work)


def _said(answer: httpx.Response) -> str:
    try:
        text = str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        text = answer.text
    return " ".join(text[:_SAID_MAX].split())


def _named(holder: Holder) -> str:
    if not holder.machine:
        return f"controller {holder.id}"
    return f"the controller on {holder.machine} ({holder.url})"


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
