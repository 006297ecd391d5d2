"""Why a line as it stands counts for nobody, though it can be told what is meant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lanekeeper.config.character import MARKUP, QUOTES, SPACES
from lanekeeper.config.correction import with_text_ids
from lanekeeper.config.doctor.case import Line, Object
from lanekeeper.config.doctor.reading import COMMENT_INSIDE, INDENTED, UNINDENTED
from lanekeeper.config.loose_json import LOOSE, SEVERAL
from lanekeeper.config.names import GUIDE_NAMES
from lanekeeper.domain.pci.spec_key import near_miss

_OF_FLAWS = {
    MARKUP: "marks of a web page stood in the line",
    QUOTES: "the quotes were typographic",
    SPACES: "blanks or signs of an input method stood in the line",
    INDENTED: "it was indented, and so a part of the value above it",
    UNINDENTED: "its further lines were not indented, and so no part of it",
    COMMENT_INSIDE: "a comment stood within the value, and so was a part of it",
}
_OF_KINDS = {
    LOOSE: "it was no JSON, but something like it",
    SEVERAL: "several objects stood there that were no list",
}


def slips_of(line: Line) -> Iterator[str]:
    """Tell them of a line, whatever its value."""
    one = line.assignment
    if (one.section or "pci", one.key) in GUIDE_NAMES:
        yield f"nothing reads {one.key}, which a guide prints"
    for kind in dict.fromkeys(flaw.kind for flaw in one.flaws):
        yield _OF_FLAWS[kind]
    if line.comment:
        yield "what follows a value on its line is a part of it, and no comment"


def slips_in(line: Line, objects: Sequence[Object]) -> Iterator[str]:
    """Tell those of a device_spec's or an alias's JSON."""
    for kind in sorted({kind for one in objects for kind in one.kinds}):
        yield _OF_KINDS[kind]
    for key in dict.fromkeys(key for one in objects for key in one.twice):
        yield f"{key} stood there twice, and the last counts"
    if any(one.entry is not None and with_text_ids(one.entry) != one.entry for one in objects):
        yield "ids were numbers; the same digits are text now"
    is_alias = line.option is not None and line.option.key == "alias"
    if is_alias and not line.assignment.is_vio and line.value.lstrip().startswith("["):
        yield "aliases stood in a list, which is no alias"


def why_not(one: Object) -> str:
    """Say why an object cannot be said today without a decision; nothing where it can."""
    is_spec = one.line.option is not None and one.line.option.key == "device_spec"
    guesses = [
        f"{key!r} (below it is {near!r})"
        for key in (one.entry or {} if is_spec else ())
        if (near := near_miss(key))
    ]
    if guesses:
        return f"device_spec has no key {', '.join(guesses)}"
    if one.parsed is None:
        error = one.errors[0]
        return f"{error}: {error.hint}" if error.hint else str(error)
    return ""
