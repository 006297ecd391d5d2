"""Images on this host: fetched once, known by what their bytes hash to."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from threading import Lock

from lanekeeper.domain.errors import HostFault, Invalid
from lanekeeper.hypervisor.durable_file import settle
from lanekeeper.protocol import ImageWanted

_SHA512 = re.compile(r"[0-9a-f]{128}")

Fetch = Callable[[str], AbstractContextManager[Iterator[bytes]]]
"""``with fetch(image_id) as chunks``: the image's bytes as they come. Raises Unavailable."""


class ImageCache:
    """Images below *root*, each in a file that is named by its SHA-512."""

    def __init__(self, root: Path, fetch: Fetch) -> None:
        self._root = root
        self._fetch = fetch
        self._lock = Lock()
        self._fetching: dict[str, Lock] = {}

    def path(self, image: ImageWanted) -> Path:
        """Return where the verified image lies, and fetch it first if it is not there yet.

        Raises:
            Invalid: the checksum that is wanted is none.
            HostFault: what came is not what was promised; nothing was kept.
            Unavailable: the controller did not give it.
        """
        if not _SHA512.fullmatch(image.sha512):
            raise Invalid(f"image {image.id}: {image.sha512!r} is not a SHA-512 in lower case")
        path = self._root / image.sha512
        with self._alone(image.sha512):
            if not path.exists():
                self._download(image, path)
        return path

    def _alone(self, sha512: str) -> Lock:
        """One fetch of an image at a time; fetches of different images do not wait."""
        with self._lock:
            return self._fetching.setdefault(sha512, Lock())

    def _download(self, image: ImageWanted, path: Path) -> None:
        self._root.mkdir(mode=0o711, parents=True, exist_ok=True)
        fresh = path.with_name(f".{image.sha512}.new")
        try:
            with self._fetch(image.id) as chunks:
                found = _store(fresh, chunks, image)
            if found != image.sha512:
                raise HostFault(
                    f"image {image.id} hashes to {found[:16]}…, not to {image.sha512[:16]}…",
                    hint="the image was damaged or exchanged; upload it again",
                )
            settle(fresh, path)
        finally:
            fresh.unlink(missing_ok=True)


def _store(path: Path, chunks: Iterator[bytes], image: ImageWanted) -> str:
    """Write *chunks* to disk, never more than was promised; return their SHA-512."""
    digest, size = hashlib.sha512(), 0
    with path.open("wb") as file:
        for chunk in chunks:
            size += len(chunk)
            if size > image.size_bytes:
                raise HostFault(f"image {image.id} is longer than its {image.size_bytes} bytes")
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fchmod(file.fileno(), 0o644)
        os.fsync(file.fileno())
    if size != image.size_bytes:
        raise HostFault(f"image {image.id} ended after {size} of {image.size_bytes} bytes")
    return digest.hexdigest()
