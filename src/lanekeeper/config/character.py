"""Characters that come with text from a web page or an input method, and what was meant."""

from __future__ import annotations

import re
from collections.abc import Iterator

QUOTES, SPACES, MARKUP = "smart-quotes", "odd-characters", "markup-left"

_MEANT: dict[str, dict[str, str]] = {
    QUOTES: {
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\uff02\u00ab\u00bb", '"'),
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\uff07", "'"),
    },
    SPACES: {
        **dict.fromkeys("\u00a0\u2002\u2003\u2007\u2009\u202f\u3000", " "),
        **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff", ""),
        "\uff1a": ":",
        "\uff1d": "=",
        "\uff0c": ",",
        "\uff1b": ";",
        "\uff5b": "{",
        "\uff5d": "}",
        "\uff3b": "[",
        "\uff3d": "]",
        "\u2010": "-",
        "\u2011": "-",
        "\u2013": "-",
    },
}
_TABLES = {kind: str.maketrans(meant) for kind, meant in _MEANT.items()}
_MARKUP = re.compile(r"^[~`]+\s*(?=[\w\[])|\\(?=[{}\[\]_])|\s*[~`]+$")
_ENTITIES = {"&quot;": '"', "&#34;": '"', "&amp;": "&", "&nbsp;": " "}


def mended(line: str) -> tuple[str, frozenset[str]]:
    """Return *line* as it was meant, and which kinds of foreign characters it had."""
    kinds = set()
    for kind, table in _TABLES.items():
        changed = line.translate(table)
        if changed != line:
            kinds.add(kind)
            line = changed
    if changed := _without_markup(line):
        kinds.add(MARKUP)
        line = changed
    return line, frozenset(kinds)


def foreign(line: str) -> Iterator[str]:
    """Name the foreign characters of *line*, each once, as in ``U+201C``."""
    known = {character for meant in _MEANT.values() for character in meant}
    for character in dict.fromkeys(line):
        if character in known:
            yield f"U+{ord(character):04X}"


def _without_markup(line: str) -> str:
    changed = _MARKUP.sub("", line)
    for entity, meant in _ENTITIES.items():
        changed = changed.replace(entity, meant)
    return changed if changed != line else ""
