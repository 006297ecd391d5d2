"""A file of cases with known answers, and what comes of one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

Data = Mapping[str, Any]


class Answer(NamedTuple):
    """What Lanekeeper said of one case, beside what is expected; *about* names the part."""

    said: Any
    expected: Any
    about: str = "expect"


Adapter = Callable[[Data], Iterable[Answer]]
"""Asks Lanekeeper about one case of a kind of file, and says what it answered."""


class Outcome(StrEnum):
    PASSED = "passed"
    DELIBERATE = "deliberate"
    LATER = "later"
    FAILED = "failed"


@dataclass(frozen=True)
class Result:
    """What came of one case; *difference* is short and one line, empty where it passed."""

    id: str
    outcome: Outcome
    difference: str = ""


@dataclass(frozen=True)
class CaseFile:
    """One file.

    Attributes:
        kind: what it is about, such as ``nova/alias``; whose adapter is asked.
        cases: each with its ``id``, its input and ``expect``.
    """

    path: Path
    kind: str
    cases: tuple[Data, ...]


def find_files(directory: Path) -> Iterator[CaseFile]:
    """Find all files of that shape below *directory*, in the order of their names.

    A file of Neutron's says its kind; one of Nova's is named for it. Other files are passed over.
    """
    paths = [directory] if directory.is_file() else sorted(directory.rglob("*.json"))
    for path in paths:
        try:
            document = json.loads(path.read_text())
        except ValueError:
            continue
        if not isinstance(document, dict) or not isinstance(document.get("vectors"), list):
            continue
        kind = f"neutron/{document['kind']}" if "kind" in document else f"nova/{path.stem}"
        yield CaseFile(path, kind, tuple(document["vectors"]))
