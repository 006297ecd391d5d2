"""Key pairs: public keys kept, private ones handed out once and forgotten."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence

import sqlalchemy as sa
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from lanekeeper.control.caller import Caller
from lanekeeper.control.site import Site
from lanekeeper.domain.compute.keypair import KeyPair
from lanekeeper.domain.errors import Conflict, Forbidden, Invalid, NotFound
from lanekeeper.store.compute import keypair as rows

_NAME = re.compile(r"[a-zA-Z0-9 _-]{1,255}", re.ASCII)
_NAME_292 = re.compile(r"[a-zA-Z0-9 @._-]{1,255}", re.ASCII)
_PUBLIC_KEY_MAX = 16384
_TRIES = 5


def check_name(name: str, *, wide: bool) -> str:
    """Check a key pair's name; *wide* also takes ``@`` and ``.``, as from 2.92 on.

    Raises:
        Invalid: too long, empty, or with other characters.

    Source: nova ``api/validation/parameter_types.py``, keypair_name_special_chars.
    """
    if not (_NAME_292 if wide else _NAME).fullmatch(name) or name != name.strip():
        more = " @ ." if wide else ""
        raise Invalid(f"keypair name must have 1 to 255 letters, digits, blanks or - _{more}")
    return name


def owner_of(caller: Caller, user_id: str | None) -> str:
    """Whose keys are meant: the caller's own, or for an admin those of *user_id*.

    Raises:
        Forbidden: another user's, and the caller is no admin.
    """
    if user_id in (None, "", caller.user_id):
        return caller.user_id
    if not caller.is_admin:
        raise Forbidden("Policy does not allow the key pairs of another user to be touched")
    return str(user_id)


def list_keypairs(site: Site, user_id: str) -> Sequence[KeyPair]:
    with site.database.read() as connection:
        return rows.keypair_list(connection, user_id)


def show_keypair(site: Site, user_id: str, name: str) -> KeyPair:
    """One key pair.

    Raises:
        NotFound: the user has none of this name.
    """
    with site.database.read() as connection:
        found = rows.keypair_get(connection, user_id, name)
    if found is None:
        raise _missing(user_id, name)
    return found


def import_keypair(site: Site, user_id: str, name: str, public_key: str) -> KeyPair:
    """Keep a public key.

    Raises:
        Invalid: it is not one in OpenSSH's format.
        Conflict: the user has a key pair of this name.
    """
    text = public_key.strip()
    fingerprint = fingerprint_of(text)
    for _ in range(_TRIES):
        try:
            return site.database.write(
                lambda connection: _insert(connection, site, user_id, name, text, fingerprint)
            )
        except sa.exc.IntegrityError:  # a rival took the number, or the name
            continue
    raise Conflict(f"Key pair '{name}' could not be kept; try again")


def generate_keypair(site: Site, user_id: str, name: str) -> tuple[KeyPair, str]:
    """Make a key pair; the private key, in OpenSSH's format, is returned and not kept.

    Raises:
        Conflict: the user has a key pair of this name.
    """
    private = ed25519.Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    kept = import_keypair(site, user_id, name, f"{public.decode()} Generated-by-Lanekeeper")
    text = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    return kept, text.decode()


def delete_keypair(site: Site, user_id: str, name: str) -> None:
    """Forget a key pair; guests that trust it go on to do so.

    Raises:
        NotFound: the user has none of this name.
    """

    def work(connection: sa.Connection) -> None:
        if not rows.keypair_delete(connection, user_id, name):
            raise _missing(user_id, name)

    site.database.write(work)


def fingerprint_of(public_key: str) -> str:
    """MD5 of the key's bytes, in pairs of digits, as Nova shows it and old ssh-keygen did.

    Raises:
        Invalid: not a public key in OpenSSH's format.
    """
    try:
        serialization.load_ssh_public_key(public_key[:_PUBLIC_KEY_MAX].encode("ascii"))
        blob = base64.b64decode(public_key.split()[1], validate=True)
    except (ValueError, UnsupportedAlgorithm, IndexError, binascii.Error) as error:
        raise Invalid(
            "Keypair data is invalid: public_key is not a public key in OpenSSH's format",
            hint="an example begins with: ssh-ed25519 AAAA",
        ) from error
    digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    return ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))


def _insert(  # noqa: PLR0917 the same six values as its one caller has
    connection: sa.Connection,
    site: Site,
    user_id: str,
    name: str,
    public_key: str,
    fingerprint: str,
) -> KeyPair:
    if rows.keypair_get(connection, user_id, name) is not None:
        raise Conflict(f"Key pair '{name}' already exists.")
    return rows.keypair_insert(
        connection,
        user_id=user_id,
        name=name,
        kind="ssh",
        public_key=public_key,
        fingerprint=fingerprint,
        now=site.clock(),
    )


def _missing(user_id: str, name: str) -> NotFound:
    return NotFound(f"Keypair {name[:80]} not found for user {user_id}")
