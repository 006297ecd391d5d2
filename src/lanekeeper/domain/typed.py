"""Documents read as types, whichever threads begin.

msgspec learns a class when it first decodes it, and shows what it has learnt to every thread
before that is whole: a second thread that decodes the same class in that moment follows a null
pointer, and the process ends without a word. Here each class is learnt by one thread at a time,
before anybody decodes with it. So nothing else of Lanekeeper lets msgspec meet a class; ruff sees
to it.

Source: msgspec 0.22, ``StructInfo_Convert`` in ``_core.c``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from threading import RLock
from typing import Any, TypeVar, overload

import msgspec

T = TypeVar("T")
Decoder = msgspec.json.Decoder  # noqa: TID251 - the one place
"""Reads JSON documents of one kind."""

_LEARNING = RLock()


def _learn(kind: Any) -> Decoder[Any]:
    with _LEARNING:
        return Decoder(kind)


_decoder: Callable[[Any], Decoder[Any]] = cache(_learn)


def learnt(kind: type[T]) -> type[T]:
    """Return *kind*, of which msgspec now knows all."""
    _decoder(kind)
    return kind


def decoder(kind: type[T]) -> Decoder[T]:
    """Return the reader of JSON documents of *kind*."""
    return _decoder(kind)


@overload
def decode(data: bytes | str, kind: type[T]) -> T: ...
@overload
def decode(data: bytes | str, kind: Any = ...) -> Any: ...
def decode(data: bytes | str, kind: Any = Any) -> Any:
    """Read the JSON document *data* as a *kind*.

    Raises:
        msgspec.DecodeError: it is no JSON.
        msgspec.ValidationError: it is no *kind*.
    """
    return _decoder(kind).decode(data)


@overload
def convert(value: object, kind: type[T], *, strict: bool = ..., str_keys: bool = ...) -> T: ...
@overload
def convert(value: object, kind: Any, *, strict: bool = ..., str_keys: bool = ...) -> Any: ...
def convert(value: object, kind: Any, *, strict: bool = True, str_keys: bool = False) -> Any:
    """Read *value*, made of dictionaries, lists and scalars, as a *kind*.

    Raises:
        msgspec.ValidationError: it is no *kind*.
    """
    _decoder(kind)
    return msgspec.convert(value, kind, strict=strict, str_keys=str_keys)  # noqa: TID251
