"""The first start: keys, roles, the first projects and an admin whose password is in a file.

A kill at any instruction loses nothing: the password is on disk, in a file of its own, before the
database knows it, and that file goes only after ``clouds.yaml`` has been written.
"""

from __future__ import annotations

import secrets
import shlex
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import yaml

from lanekeeper.control.identity.password import check_password, hash_password
from lanekeeper.control.identity.private_file import sync_directory, write_private
from lanekeeper.control.identity.token_memory import new_key
from lanekeeper.control.site import Site
from lanekeeper.domain.identity.project import DOMAIN_NAME, Project
from lanekeeper.domain.identity.role import (
    ADMIN,
    STANDARD,
    SYSTEM,
    Assignment,
    Role,
    Scope,
    ScopeKind,
)
from lanekeeper.domain.identity.user import User
from lanekeeper.store.identity.project import project_insert
from lanekeeper.store.identity.role import assignment_add, role_insert
from lanekeeper.store.identity.token import token_key_add, token_key_list
from lanekeeper.store.identity.user import user_insert, user_named, user_password_hash

CLOUD = "lanekeeper"
_PENDING = "admin-password.pending"
_FIRST_KEY = 1


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """The admin that was made; the password is kept nowhere else in clear."""

    user_name: str
    project_name: str
    password: str = field(repr=False)


def bootstrap(site: Site) -> Bootstrap | None:
    """Fill an empty database; None when it was filled before, by this controller or another.

    After a kill before ``write_credentials`` the next call returns the same again.
    """
    pending = site.state_dir / _PENDING
    if not pending.exists() and _is_filled(site):
        return None
    password = _pending_password(pending)
    password_hash = hash_password(password)
    try:
        filled = site.database.write(lambda connection: _fill(connection, site, password_hash))
    except sa.exc.IntegrityError:
        filled = False  # another controller was first
    if filled or _is_admins(site, password):
        return Bootstrap(ADMIN, ADMIN, password)
    pending.unlink()
    return None


def _is_filled(site: Site) -> bool:
    with site.database.read() as connection:
        return bool(token_key_list(connection))


def _pending_password(pending: Path) -> str:
    if not pending.exists():
        write_private(pending, secrets.token_urlsafe(24).encode())
    return pending.read_text("utf-8")


def _is_admins(site: Site, password: str) -> bool:
    with site.database.read() as connection:
        admin = user_named(connection, ADMIN)
        kept = user_password_hash(connection, admin.id) if admin else ""
    return check_password(password, kept)


def _fill(connection: sa.Connection, site: Site, password_hash: str) -> bool:
    if token_key_list(connection):
        return False
    # First, because its primary key makes controllers that start at once wait for each other.
    token_key_add(connection, _FIRST_KEY, new_key(), site.clock())
    roles = {name: Role(id=uuid.uuid4().hex, name=name) for name in STANDARD}
    for role in roles.values():
        role_insert(connection, role)
    admins = Project(id=uuid.uuid4().hex, name=ADMIN, description="Operators of the installation.")
    services = Project(id=uuid.uuid4().hex, name="service", description="Services' own things.")
    project_insert(connection, admins)
    project_insert(connection, services)
    user = User(id=uuid.uuid4().hex, name=ADMIN, default_project_id=admins.id)
    user_insert(connection, user, password_hash)
    for scope in (Scope(ScopeKind.PROJECT, admins.id), SYSTEM):
        assignment_add(
            connection, Assignment(user_id=user.id, role_id=roles[ADMIN].id, scope=scope)
        )
    return True


# What clients are given ---------------------------------------------------------------------------


def write_credentials(
    site: Site, made: Bootstrap | None, url: str, cacert: Path | None = None
) -> bool:
    """Leave ``clouds.yaml`` and ``openrc`` in the state directory, readable by their owner only.

    Without *made* those that are there are only told the present *url* (as ``http://host:port``)
    and *cacert*. Returns whether there are such files now.
    """
    path = site.state_dir / "clouds.yaml"
    auth = _auth(made) if made else _read_auth(path)
    if auth is None:
        return False
    region = site.config.lanekeeper.region
    auth["auth_url"] = f"{url.rstrip('/')}/identity/v3"
    cloud: dict[str, Any] = {
        "auth": auth,
        "region_name": region,
        "identity_api_version": 3,
        "interface": "public",
    }
    if cacert is not None:
        cloud["cacert"] = str(cacert.absolute())
    _write_cloud(site.state_dir, cloud)
    pending = site.state_dir / _PENDING
    if made is not None and pending.exists():
        pending.unlink()
        sync_directory(site.state_dir)
    return True


def replace_password(state_dir: Path, user_name: str, password: str) -> bool:
    """Put *password* into ``clouds.yaml`` and ``openrc``, if they are *user_name*'s."""
    path = state_dir / "clouds.yaml"
    auth = _read_auth(path)
    if auth is None or auth["username"] != user_name:
        return False
    cloud = yaml.safe_load(path.read_text("utf-8"))["clouds"][CLOUD]
    _write_cloud(state_dir, {**cloud, "auth": {**auth, "password": password}})
    return True


def _write_cloud(state_dir: Path, cloud: dict[str, Any]) -> None:
    text = yaml.safe_dump({"clouds": {CLOUD: cloud}}, sort_keys=False)
    write_private(state_dir / "clouds.yaml", text.encode())
    cacert = Path(cloud["cacert"]) if "cacert" in cloud else None
    openrc = _openrc(cloud["auth"], cloud["region_name"], cacert)
    write_private(state_dir / "openrc", openrc.encode())


def _auth(made: Bootstrap) -> dict[str, str]:
    return {
        "auth_url": "",
        "username": made.user_name,
        "password": made.password,
        "project_name": made.project_name,
        "user_domain_name": DOMAIN_NAME,
        "project_domain_name": DOMAIN_NAME,
    }


def _read_auth(path: Path) -> dict[str, str] | None:
    """What was written before; None when it is not there or somebody made it something else."""
    try:
        kept = yaml.safe_load(path.read_text("utf-8"))["clouds"][CLOUD]["auth"]
    except (OSError, UnicodeError, yaml.YAMLError, KeyError, TypeError):
        return None
    known = _auth(Bootstrap("", "", ""))
    if not isinstance(kept, dict) or kept.keys() != known.keys():
        return None
    return {str(name): str(value) for name, value in kept.items()}


def _openrc(auth: dict[str, str], region: str, cacert: Path | None) -> str:
    variables = {f"OS_{name.upper()}": value for name, value in auth.items()} | {
        "OS_REGION_NAME": region,
        "OS_IDENTITY_API_VERSION": "3",
        "OS_INTERFACE": "public",
    }
    if cacert is not None:
        variables["OS_CACERT"] = str(cacert.absolute())
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    return "\n".join(["unset OS_CLOUD OS_TOKEN OS_AUTH_TYPE", *lines, ""])
