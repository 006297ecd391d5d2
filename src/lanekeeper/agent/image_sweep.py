"""Taking cached images away that nothing on this host needs any more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Lock

import structlog

from lanekeeper.clock import Stopwatch
from lanekeeper.config.image_cache import ImageCacheManager
from lanekeeper.domain.errors import Error
from lanekeeper.hypervisor.driver import Hypervisor
from lanekeeper.hypervisor.guest_files import GuestDirectories
from lanekeeper.hypervisor.images import ImageCache
from lanekeeper.protocol import Desired

log = structlog.get_logger()


class ImageSweep:
    """Looks now and then for images that neither a disk nor the desired state needs."""

    def __init__(
        self,
        images: ImageCache,
        directories: GuestDirectories,
        hypervisor: Hypervisor,
        stopwatch: Stopwatch,
    ) -> None:
        self._images = images
        self._directories = directories
        self._hypervisor = hypervisor
        self._stopwatch = stopwatch
        self._next_s = 0.0
        self._under_way = Lock()

    def is_due(self, rules: ImageCacheManager) -> bool:
        """Whether to look now; it is not due again before the interval of *rules* has passed."""
        now_s = self._stopwatch()
        if rules.every_s is None or now_s < self._next_s:
            return False
        self._next_s = now_s + rules.every_s
        return True

    def run(self, rules: ImageCacheManager, current: Callable[[], Desired | None]) -> None:
        """Look once. Where it cannot be told what a disk needs, nothing is removed.

        *current* gives what is wanted at that moment; None, while that is not known, keeps all.
        """
        if not self._under_way.acquire(blocking=False):
            return
        try:
            removed = self._images.sweep(
                lambda: self._used(current()), rules.remove_unused_original_minimum_age_seconds
            )
        except (Error, OSError) as error:
            log.warning("images sweep", outcome="failed", error=str(error))
        except Exception:  # a bug here must not go unseen: nobody asks a worker how it went
            log.exception("images sweep", outcome="failed")
        else:
            for name, size_bytes in removed:
                log.info("image remove", image_sha512=name, bytes=size_bytes, outcome="done")
        finally:
            self._under_way.release()

    def _used(self, desired: Desired | None) -> frozenset[str] | None:
        """Name the images that are in use or soon will be; None when that is not known."""
        if desired is None:
            return None
        return frozenset((*_named(desired), *self._below_disks()))

    def _below_disks(self) -> Iterator[str]:
        for server_id in self._directories.ids():
            disk = self._directories.of(server_id).disk
            try:
                yield from (path.name for path in self._hypervisor.backing_files(disk))
            except Error:
                if disk.exists():  # otherwise it went meanwhile, or is not there yet
                    raise


def _named(desired: Desired) -> Iterator[str]:
    for server in desired.servers:
        for image in (server.image, server.kernel, server.ramdisk):
            if image is not None:
                yield image.sha512
