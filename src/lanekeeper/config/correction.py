"""What a line that a start refuses was meant to be, where that can be told without guessing.

Quotes, signs and marks that came along from a web page, and Python's or YAML's spelling of an
object, have one meaning. A misspelt key has none: it may be a slip or a tag.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping

from lanekeeper.config.character import mended
from lanekeeper.config.filter_name import REST, complete_filters
from lanekeeper.config.loose_json import understand
from lanekeeper.config.option import Option
from lanekeeper.config.value import split_list
from lanekeeper.domain.errors import Error, Invalid
from lanekeeper.domain.pci.alias import Alias
from lanekeeper.domain.pci.device_spec import DeviceSpec

ID_KEYS = ("vendor_id", "product_id")
_PARSERS: Mapping[str, Callable[[object], object]] = {
    "[pci] device_spec": DeviceSpec.parse,
    "[pci] alias": Alias.parse,
}
_REFERENCE = re.compile(r"\$(?=[_a-zA-Z{$])")  # of string.Template, which reads the files


def corrected(option: Option, text: str) -> tuple[str, ...]:
    """Return the lines that say what *text*, a value of *option* that is refused, was meant to say.

    Nothing where that cannot be told.
    """
    whole = "\n".join(mended(line)[0] for line in text.split("\n"))
    if option.name in _PARSERS:
        return meant(option, whole)
    if option.key == "enabled_filters" and REST in (names := tuple(split_list(whole))):
        return assignment(option.key, ",".join(complete_filters(names)))
    return assignment(option.key, escaped(whole)) if whole != text else ()


def meant(option: Option, text: str) -> tuple[str, ...]:
    """Return the lines of today for JSON, or nearly JSON, of a device_spec or an alias.

    One for each object; nothing where one of them would be refused all the same.
    """
    try:
        value = understand(text).value
        entries = value if isinstance(value, list) else [value]
        numbered = [with_text_ids(entry) for entry in entries]
        for entry in numbered:
            _PARSERS[option.name](entry)
    except Error:
        return ()
    return tuple(json_line(option.key, entry) for entry in numbered)


def advice(option: Option, lines: tuple[str, ...]) -> str:
    """Say which lines would be right, for the hint of a refusal; nothing where there are none."""
    if not lines:
        return ""
    return (
        f"meant is, in [{option.section}]: {'; '.join(lines)} "
        "(`lanekeeper config convert` writes it)"
    )


def with_text_ids(entry: object) -> dict[str, object]:
    """Return *entry* with ids that are numbers as the text that their digits are.

    Raises:
        Invalid: it is no JSON object.
    """
    if not isinstance(entry, Mapping):
        raise Invalid(f"{json.dumps(entry)} is not a JSON object", hint="{...} is one")
    return {
        key: str(value)
        if key in ID_KEYS and isinstance(value, int) and not isinstance(value, bool)
        else value
        for key, value in entry.items()
    }


def json_line(key: str, value: object) -> str:
    return f"{key} = {escaped(json.dumps(value, ensure_ascii=False))}"


def assignment(key: str, value: str) -> tuple[str, ...]:
    """Write ``key = value`` so that oslo.config reads *value* back."""
    first, *others = value.split("\n")
    if len(first) > 1 and first[0] == first[-1] and first[0] in "\"'":
        first = f'"{first}"'
    lines = [f"{key} = {first}".rstrip(), *(f"    {other.strip()}" for other in others)]
    return tuple(line for line in lines if line.strip())


def escaped(value: str) -> str:
    """Let no ``$`` of *value* be taken for another key's value."""
    return _REFERENCE.sub("$$", value)
