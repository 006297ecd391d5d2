"""Yes or no, as OpenStack's configuration files and APIs spell it."""

from __future__ import annotations

from lanekeeper.domain.errors import Invalid

_TRUE = frozenset({"1", "t", "true", "on", "y", "yes"})
_FALSE = frozenset({"0", "f", "false", "off", "n", "no"})


def parse_flag(value: object, name: str) -> bool:
    """Read a JSON boolean, 0, 1, or a word such as ``yes`` in any case with blanks around it.

    Raises:
        Invalid: anything else, where OpenStack would silently take some of it for false.

    Source: oslo.utils ``strutils.py``, bool_from_string(strict=True).
    """
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower() if isinstance(value, str | int) else ""
    if word not in _TRUE | _FALSE:
        raise Invalid(f"{name} {value!r} is neither true nor false (also: yes, no, on, off, 1, 0)")
    return word in _TRUE
