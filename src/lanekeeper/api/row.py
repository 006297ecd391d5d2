"""HTTP as a table: one row per operation, from which routes, checks, faults and OpenAPI come."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Generic, TypeVar

import anyio
import msgspec
from starlette.requests import Request
from starlette.responses import Response

from lanekeeper.api.faults import Envelope
from lanekeeper.api.microversion import Microversion, Versions
from lanekeeper.control.caller import Caller
from lanekeeper.control.site import Site
from lanekeeper.domain import typed
from lanekeeper.domain.errors import Forbidden, Invalid, Unauthenticated

Body = TypeVar("Body")

NoBody = type(None)


class Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of request bodies: an unknown field is an error that names it."""

    def __repr__(self) -> str:
        """Name the type only: what a client sent may be a password."""
        return f"{type(self).__name__}(…)"


@dataclass(frozen=True, slots=True)
class Policy:
    """A rule by the name that OpenStack gives it, and who may when no policy file says otherwise.

    Attributes:
        default: an oslo.policy check string.
        old: an older default that holds beside it until the operator wants the new ones alone.
        scopes: kinds of tokens that it takes (``project``, ``system``); empty takes all.
    """

    name: str
    default: str
    old: str = ""
    scopes: tuple[str, ...] = ()


READER = "role:reader or role:member or role:admin or role:service"
MEMBER = "role:member or role:admin or role:service"
ADMIN = "role:admin or role:service"
ANYONE = "@"
"""Any valid token, whatever its scope."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[Body]):
    """One request, decoded, authenticated and allowed. Handlers see this and no HTTP.

    Attributes:
        path: the template's parts, percent-decoded.
        query: in order, repeated keys kept.
        headers: names in lower case.
        base_url: scheme, host and port as the client wrote them, without a slash at the end.
        mount: path below which the face was asked, without a slash at the end.
        token: the bearer text itself, for the few calls that are about tokens.
        enforce: how a rule is judged; see ``demand``.
        threads: bounds the threads of this kind of row; for streams, which run their own.
    """

    site: Site
    body: Body = field(repr=False)
    path: Mapping[str, str]
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str] = field(repr=False)
    base_url: str
    microversion: Microversion
    mount: str = ""
    request_id: str
    identified: Caller | None = None
    token: str = field(default="", repr=False)
    enforce: Callable[..., None] | None = None
    threads: anyio.CapacityLimiter | None = None

    def demand(self, rule: Policy, **target: str | None) -> None:
        """Pass when the caller may do what a rule of the row's ``asks`` is about.

        *target* is whose thing it is about (``project_id``), where that is not the caller's own.

        Raises:
            Forbidden: the rule says no.
        """
        assert self.enforce is not None, "rules are judged below the dispatcher only"
        self.enforce(rule, self.caller, **target)

    def may(self, rule: Policy) -> bool:
        """Whether ``demand`` would let the caller pass."""
        try:
            self.demand(rule)
        except Forbidden:
            return False
        return True

    @property
    def caller(self) -> Caller:
        """Who asks; rows with a policy always have one."""
        if self.identified is None:
            raise Unauthenticated("this operation needs a token")
        return self.identified

    def asked(self, name: str) -> str | None:
        """The last value of a query parameter, or None."""
        return next((value for key, value in reversed(self.query) if key == name), None)

    def asked_all(self, name: str) -> tuple[str, ...]:
        return tuple(value for key, value in self.query if key == name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer that needs more than a body: another status or headers.

    Attributes:
        body: anything that msgspec encodes, ``bytes`` sent as they are, or None for no body.
    """

    body: object = None
    status: HTTPStatus | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = "application/json"


