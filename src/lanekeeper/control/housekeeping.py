"""What a controller does once at its start, and what it does every now and then."""

from __future__ import annotations

from datetime import timedelta

from lanekeeper.control.identity.token import rotate_token_keys
from lanekeeper.control.image.data import recover_uploads
from lanekeeper.control.image.image import finish_deletions
from lanekeeper.control.site import Site
from lanekeeper.store.change_log import change_log_trim
from lanekeeper.store.compute.server import event_beyond, events_forget
from lanekeeper.store.device.history import history_beyond, history_forget
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
    _forget_events(site)
    _forget_history(site)
    finish_deletions(site)


def _forget_events(site: Site) -> None:
    """Let what was asked of servers that are gone follow them in time, a little at once."""
    kept = site.config.lanekeeper
    until = site.clock() - timedelta(days=kept.events_kept_days)
    with site.database.read() as connection:
        beyond = event_beyond(connection, kept.events_kept_max)
    if beyond is not None:
        until = max(until, beyond)
    while site.database.write(lambda connection: events_forget(connection, until)):
        pass


def _forget_history(site: Site) -> None:
    """Let what became of devices long ago go, a little at once."""
    kept = site.config.lanekeeper
    until = site.clock() - timedelta(days=kept.device_history_kept_days)
    with site.database.read() as connection:
        beyond = history_beyond(connection, kept.device_history_kept_max)
    if beyond is not None:
        until = max(until, beyond)
    while site.database.write(lambda connection: history_forget(connection, until)):
        pass


def trim(site: Site) -> None:
    """Forget what every reader of the change log has read long ago, a little in each transaction.

    Raises:
        Unavailable: the database cannot be reached.
    """
    while site.database.write(change_log_trim):
        pass
