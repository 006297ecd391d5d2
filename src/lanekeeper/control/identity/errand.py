"""What one controller lets itself be known by to another: both have the database's token keys."""

from __future__ import annotations

import re
from datetime import timedelta

import msgspec

from lanekeeper.control.caller import Caller
from lanekeeper.control.identity.token import token_keys
from lanekeeper.control.site import Site
from lanekeeper.domain import typed
from lanekeeper.domain.errors import Unauthenticated
from lanekeeper.domain.identity.token import microseconds

ROLE = "controller"
_LIFE = timedelta(minutes=5)  # the clocks of two machines may be apart, and no more than it takes
_TEXT = re.compile(r"[A-Za-z0-9_-]{1,2048}", re.ASCII)


class Errand(msgspec.Struct, frozen=True, array_like=True, kw_only=True, tag="errand"):
    """The sealed part. A user's token is none: the tag tells them apart.

    Attributes:
        sender_id, receiver_id: controllers; it is good at the receiver only.
        expires_us: microseconds since 1970.
    """

    sender_id: str
    receiver_id: str
    expires_us: int


_DECODER = msgspec.msgpack.Decoder(typed.learnt(Errand))  # noqa: TID251 - learnt before


def seal_errand(site: Site, receiver_id: str) -> str:
    """The text with which this controller comes to another one on the same database."""
    errand = Errand(
        sender_id=site.controller_id,
        receiver_id=receiver_id,
        expires_us=microseconds(site.clock() + _LIFE),
    )
    return site.token_memory.seal(msgspec.msgpack.encode(errand), lambda: token_keys(site))


def authenticate_errand(site: Site, text: str, request_id: str) -> Caller:
    """The controller that asks, as a caller with the role ``controller`` and its id.

    Raises:
        Unauthenticated: *text* was not sent to this controller, just now, by one on its database.
    """
    payload = None
    if _TEXT.fullmatch(text) is not None:
        payload = site.token_memory.unseal(text, lambda: token_keys(site))
    if payload is None:
        raise Unauthenticated("this is for controllers on the same database only")
    try:
        errand = _DECODER.decode(payload)
    except msgspec.MsgspecError as error:
        raise Unauthenticated("this is for controllers on the same database only") from error
    if errand.receiver_id != site.controller_id:
        raise Unauthenticated("another controller was meant than the one that answers here")
    if errand.expires_us <= microseconds(site.clock()):
        raise Unauthenticated(
            "the other controller's request is too old",
            hint="set the clocks of both machines by NTP",
        )
    return Caller(
        user_id=errand.sender_id,
        user_name=errand.sender_id,
        roles=frozenset({ROLE}),
        request_id=request_id,
    )
