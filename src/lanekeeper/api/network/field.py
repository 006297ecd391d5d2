"""Fields of Network's bodies: Neutron takes numbers and booleans as text, too."""

from __future__ import annotations

import re
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.pci.flag import parse_flag

Text = Annotated[str, Meta(max_length=255)]
LongText = Annotated[str, Meta(max_length=65_535)]
Flag = bool | int | str
"""Read by ``flag``; booleans arrive as ``"True"`` from old shells."""
Whole = int | str
"""Read by ``whole``; the stock client sends VLAN ids and MTUs as text."""
Names = Annotated[tuple[Text, ...], Meta(max_length=64)]

Maybe = UnsetType
"""A field that may be left out."""

_WHOLE = re.compile(r"-?\d{1,10}", re.ASCII)


def flag(value: Flag, field: str) -> bool:
    """Read a boolean.

    Raises:
        Invalid: it is none; the message names *field*.
    """
    try:
        return parse_flag(value, field)
    except Invalid as error:  # the type that Neutron's converters give
        raise Invalid(str(error), code="InvalidInput") from error


def whole(value: Whole, field: str, bounds: str = "", code: str = "InvalidInput") -> int:
    """Read a whole number; *bounds*, such as ``1..4094``, is for the message alone.

    Raises:
        Invalid: it is none; the message names *field*. *code* is the type that Neutron gives.
    """
    if isinstance(value, int):
        return value
    if not _WHOLE.fullmatch(value.strip()):
        within = f" in {bounds}" if bounds else ""
        raise Invalid(f"{field} {value[:64]!r} is not a whole number{within}", code=code)
    return int(value)


def check_uuid(value: str, field: str) -> str:
    """Pass a UUID.

    Raises:
        Invalid: it is none; the message names *field*.
    """
    try:
        return str(uuid.UUID(value))
    except ValueError as error:
        raise Invalid(f"{field} {value[:64]!r} is not a valid UUID") from error


def uuid_or_none(value: str | None, field: str) -> str | None:
    """Pass a UUID, and null.

    Raises:
        Invalid: it is neither; the message names *field*.
    """
    return None if value is None else check_uuid(value, field)


def given(body: msgspec.Struct, *names: str) -> dict[str, Any]:
    """Those fields of *names* that the body has, by their Python names."""
    values = {name: getattr(body, name) for name in names}
    return {name: value for name, value in values.items() if value is not UNSET}


def flags_given(body: msgspec.Struct, names: Mapping[str, str]) -> dict[str, bool]:
    """Those flags that the body has; *names* is Python's name to the API's."""
    found = given(body, *names)
    return {name: flag(value, names[name]) for name, value in found.items()}


def or_else(value: Any, default: Any) -> Any:
    """*value*, or *default* when the field was left out."""
    return default if value is UNSET else value


def one_or_many(single: Any, many: Any, names: tuple[str, str]) -> tuple[list[Any], bool]:
    """The things of a POST, and whether it named many.

    Raises:
        Invalid: neither key is there, or both, or an empty list.
    """
    if (single is UNSET) == (many is UNSET):
        raise Invalid(f"the body must have either {names[0]!r} or {names[1]!r}")
    if many is UNSET:
        return [single], False
    if not many:
        raise Invalid(f"{names[1]} is empty")
    return list(many), True


def tags_of(values: Iterable[str]) -> tuple[str, ...]:
    """Tags in order.

    Raises:
        Invalid: code InvalidInput; one is there twice.
    """
    counts = Counter(values)
    for tag, count in counts.items():
        if count > 1:
            raise Invalid(f"tags has {tag!r} {count} times; once would do", code="InvalidInput")
    return tuple(counts)


def revision_wanted(headers: Mapping[str, str]) -> int | None:
    """The revision that ``If-Match: revision_number=N`` asks for; None without the header.

    Raises:
        Invalid: the header says anything else.
    """
    header = headers.get("if-match")
    if header is None:
        return None
    found = re.fullmatch(r'"?revision_number=(\d{1,18})"?', header.strip(), re.ASCII)
    if found is None:
        raise Invalid(f"If-Match {header[:64]!r} is not revision_number=N")
    return int(found[1])
