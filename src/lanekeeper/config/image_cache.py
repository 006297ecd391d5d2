"""How long a host keeps images that it needs no more."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from lanekeeper.config.option import Option, Section

_EACH_MINUTE_S = 60
"""What an interval of 0 means. Source: nova ``conf/imagecache.py``, manager_interval."""


class ImageCacheManager(Section, frozen=True):
    """Images that a host has fetched for its guests, and when they go."""

    manager_interval: Annotated[
        int,
        Meta(ge=-1, le=86_400 * 365),
        Option(
            "image_cache",
            "manager_interval",
            "Seconds between two looks for cached images that nothing needs; 0 is 60 seconds, -1 "
            "never looks.",
            old=(("DEFAULT", "image_cache_manager_interval"),),
            of_agent=True,
        ),
    ] = 2400
    remove_unused_base_images: Annotated[
        bool,
        Option(
            "image_cache",
            "remove_unused_base_images",
            "Remove a cached image that no guest's disk is built on and that no server of the "
            "host is to be made from.",
            old=(("DEFAULT", "remove_unused_base_images"),),
            of_agent=True,
        ),
    ] = True
    remove_unused_original_minimum_age_seconds: Annotated[
        int,
        Meta(ge=0, le=86_400 * 365),
        Option(
            "image_cache",
            "remove_unused_original_minimum_age_seconds",
            "Seconds that such an image is kept after it was last seen in use.",
            old=(("DEFAULT", "remove_unused_original_minimum_age_seconds"),),
            of_agent=True,
        ),
    ] = 86_400

    @property
    def every_s(self) -> float | None:
        """Seconds between two looks; None when there is to be none."""
        if self.manager_interval < 0 or not self.remove_unused_base_images:
            return None
        return self.manager_interval or _EACH_MINUTE_S
