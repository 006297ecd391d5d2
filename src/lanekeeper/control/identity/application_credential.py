"""What can be wanted of application credentials; they are their user's own."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from lanekeeper.control.caller import Caller
from lanekeeper.control.identity.password import hash_password
from lanekeeper.control.identity.token import show_token
from lanekeeper.control.identity.unique import write_unique
from lanekeeper.control.identity.user import find_user, own_or_admin
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Forbidden, Invalid, NotFound, TooLarge
from lanekeeper.domain.identity.role import with_implied
from lanekeeper.domain.identity.user import ApplicationCredential
from lanekeeper.store.identity.user import (
    credential_count,
    credential_delete,
    credential_get,
    credential_insert,
    credential_list,
)

CREDENTIALS_PER_USER_MAX = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCredential:
    """Attributes:
    secret: made when None.
    roles: names or ids; all of the token's when empty.
    """

    name: str
    secret: str | None = field(default=None, repr=False)
    description: str = ""
    roles: tuple[str, ...] = ()
    unrestricted: bool = False
    expires_at: datetime | None = None


def create_credential(
    site: Site, caller: Caller, token: str, user_id: str, new: NewCredential
) -> tuple[ApplicationCredential, str]:
    """Make a credential for the token's project; the secret is told this once.

    Raises:
        Conflict: the user has one of that name.
        Forbidden: for somebody else, or from a restricted credential's token.
        Invalid: a role that the token lacks, no project, or an end in the past.
        TooLarge: the user has as many as can be.
    """
    if caller.user_id != user_id:
        raise Forbidden("application credentials are made by their own user only")
    _refuse_restricted(site, token)
    if caller.project_id is None:
        raise Invalid("an application credential needs a token that is scoped to a project")
    if new.expires_at is not None and new.expires_at <= site.clock():
        raise Invalid("expires_at: that moment has passed; give one in the future")
    secret = new.secret if new.secret is not None else secrets.token_urlsafe(64)
    made = ApplicationCredential(
        id=uuid.uuid4().hex,
        name=new.name,
        user_id=user_id,
        project_id=caller.project_id,
        description=new.description,
        roles=_roles(site, token, new.roles),
        unrestricted=new.unrestricted,
        expires_at=new.expires_at,
    )
    secret_hash = hash_password(secret)

    def work(connection: sa.Connection) -> None:
        if credential_count(connection, user_id) >= CREDENTIALS_PER_USER_MAX:
            raise TooLarge(
                f"the user has {CREDENTIALS_PER_USER_MAX} application credentials, the most "
                "there can be; delete one first"
            )
        credential_insert(connection, made, secret_hash)

    write_unique(site, work, f"there is an application credential named {new.name!r} already")
    return made, secret


def list_credentials(
    site: Site, caller: Caller, user_id: str, name: str | None = None
) -> list[ApplicationCredential]:
    """A user's credentials by name.

    Raises:
        Forbidden: somebody else's.
        NotFound: no such user.
    """
    own_or_admin(caller, user_id)
    with site.database.read() as connection:
        find_user(connection, user_id)
        return credential_list(connection, user_id, name)


def show_credential(
    site: Site, caller: Caller, user_id: str, credential_id: str
) -> ApplicationCredential:
    """One credential, without its secret.

    Raises:
        Forbidden: somebody else's.
        NotFound: there is none.
    """
    own_or_admin(caller, user_id)
    with site.database.read() as connection:
        found = credential_get(connection, credential_id)
    if found is None or found.user_id != user_id:
        raise _missing(credential_id)
    return found


def delete_credential(
    site: Site, caller: Caller, token: str, user_id: str, credential_id: str
) -> None:
    """Remove a credential; its tokens are void at once.

    Raises:
        Forbidden: somebody else's, or from a restricted credential's token.
        NotFound: there is none.
    """
    own_or_admin(caller, user_id)
    _refuse_restricted(site, token)
    if not site.database.write(
        lambda connection: credential_delete(connection, user_id, credential_id)
    ):
        raise _missing(credential_id)
    site.token_memory.forget()


def _refuse_restricted(site: Site, token: str) -> None:
    credential_id = show_token(site, token).claims.credential_id
    if not credential_id:
        return
    with site.database.read() as connection:
        used = credential_get(connection, credential_id)
    if used is None or not used.unrestricted:
        raise Forbidden(
            "a restricted application credential makes and deletes none",
            hint="log in with a password",
        )


def _roles(site: Site, token: str, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the wanted roles; of all when none is, those implied by others left out."""
    held = show_token(site, token).roles
    if not wanted:
        names = [role.name for role in held]
        return tuple(
            name
            for name in names
            if not any(name.lower() in with_implied([o]) for o in names if o != name)
        )
    by_word = {role.id: role.name for role in held} | {role.name: role.name for role in held}
    missing = [word for word in wanted if word not in by_word]
    if missing:
        raise Invalid(
            f"roles: {', '.join(missing)} is not among the token's roles: "
            f"{', '.join(role.name for role in held)}"
        )
    return tuple(dict.fromkeys(by_word[word] for word in wanted))


def _missing(credential_id: str) -> NotFound:
    return NotFound(f"Could not find Application Credential: {credential_id}.")