Handler = Callable[[Call[Body]], object]
Stream = Callable[[Call[None], Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row(Generic[Body]):
    """One operation of one face.

    Attributes:
        path: below the face's prefix, Starlette's template syntax.
        handler: synchronous; runs on a thread. Returns the body, a Reply, or None for no body.
        stream: in place of a handler, for bodies too large for memory; asynchronous.
        policy: None for an operation that needs no token.
        slow: waits for something outside, such as a host's answer; has threads apart.
        asks: rules about single fields or values, which the handler asks for by ``Call.demand``.
        accepts: msgspec type of the JSON body; NoBody ignores what is sent.
        since, until: microversions that have the operation, both inclusive.
        summary: for OpenAPI; the handler's first docstring line when empty.
    """

    method: str
    path: str
    handler: Handler[Body] | None = None
    stream: Stream | None = None
    policy: Policy | None = None
    slow: bool = False
    asks: tuple[Policy, ...] = ()
    accepts: Any = NoBody
    status: HTTPStatus = HTTPStatus.OK
    since: str = ""
    until: str = ""
    summary: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """One service as clients know it: where it hangs, what it answers, how it refuses.

    Attributes:
        prefix: path below which its rows hang, as in ``/compute``.
        versions: None for a service without microversions.
        body_bytes_max: bound of a JSON body, for faces whose clients are programs with much to
            say; 0 for ``[lanekeeper] body_bytes_max``. Streams have their own.
        threads: how many threads its rows have for themselves; 0 for those that all share.
        bases: rules that the rows' rules are made of.
        build: makes the face's own application, where the common one's manners are not its
            service's; takes the face and its Gate.
    """

    name: str
    prefix: str
    rows: tuple[Row[Any], ...]
    envelope: Envelope
    versions: Versions | None = None
    body_bytes_max: int = 0
    threads: int = 0
    bases: tuple[Policy, ...] = ()
    build: Callable[[Any, Any], Any] | None = None


_INVALID_AT = re.compile(r" - at (?P<key>`key` in )?`\$\.?(?P<place>.*)`$")
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""The only spelling that JSON has for it; PostgreSQL cannot store it, and no name needs it."""
_HALF = re.compile("[\ud800-\udfff]")
_LONG = re.compile(rb"[0-9]{19}")
_INTEGERS = range(-(2**63), 2**63)
"""What a database's integers hold; 2**63 has 19 digits."""


def decode(decoder: typed.Decoder[Any], raw: bytes) -> Any:
    """Read a JSON body strictly.

    Raises:
        Invalid: not JSON, or not of the row's type; the message names the field.
    """
    raw = raw.strip()
    refuse_nul(raw)
    if _LONG.search(raw) and (place := _place(raw, _is_too_long)):
        raise Invalid(f"Invalid input for {place}: a number beyond 64 bits")
    try:
        return decoder.decode(raw or b"null")
    except msgspec.ValidationError as error:
        raise Invalid(_wrong_input(str(error)) if raw else "the body is empty") from error
    except msgspec.DecodeError as error:
        if place := _half_pair_place(raw):
            raise Invalid(
                f"Invalid input for {place}: it contains half of a surrogate pair, which is no "
                "character"
            ) from error
        raise Invalid(f"the body is not valid JSON: {error}") from error
    except UnicodeDecodeError as error:
        raise Invalid(f"the body is not UTF-8: {error.reason}") from error
    except RecursionError as error:
        raise Invalid("the body has more levels of lists and objects than are read") from error


def _wrong_input(said: str) -> str:
    """Put msgspec's sentence after its place, which it leaves out where that is the whole body."""
    found = _INVALID_AT.search(said)
    place = (found["place"] if found else "") or "the body"
    if found and found["key"]:
        place = f"a key of {place}"
    return f"Invalid input for {place}: {said[: found.start()] if found else said}"


def refuse_nul(raw: bytes) -> None:
    """Let a body pass that no text of which has a NUL character.

    Raises:
        Invalid: it has one; the message names the field.
    """
    if _NUL.search(raw):
        raise Invalid(f"Invalid input for {_nul_place(raw)}: it contains a NUL character")


def _nul_place(raw: bytes) -> str:
    return _place(raw, lambda text: isinstance(text, str) and "\0" in text) or "the body"


def _is_too_long(value: object) -> bool:
    return isinstance(value, int) and value not in _INTEGERS


def _half_pair_place(raw: bytes) -> str:
    r"""Name the text with a lone ``\ud800``, which msgspec takes for an end of the body."""
    if b"\\ud" not in raw.lower():
        return ""
    return _place(raw, lambda text: isinstance(text, str) and bool(_HALF.search(text)), json.loads)


def _place(
    raw: bytes,
    is_bad: Callable[[object], bool],
    read: Callable[[bytes], object] = typed.decode,
) -> str:
    """Name the field with a bad value in the notation of msgspec's own messages, ``server.name``.

    Empty when there is none, or when this is no JSON, which is said elsewhere.
    """
    try:
        fields: list[tuple[str, object]] = [("", read(raw))]
    except (ValueError, RecursionError):  # those of JSON and of UTF-8 are ValueErrors
        return ""
    while fields:
        place, value = fields.pop()
        if is_bad(value):
            return place.removeprefix(".") or "the body"
        if isinstance(value, dict):
            if any(map(is_bad, value)):
                return f"a key of {place.removeprefix('.') or 'the body'}"
            fields += [(f"{place}.{key}", part) for key, part in value.items()]
        elif isinstance(value, list):
            fields += [(f"{place}[{index}]", part) for index, part in enumerate(value)]
    return ""
