"""What a database that was set back to an older state must not go on believing."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from lanekeeper.control.identity.token_memory import new_key
from lanekeeper.store.change_log import change_log_forget
from lanekeeper.store.host.host import hosts_freeze
from lanekeeper.store.identity.token import token_key_add, token_key_delete, token_key_list


def distrust_history(connection: sa.Connection, reason: str, now: datetime) -> int:
    """Freeze every host, and make every token void; returns how many hosts there are.

    The change log counts transactions that this database may not count on from.

    Hosts: what runs there is younger than the rows, so none may be given work, or be worked on,
    before it was read back. Tokens: those revoked since are not known as revoked here.
    """
    change_log_forget(connection)
    keys = token_key_list(connection)
    if keys:  # none is a database that no controller has filled yet
        token_key_add(connection, max(key[0] for key in keys) + 1, new_key(), now)
        token_key_delete(connection, [key[0] for key in keys])
    return hosts_freeze(connection, reason)
