"""What a controller does once at its start, and what it does every now and then."""

from __future__ import annotations

from datetime import timedelta

from lanekeeper.control.identity.token import rotate_token_keys
from lanekeeper.control.image.data import recover_uploads
from lanekeeper.control.image.image import finish_deletions
from lanekeeper.control.site import Site
from lanekeeper.store.aging import Aging
from lanekeeper.store.change_log import change_log_trim
from lanekeeper.store.compute.server import EVENTS_OF_GONE
from lanekeeper.store.compute.usage import USAGE
from lanekeeper.store.device.history import HISTORY
from lanekeeper.store.identity.token import revocation_forget, token_key_list

TIDY_EVERY_S = 600.0
TRIM_EVERY_S = 20.0
_KEY_AGE_MAX = timedelta(days=1)


def recover(site: Site) -> None:
    """Finish or undo what a kill has cut off; for the start, before anything is answered."""
    recover_uploads(site)
    finish_deletions(site)


def tidy(site: Site) -> None:
    """Give tokens a fresh key each day, forget what time has made needless, and remove the bytes
    of images that other controllers have deleted.

    Raises:
        Unavailable: the database cannot be reached.
    """
    now = site.clock()
    with site.database.read() as connection:
        keys = token_key_list(connection)
    if keys and keys[0][2] + _KEY_AGE_MAX <= now:
        rotate_token_keys(site)
    site.database.write(lambda connection: revocation_forget(connection, now))
    kept = site.config.lanekeeper
    _forget(site, EVENTS_OF_GONE, kept.events_kept_days, kept.events_kept_max)
    _forget(site, HISTORY, kept.device_history_kept_days, kept.device_history_kept_max)
    _forget(site, USAGE, kept.usage_kept_days, kept.usage_kept_max)
    finish_deletions(site)


def _forget(site: Site, records: Aging, days: float, most: int) -> None:
    """Let go what is older than so many *days*, or beyond the *most* youngest, a little at once."""
    until = site.clock() - timedelta(days=days)
    with site.database.read() as connection:
        beyond = records.beyond(connection, most)
    if beyond is not None:
        until = max(until, beyond)
    while site.database.write(lambda connection: records.forget(connection, until)):
        pass


def trim(site: Site) -> None:
    """Forget what every reader of the change log has read long ago, a little in each transaction.

    Raises:
        Unavailable: the database cannot be reached.
    """
    while site.database.write(change_log_trim):
        pass
