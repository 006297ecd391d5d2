"""Passwords and secrets, kept as scrypt hashes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import threading

_COST = 2**15  # with 8 blocks: 32 MiB and about 70 ms; each login pays it once
_BLOCKS = 8
_MEMORY_BYTES_MAX = 64 * 2**20
_LENGTH = 32

# A flood of logins waits here instead of taking all memory and every core.
_AT_ONCE = threading.BoundedSemaphore(4)


def hash_password(password: str) -> str:
    """Return ``scrypt$COST$BLOCKS$SALT$HASH``."""
    salt = secrets.token_bytes(16)
    digest = _scrypt(password, salt, _COST, _BLOCKS)
    return f"scrypt${_COST}${_BLOCKS}${_text(salt)}${_text(digest)}"


def check_password(password: str, kept: str) -> bool:
    """Whether *password* is the one that was hashed.

    An empty *kept* (nobody has that name, or no password) costs the same time and is False, so
    that the answer's time does not tell which names exist.
    """
    _, cost, blocks, salt, digest = (kept or _NOBODY).split("$")
    wanted = base64.b64decode(digest)
    found = _scrypt(password, base64.b64decode(salt), int(cost), int(blocks))
    return hmac.compare_digest(found, wanted) and bool(kept)


def _scrypt(password: str, salt: bytes, cost: int, blocks: int) -> bytes:
    with _AT_ONCE:
        return hashlib.scrypt(
            password.encode(),
            salt=salt,
            n=cost,
            r=blocks,
            p=1,
            maxmem=_MEMORY_BYTES_MAX,
            dklen=_LENGTH,
        )


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


_NOBODY = f"scrypt${_COST}${_BLOCKS}${_text(bytes(16))}${_text(bytes(_LENGTH))}"
