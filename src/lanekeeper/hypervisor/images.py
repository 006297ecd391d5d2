"""Images on this host: fetched once, known by what their bytes hash to, removed when not needed."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from threading import Lock

from lanekeeper.domain.errors import HostFault, Invalid
from lanekeeper.hypervisor.durable_file import settle
from lanekeeper.protocol import ImageWanted

_SHA512 = re.compile(r"[0-9a-f]{128}")
_OWN_FILE = re.compile(rf"{_SHA512.pattern}|\.{_SHA512.pattern}\.new")

Fetch = Callable[[str], AbstractContextManager[Iterator[bytes]]]
"""``with fetch(image_id) as chunks``: the image's bytes as they come. Raises Unavailable."""


Used = Callable[[], frozenset[str] | None]
"""Names, by SHA-512, the images that are needed now; None when that cannot be told."""


class _Turn:
    """Who works on one image, and how many wait for it."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.holders = 0


class ImageCache:
    """Images below *root*, each in a file that is named by its SHA-512.

    A file's modification time says when the image was last seen in use.
    """

    def __init__(self, root: Path, fetch: Fetch, now: Callable[[], float] = time.time) -> None:
        """*now* is the time of day in seconds, as files have it."""
        self._root = root
        self._fetch = fetch
        self._now = now
        self._lock = Lock()
        self._turns: dict[str, _Turn] = {}
        self._asked_for: set[str] | None = None

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
            self._seen_in_use(path)
            with self._lock:
                if self._asked_for is not None:
                    self._asked_for.add(image.sha512)
        return path

    def sweep(self, used: Used, unused_for_s: float) -> list[tuple[str, int]]:
        """Remove what has been unused for *unused_for_s* seconds, the longest unused first.

        What is asked for while *used* finds out stays. One sweep at a time.

        Returns:
            The SHA-512 and the size in bytes of each image that was removed.
        """
        with self._lock:
            self._asked_for = set()
        try:
            needed = used()
            if needed is None or not self._root.is_dir():
                return []
            swept = (self._sweep_one(path, needed, unused_for_s) for path in self._by_age())
            return [one for one in swept if one is not None]
        finally:
            with self._lock:
                self._asked_for = None

    def _sweep_one(
        self, path: Path, needed: frozenset[str], unused_for_s: float
    ) -> tuple[str, int] | None:
        sha512 = path.name.removeprefix(".").removesuffix(".new")
        with self._alone(sha512):
            if sha512 != path.name:  # nobody fetches it now: a process was killed as it did
                path.unlink(missing_ok=True)
                return None
            with self._lock:
                is_needed = sha512 in needed or sha512 in (self._asked_for or ())
            if is_needed:
                self._seen_in_use(path)
                return None
            found = path.stat()
            if self._now() - found.st_mtime < unused_for_s:
                return None
            path.unlink()
            return sha512, found.st_size

    def _by_age(self) -> list[Path]:
        """Name the files that are the cache's own, those first that were longest not in use."""
        mine = [path for path in self._root.iterdir() if _OWN_FILE.fullmatch(path.name)]
        times = {path: _mtime(path) for path in mine}
        return sorted(mine, key=lambda path: (times[path], path.name))

    def _seen_in_use(self, path: Path) -> None:
        now = self._now()
        os.utime(path, (now, now))

    @contextmanager
    def _alone(self, sha512: str) -> Iterator[None]:
        """One at a time works on an image; those of different images do not wait."""
        with self._lock:
            turn = self._turns.setdefault(sha512, _Turn())
            turn.holders += 1
        try:
            with turn.lock:
                yield
        finally:
            with self._lock:
                turn.holders -= 1
                if not turn.holders:
                    del self._turns[sha512]

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


def _mtime(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # a fetch that was under way has ended
        return 0.0
