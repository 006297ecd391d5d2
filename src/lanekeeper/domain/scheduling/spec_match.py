"""Whether a value has what an extra spec asks for, by the operators of Nova's filters.

Source: nova ``scheduler/filters/extra_specs_ops.py``.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

_OR = "<or>"
_TEXT: Mapping[str, Callable[[Any, Any], bool]] = {
    "<in>": operator.contains,
    "s==": operator.eq,
    "s!=": operator.ne,
    "s<": operator.lt,
    "s<=": operator.le,
    "s>": operator.gt,
    "s>=": operator.ge,
}
_NUMBERS: Mapping[str, Callable[[float, float], bool]] = {
    "=": operator.ge,  # at least, as in Nova
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
}


def spec_matches(value: str, required: str) -> bool:
    """Whether *value*, a host's, is what *required*, a flavor's, asks for.

    Without an operator both are the same text. What is no number is never more or less than one,
    where Nova's scheduler fails.
    """
    operation, *words = required.split() or [""]
    if operation == _OR:
        return value in words[::2]
    if operation == "<all-in>":
        return bool(words) and all(word in value for word in words)
    if operation in _TEXT:
        return bool(words) and _TEXT[operation](value, words[0])
    if operation in _NUMBERS:
        return bool(words) and _number_matches(_NUMBERS[operation], value, words[0])
    return value == required


def _number_matches(compare: Callable[[float, float], bool], value: str, wanted: str) -> bool:
    try:
        return compare(float(value), float(wanted))
    except ValueError:
        return False
