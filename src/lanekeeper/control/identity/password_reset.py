"""A new password for somebody who has lost the old one, by whoever has the controller's machine."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from lanekeeper.control.identity.bootstrap import replace_password
from lanekeeper.control.identity.password import hash_password
from lanekeeper.control.identity.private_file import write_private
from lanekeeper.domain.errors import NotFound
from lanekeeper.store.database import Database
from lanekeeper.store.identity.user import user_named, user_update

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Reset:
    """Where the new password is.

    Attributes:
        enabled: whether the user may log in with it.
        in_cloud: whether ``clouds.yaml`` and ``openrc`` have it, too.
    """

    file: Path
    enabled: bool
    in_cloud: bool


def reset_password(database: Database, state_dir: Path, user_name: str, now: datetime) -> Reset:
    """Give a user a new password; it is in a file of mode 0600 before the old one is worth nothing.

    All tokens of the user are void. Application credentials stay: they have secrets of their own.

    Raises:
        NotFound: there is no such user.
    """
    with database.read() as connection:
        user = user_named(connection, user_name)
    if user is None:
        raise NotFound(
            f"there is no user {user_name[:80]}", hint="name one: openstack user list shows them"
        )
    password = secrets.token_urlsafe(24)
    name = user_name if _PLAIN.fullmatch(user_name) else user.id
    file = state_dir / f"{name}.password"
    write_private(file, f"{password}\n".encode())
    changes = {"password_hash": hash_password(password), "password_changed_at": now}

    def work(connection: sa.Connection) -> None:
        user_update(connection, user.id, changes)

    database.write(work)
    in_cloud = replace_password(state_dir, user_name, password)
    return Reset(file, user.enabled, in_cloud)
